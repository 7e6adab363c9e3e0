"""The second pass over a file of saved answers: a model reads them and adds what only its inside tells.

Another engine has answered and sampled (`uq-vllm`, `uq-api`, or `uq-hf` itself), with ``save_samples``. Its tokens go
through the model once; gradients, hidden states and entropies are then as exact as in a run of `uq-hf`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from uq_harness.answering.answerer import Answerer
from uq_harness.answering.choose import Chosen
from uq_harness.answering.prompts import PromptText
from uq_harness.answering.stopping import stop_criteria
from uq_harness.backends.saved.backend import NO_STOP, serving, taken
from uq_harness.backends.saved.read import SavedAnswer, SavedSample, SavedTokens
from uq_harness.backends.transformers.second_pass import GivenAnswer, GivenPrompt, SecondPass
from uq_harness.errors import UQHarnessError
from uq_harness.evidence.backend import first_missing
from uq_harness.evidence.sets import SampleSets
from uq_harness.methods import Method, all_options, build_methods
from uq_harness.models.agreement import Agreement, Bounds
from uq_harness.models.hf import UQHFLM
from uq_harness.models.loading import load_model, parse_model_args
from uq_harness.models.processes import from_all
from uq_harness.models.reading import Job, Reading, SecondPassOptions
from uq_harness.models.second_pass_store import SecondPassStore
from uq_harness.rendering.secrets import without_secrets
from uq_harness.similarity.services import NLI, Similarity

log = logging.getLogger(__name__)
FIRST = 16  # answers whose log-probabilities are compared before all others are read
# Of lm_eval's description of a model, what tells which one it is.
_OF_MODEL = ("model_dtype", "model_revision", "model_sha", "model_num_parameters")


class SecondPassReader:
    """A loaded model that reads saved answers, alone or as one of several processes.

    Args:
        options: What the user asks for.
        services: The NLI service and the similarity service.
        batch_size: Answers that go through the model at a time.
        output: The folder for results, where what is computed is kept meanwhile; ``None`` for nowhere.
        stamp: What else the results depend on, such as the methods' options.
        progress: Whether to show a bar.

    Attributes:
        rank: Number of this process.

    Raises:
        UQHarnessError: The model cannot be loaded, an argument is not allowed, or another program is at the same work.
    """

    def __init__(
        self,
        options: SecondPassOptions,
        services: tuple[NLI, Similarity],
        *,
        batch_size: int,
        output: Path | None,
        stamp: Mapping[str, Any],
        progress: bool,
    ) -> None:
        self._options, self._services, self._batch_size, self._progress = options, services, batch_size, progress
        self._lm = load_for_reading(options, batch_size)
        self.rank = self._lm.rank
        self._bounds = Bounds.of(self._lm.mixed_precision_dtype or self._lm.model.dtype, options.max_difference)
        self._answerers: dict[tuple[Method, ...], Answerer] = {}
        # answers have ended already: of replies alone
        self._stop = stop_criteria(self._lm.model, self._lm.tokenizer, stop_strings=(), max_new_tokens=0)
        self._store: SecondPassStore | None = None
        if output is not None:
            self._store = SecondPassStore(output, {"model": self._lm.configuration, "scores": dict(stamp)})
            if self.rank == 0:
                self._store.lock()
                self._store.warn_of_others()

    def read(self, jobs: Sequence[Job], name: str, by_name: bool = True) -> list[Reading] | None:
        """What the model finds about each answer; ``None`` in all processes but the first.

        Args:
            jobs: The answers, the same in every process.
            name: What they are called, for messages.
            by_name: Whether the methods were asked for; else those that the model does not give are left out.

        Raises:
            UQHarnessError: An answer does not fit the model, or the model is not the one that answered.
        """
        jobs = jobs if by_name else self._possible(jobs)
        done = {key: found for one in from_all([self._earlier()], self._lm.world_size) for key, found in one.items()}
        keys = [job.key for job in jobs]
        waiting = list(dict(zip(reversed(keys), reversed(jobs), strict=True)).items())[::-1]
        waiting = [(key, job) for key, job in waiting if key not in done]
        if len(waiting) < len(set(keys)) and self.rank == 0:
            log.warning("%s: going on; %d answers were read before", name, len(set(keys)) - len(waiting))
        for _, job in waiting:
            self._check(job.saved)
        if waiting:
            self._compare_first([job for _, job in waiting])
        for methods in dict.fromkeys(job.methods for job in jobs):
            if methods not in self._answerers:
                self._answerers[methods] = Answerer(self._lm.backend_of(SecondPass), self._services, methods)
        found = from_all([self._shard(waiting)], self._lm.world_size)
        done |= {key: reading for some in found for key, reading in some.items()}
        if self.rank != 0:
            return None
        readings = [Reading.from_json(done[key]) for key in keys]
        self.agreement(jobs, readings).check(self._bounds, f"the answers of {name}")
        return readings

    def _possible(self, jobs: Sequence[Job]) -> list[Job]:
        """The same answers without the methods that the model does not give, which are named once."""
        backend = self._lm.backend_of(SecondPass)
        methods = list(dict.fromkeys(method for job in jobs for method in job.methods))
        lacking = {one: what for one in methods if (what := first_missing(backend, one.needs())) is not None}
        if self.rank == 0:
            Chosen([], {one.name: what for one, what in lacking.items()}, "all").warn()
        return [replace(job, methods=tuple(one for one in job.methods if one not in lacking)) for job in jobs]

    @staticmethod
    def agreement(jobs: Sequence[Job], readings: Sequence[Reading]) -> Agreement:
        """How well the model agrees with what was recorded of all answers."""
        return Agreement.over(one.agreement(job.saved) for job, one in zip(jobs, readings, strict=True))

    def describe(self, agreement: Agreement) -> dict[str, Any]:
        """The model and how well it agrees with what was recorded, for the results' configuration."""
        known = self._lm.get_model_info()
        return {
            "model": self._options.model,
            **without_secrets({"model_args": self._options.model_args or ""}),
            **{name: str(known[name]) for name in _OF_MODEL if known.get(name)},
            "weights": self._lm.identity.weights,
            "logprob_difference": agreement.describe(self._bounds),
        }

    def auxiliary(self) -> dict[str, Any]:
        """The models that compared texts, for the results' configuration."""
        return {name: said for one in self._answerers.values() for name, said in one.describe().items()}

    def finish(self) -> None:
        """Deletes what was kept, when results are written."""
        if self._store is not None and self.rank == 0:
            self._store.remove()

    def close(self) -> None:
        """Lets another program go on with what is kept."""
        if self._store is not None:
            self._store.release()

    def _earlier(self) -> dict[str, dict[str, Any]]:
        return {} if self._store is None else self._store.earlier()

    def _check(self, saved: SavedAnswer) -> None:
        """Refuses tokens that the model cannot have read or written."""
        tokens = _tokens(saved)
        samples = [one.emitted_ids or () for some in saved.sets for one in some.samples]
        highest = max(map(max, filter(None, (tokens.prompt_ids, tokens.emitted_ids, *samples))))
        vocabulary = int(self._lm.model.get_input_embeddings().weight.shape[0])
        if highest >= vocabulary:
            raise UQHarnessError(
                f"{saved.place}: there is a token number {highest}, and {self._options.model} has {vocabulary} tokens: "
                "give the model that answered"
            )
        longest = len(tokens.prompt_ids) + max(len(tokens.emitted_ids), *map(len, samples), 0)
        if longest > self._lm.max_length:
            raise UQHarnessError(
                f"{saved.place}: prompt and answer have {longest} tokens, and the context of {self._options.model} is "
                f"{self._lm.max_length}: give the model that answered, and its context with --model_args max_length=..."
            )

    def _compare_first(self, jobs: Sequence[Job]) -> None:
        """Compares log-probabilities and texts of the first answers, before the work begins.

        Raises:
            UQHarnessError: They are those of another model or tokenizer.
        """
        first = [Job(job.saved, ()) for job in jobs[:FIRST]]
        if all(job.saved.logprobs is None for job in jobs) and self.rank == 0:
            log.warning("no log-probabilities are recorded: whether %s has answered is unknown", self._options.model)
        backend = self._lm.backend_of(SecondPass)
        answerer = Answerer(backend, self._services, build_methods("g_nll", {}))
        prompts = [self._prompt(job) for job in first]
        found = dict(answerer.answer(prompts, NO_STOP, self._batch_size))
        agreement = self.agreement(first, [Reading.of(found[row], job) for row, job in enumerate(first)])
        agreement.check(self._bounds, f"the first {len(first)} answers")
        shown = [(job.saved, backend.decode(_tokens(job.saved).token_ids)) for job in first]
        other = [(saved, text) for saved, text in shown if not _begins(text, saved.answer)]
        if 2 * len(other) > len(first):
            saved, text = other[0]
            raise UQHarnessError(
                f"{saved.place}: the answer is {saved.answer!r}, and the tokenizer reads its tokens as {text!r}: it is "
                "not the tokenizer of the model that answered (--model_args tokenizer=...)"
            )

    def _shard(self, waiting: Sequence[tuple[str, Job]]) -> dict[str, dict[str, Any]]:
        """Reads this process's part of the answers, the long ones shared evenly."""
        order = sorted(waiting, key=lambda one: -_length(one[1].saved))[self.rank :: self._lm.world_size]
        groups: dict[tuple[Method, ...], list[tuple[str, Job]]] = {}
        for key, job in order:
            groups.setdefault(job.methods, []).append((key, job))
        done: dict[str, dict[str, Any]] = {}
        seen: list[Agreement] = []
        hidden = not self._progress or self.rank != 0
        with tqdm(total=len(order), disable=hidden, desc="Reading and scoring") as bar:
            for methods, part in groups.items():
                prompts = [self._prompt(job) for _, job in part]
                for row, evidence in self._answerers[methods].answer(prompts, self._stop, self._batch_size):
                    key, job = part[row]
                    reading = Reading.of(evidence, job)
                    done[key] = reading.as_json()
                    if self._store is not None:
                        self._store.put(key, done[key], self.rank)
                    seen.append(reading.agreement(job.saved))
                    if len(seen) % FIRST == 0:
                        Agreement.over(seen).check(self._bounds, f"{len(seen)} answers")
                    bar.update()
        if self._store is not None:
            self._store.close()
        return done

    def _prompt(self, job: Job) -> GivenPrompt:
        """The prompt with what was answered; what is not in the file is made from its texts, never its tokens."""
        saved, tokens = job.saved, _tokens(job.saved)
        needs = [need for method in job.methods for need in method.needs()]
        message = tokens.message or ""
        text = PromptText(saved.prompt, saved.question, message)
        return GivenPrompt(
            question=saved.question,
            message=message,
            token_ids=tokens.prompt_ids,
            semantic_token=-1 if tokens.semantic_token is None else tokens.semantic_token,
            restate=partial(self._lm.encoder.restate, text),
            semantic_text=tokens.semantic_text or "",
            go_on=partial(self._lm.encoder.go_on, text),
            answer=GivenAnswer(
                saved.answer, tokens.token_ids, tokens.emitted_ids, saved.logprobs, saved.record.get("complete", True)
            ),
            drawn={
                one: [_given(sample) for sample in taken(one, found)]
                for one in SampleSets.of(needs).samplers
                if (found := serving(one, saved.sets)) is not None
            },
        )


def load_for_reading(options: SecondPassOptions, batch_size: int) -> UQHFLM:
    """Loads a model as ``uq-hf`` does.

    Raises:
        UQHarnessError: It cannot be loaded, or an argument belongs elsewhere.
    """
    misplaced = [
        name
        for name in parse_model_args(options.model_args)
        if name in all_options() or name.startswith(("nli_", "similarity_"))
    ]
    if misplaced:
        raise UQHarnessError(f"--model_args sets {misplaced[0]}, which belongs in --method_args")
    return load_model(
        options.model,
        options.model_args,
        methods="g_nll",
        batch_size=batch_size,
        sp_token="auto",
        seed=0,
        save_samples=False,
        think_end_token=None,
    )


def _tokens(saved: SavedAnswer) -> SavedTokens:
    assert saved.tokens is not None  # no plan reads an answer without them
    return saved.tokens


def _given(sample: SavedSample) -> GivenAnswer:
    assert sample.token_ids is not None
    complete = True if sample.complete is None else sample.complete
    return GivenAnswer(sample.text, sample.token_ids, sample.emitted_ids or sample.token_ids, sample.logprobs, complete)


def _length(saved: SavedAnswer) -> int:
    tokens = _tokens(saved)
    return len(tokens.prompt_ids) + len(tokens.emitted_ids)


def _begins(text: str, answer: str) -> bool:
    """Whether a text begins with an answer, whatever the spaces: a stop string or its beginning may follow."""
    return "".join(text.split()).startswith("".join(answer.split()))
