"""An engine as a backend: each question is a piece of work that asks it, and its evidence comes as the piece ends."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

from transformers import PreTrainedTokenizerBase

from uq_harness.backends.further_turn import check_turns, missing_template
from uq_harness.backends.refusals import unless_all_are_refused
from uq_harness.backends.served.abilities import missing, tells_own_logprobs
from uq_harness.backends.served.engine import Ability, Engine, Steps
from uq_harness.backends.served.forcing import continuation_logprob
from uq_harness.backends.served.question import Plan, Question
from uq_harness.backends.served.requests import QuestionRefusedError, TokenReply, TokenRequest, Usage
from uq_harness.backends.served.rescoring import TOLERANCE
from uq_harness.backends.transformers.backend import special_ids
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import ConfidenceReply, ContinuationLogProb, DiverseBeams, Evidence, Need
from uq_harness.evidence.backend import ReadPrompt
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.evidence.sets import SampleSets

log = logging.getLogger(__name__)
# Questions whose texts are compared together at most, and for how long the first of them waits for the others.
GROUP = 8
SECONDS = 1.0
_COMPARISONS = ("nli", "similarity")


class ServedBackend:
    """What an engine tells, as evidence.

    Args:
        engine: The engine.
        tokenizer: The tokenizer of its model.
        max_length: The model's context in tokens.
        seed: Seed of all samples.
        end_ids: Tokens that end an answer; the tokenizer's end-of-sequence token if absent.
        pad_id: The padding token, which diverse beams know ended groups by; if absent the tokenizer's, else its unknown
            token, else its end-of-sequence token, as lm_eval takes it.

    Attributes:
        special_ids: Tokens that an answer's text does not show.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: PreTrainedTokenizerBase,
        *,
        max_length: int,
        seed: int = 0,
        end_ids: Collection[int] | None = None,
        pad_id: int | None = None,
    ) -> None:
        self._engine, self._tokenizer = engine, tokenizer
        self._max_length, self._seed = max_length, seed
        ends = {tokenizer.eos_token_id} - {None} if end_ids is None else end_ids
        self._n_ends = len(ends)
        candidates_for_padding = (pad_id, tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.eos_token_id)
        self._pad_id = next((token for token in candidates_for_padding if token is not None), -1)
        self.special_ids = special_ids(tokenizer)
        self._plan = self._plan_for(())

    def missing(self, need: Need[Any]) -> str | None:
        """What the engine lacks for a need, in words, and the way out; ``None`` where it lacks nothing."""
        if isinstance(need, ConfidenceReply):
            return missing_template(self._tokenizer)
        return missing(need, self._engine, self._n_ends)

    def prepare(self, needs: Sequence[Need[Any]]) -> None:
        """Notes what is to be gathered.

        Raises:
            UQHarnessError: A few-shot prefix does not fit into the context.
        """
        self._plan = self._plan_for(tuple(dict.fromkeys(needs)))
        for need in self._plan.of_kind(ContinuationLogProb):
            length = len(self._encode(need.prefix))
            if length >= self._max_length:
                raise UQHarnessError(
                    f"the few-shot prompt of P(True) has {length} tokens, and the model's context only "
                    f"{self._max_length}: leave p_true out of methods=, or raise max_length"
                )

    def gather(
        self, prompts: Sequence[Prompt], stop: StopCriteria, size: int
    ) -> Iterator[tuple[list[int], list[Evidence]]]:
        """See `Backend.gather`; ``size`` questions are under way at a time.

        Where texts have to be compared, questions that end shortly after one another come together. Of a question that
        the engine refuses, nothing is defined.

        Raises:
            UQHarnessError: A prompt leaves no room for its answer, the engine tells too few of the likeliest tokens,
                refuses all of several questions, or cannot be used any more. Questions that had ended have been
                yielded.
        """
        self._check(prompts, stop)
        notes = _Notes()
        compares = any(need.stage in _COMPARISONS for need in self._plan.needs)
        ended: list[tuple[int, Evidence]] = []
        since = time.monotonic()
        try:
            for position, evidence in unless_all_are_refused(self._ended(prompts, stop, size, notes)):
                notes.look(evidence)
                if not ended:
                    since = time.monotonic()
                ended.append((position, evidence))
                if not compares or len(ended) >= min(GROUP, size) or time.monotonic() - since >= SECONDS:
                    group, ended = ended, []
                    yield _columns(group)
        except (UQHarnessError, KeyboardInterrupt):
            if ended:
                yield _columns(ended)
            raise
        finally:
            notes.tell()
        if ended:
            yield _columns(ended)

    def read_prompts(self, prompts: Sequence[str], continuation: str) -> list[ReadPrompt]:
        """See `FurtherPrompts`; ``nan`` where it does not fit into the context, or the engine refuses the request."""
        found = [ReadPrompt(math.nan, {})] * len(prompts)
        for place, one in self._engine.drive((partial(self._read, prompt, continuation) for prompt in prompts), GROUP):
            if isinstance(one, QuestionRefusedError):
                log.warning("the engine refuses a prompt about an answer, whose score is null: %s", one)
            else:
                found[place] = one
        return found

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of an answer's tokens, special ones left out."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True)
        return text

    def describe(self) -> dict[str, Any]:
        """The engine, which samples depend on as much as on the seed."""
        return {"engine": self._engine.describe()}

    def _read(self, prompt: str, continuation: str) -> Steps[ReadPrompt]:
        usage, texts = Usage(), 0

        def ask(requests: list[TokenRequest]) -> Steps[list[TokenReply]]:
            nonlocal usage, texts
            replies = yield requests
            usage, texts = sum((reply.usage for reply in replies), usage), texts + len(requests)
            return replies

        logprob = yield from continuation_logprob(prompt, continuation, self._encode, ask, self._max_length)
        return ReadPrompt(logprob, {**usage.as_cost(), "scored_texts": texts})

    def _ended(
        self, prompts: Sequence[Prompt], stop: StopCriteria, size: int, notes: _Notes
    ) -> Iterator[tuple[tuple[int, Evidence], str | None]]:
        """Each question's position and evidence, as they end, with the reason where its answer was refused."""

        def question(prompt: Prompt) -> Question:
            return Question(self._plan, prompt, stop, notes.refused)

        def begin(prompt: Prompt) -> Callable[[], Steps[Evidence]]:
            return lambda: question(prompt).steps()

        for position, found in self._engine.drive((begin(prompt) for prompt in prompts), size):
            if isinstance(found, QuestionRefusedError):  # from an engine that does not say which request it is about
                notes.refused(prompts[position], found)
                found = question(prompts[position]).refused(str(found))
            yield (position, found), found.refused

    def _check(self, prompts: Sequence[Prompt], stop: StopCriteria) -> None:
        """Refuses what the engine would cut, or answer with too little, and prompts that cannot be gone on with.

        Raises:
            UQHarnessError: See `gather`.
        """
        room = self._max_length - stop.max_new_tokens
        longest = max(prompts, key=lambda prompt: len(prompt.token_ids), default=None)
        if longest is not None and len(longest.token_ids) > room:
            raise UQHarnessError(
                f"the prompt of {longest.question!r} has {len(longest.token_ids)} tokens, which leaves no room for "
                f"{stop.max_new_tokens} more in a context of {self._max_length}: use a smaller max_gen_toks"
            )
        check_turns(prompts, self._plan.of_kind(ConfidenceReply))
        for search in self._plan.sets.samplers:
            lacking = missing(search, self._engine, len(stop.end_ids)) if isinstance(search, DiverseBeams) else None
            if lacking is not None:
                raise UQHarnessError(f"semantic_density cannot be computed: {lacking}")

    def _plan_for(self, needs: tuple[Need[Any], ...]) -> Plan:
        sets = SampleSets.of(needs)
        return Plan(
            needs=needs,
            sets=sets,
            encode=self._encode,
            tokenise=self._tokenise,
            max_length=self._max_length,
            seed=self._seed,
            pad_id=self._pad_id,
            bos=self._tokenizer.bos_token_id,
            most_alternatives=self._engine.most_alternatives,
            tells_logprobs=self._engine.lacks(Ability.LOGPROBS) is None,
            own_logprobs=frozenset(one for one in sets.samplers if tells_own_logprobs(one, self._engine)),
        )

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text)["input_ids"]
        return ids

    def _tokenise(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


class _Notes:
    """What the user is told once about all questions."""

    def __init__(self) -> None:
        self._refused: set[int] = set()
        self._imprecise = 0

    def refused(self, prompt: Prompt, error: QuestionRefusedError) -> None:
        """Takes note that the engine refuses a request about a question."""
        if not self._refused:
            log.warning("the engine refuses a request about the question %r: %s", prompt.question, error)
        self._refused.add(id(prompt))

    def look(self, evidence: Evidence) -> None:
        """Looks at the evidence about one question."""
        self._imprecise += evidence.cost.get("rescoring_error", 0.0) > TOLERANCE

    def tell(self) -> None:
        """Says how many questions have no score, and why."""
        if self._refused:
            log.warning(
                "the engine refused requests about %d questions, and the scores that need them are null",
                len(self._refused),
            )
        if self._imprecise:
            log.warning(
                "%d questions have no Semantic Density: the likeliest tokens that the engine tells do not bound a "
                "weight to %g nats (density_temperature=0.1 needs few of them, higher ones more)",
                *(self._imprecise, TOLERANCE),
            )


def _columns(group: Sequence[tuple[int, Evidence]]) -> tuple[list[int], list[Evidence]]:
    return [position for position, _ in group], [evidence for _, evidence in group]
