"""Answers prompts by a backend, compares texts, and scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from uq_harness.answering.choose import unsupported
from uq_harness.answering.further_prompts import Asker
from uq_harness.answering.replies import ReplyNotice, confidence_reply
from uq_harness.answering.thinking import ThinkingNotice
from uq_harness.evidence import Evidence, Need
from uq_harness.evidence.backend import Backend, first_missing
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.evidence.token_spans import token_texts
from uq_harness.files import plain
from uq_harness.functional import FloatArray
from uq_harness.methods import Method, scores, token_values
from uq_harness.similarity.evidence import Comparer
from uq_harness.similarity.services import NLI, Similarity


def record(
    evidence: Evidence, uncertainty: Mapping[str, float], token_values: Mapping[str, FloatArray] | None = None
) -> dict[str, Any]:
    """The record of one answer; undefined numbers become ``None``, and what a backend does not have is left out.

    Args:
        evidence: What was gathered about it.
        uncertainty: Each method's score, ``nan`` where it is undefined.
        token_values: Further values of the answer's tokens by name, one a token.
    """
    answer = evidence.answer
    known = {
        "answer_tokens": answer.n_tokens,
        "complete": answer.complete,
        "semantic_token": None
        if evidence.semantic_text is None
        else {"position": evidence.semantic_token, "text": evidence.semantic_text},
        "token_ids": None if answer.token_ids is None else list(answer.token_ids),
        "token_logprobs": None if answer.logprobs is None else plain(answer.logprobs.tolist()),
        "token_entropies": None if answer.entropies is None else plain(answer.entropies.tolist()),
        "token_values": {name: plain(values.tolist()) for name, values in (token_values or {}).items()} or None,
        "confidence_reply": confidence_reply(evidence),
    }
    return {
        "uncertainty": plain(uncertainty),
        "answer": answer.text,
        **({} if evidence.refused is None else {"refused": evidence.refused}),
        **{name: value for name, value in known.items() if value is not None},
        "cost": evidence.recorded_cost,
    }


class Recorder(Protocol):
    """Adds fields to the record of every answer; like a method, it says what it needs and never calls a model."""

    def needs(self) -> tuple[Need[Any], ...]:
        """All that `record` reads."""

    def record(self, evidence: Evidence) -> dict[str, Any]:
        """The fields and their values; where ``evidence.defines`` is false for a need, its value may be absent."""


class Answerer:
    """A backend and the chosen methods; built once per run.

    Args:
        backend: What answers prompts and gathers evidence.
        services: The NLI service and the similarity service; each is loaded only if a method needs it.
        methods: The methods; what they and the recorders need is gathered, and nothing else.
        recorders: What they add is in the records.
        thinking: Looks at every answer for thinking whose end is not known.

    Raises:
        UQHarnessError: The backend cannot give what a method needs, an option does not fit the model, or an auxiliary
            model cannot be had.
    """

    def __init__(
        self,
        backend: Backend,
        services: tuple[NLI, Similarity],
        methods: Sequence[Method],
        recorders: Sequence[Recorder] = (),
        thinking: ThinkingNotice | None = None,
    ) -> None:
        self._backend, self._methods, self._recorders = backend, tuple(methods), tuple(recorders)
        self._thinking = thinking
        declared = [*(method.needs() for method in methods), *(recorder.needs() for recorder in recorders)]
        needs = list(dict.fromkeys(need for some in declared for need in some))
        if first_missing(backend, needs) is not None:
            raise unsupported(self._methods, backend, needs)
        backend.prepare(needs)
        self._comparer = Comparer(needs, *services, decode=backend.decode, special_ids=backend.special_ids)
        self._comparer.prepare()
        self._asker = Asker(needs, backend)

    def answer(self, prompts: Sequence[Prompt], stop: StopCriteria, batch_size: int) -> Iterator[tuple[int, Evidence]]:
        """Answers prompts in batches of similar length, longest first so that memory runs out early or never.

        Args:
            prompts: Tokenised prompts that leave space for their answers.
            stop: How answers end.
            batch_size: The largest batch.

        Yields:
            The position of each prompt, with the evidence about its answer as soon as it is there.

        Raises:
            UQHarnessError: A prompt is too short for what is needed, or the backend can no longer be used.
        """
        order = sorted(range(len(prompts)), key=lambda row: -len(prompts[row].token_ids))
        replies = ReplyNotice()
        for positions, evidence in self._backend.gather([prompts[row] for row in order], stop, batch_size):
            compared = self._comparer.add_similarity(self._comparer.add_entailment(evidence))
            for position, found in zip(positions, self._asker.add_choices(compared), strict=True):
                if self._thinking is not None:
                    self._thinking.look(prompts[order[position]].token_ids, found.answer.token_ids or ())
                replies.look(found)
                yield order[position], found
        replies.tell()

    def forget(self) -> None:
        """Forgets earlier comparisons of texts, so that they are made again: for measuring what they cost."""
        self._comparer.forget()

    def scores(self, evidence: Evidence) -> dict[str, float]:
        """The uncertainty that each method finds; ``nan`` where it is undefined."""
        return scores(self._methods, evidence)

    def record(self, evidence: Evidence, uncertainty: Mapping[str, float] | None = None) -> dict[str, Any]:
        """What the sample log says about one answer; numbers that are undefined become ``None``.

        Args:
            evidence: What was gathered about it.
            uncertainty: Its scores, where they are computed already.
        """
        found = record(
            evidence,
            self.scores(evidence) if uncertainty is None else uncertainty,
            token_values(self._methods, evidence),
        )
        if evidence.answer.token_ids is not None:
            found["tokens"] = list(token_texts(self._backend.decode, evidence.answer.token_ids))
        for one in self._recorders:
            found |= one.record(evidence)
        return found

    def describe(self) -> dict[str, Any]:
        """The backend's settings and the auxiliary models in use, for the results' configuration."""
        return {**self._backend.describe(), **self._comparer.describe()}
