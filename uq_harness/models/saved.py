"""Scores saved answers: groups of those that hold the same kinds of things, a batch of questions at a time.

What takes a model that reads the answers is left to `uq_harness.models.second_pass`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from uq_harness.answering.answerer import Answerer, record
from uq_harness.backends.saved.backend import NO_STOP, SavedBackend, SavedPrompt, serving, taken
from uq_harness.backends.saved.read import SavedAnswer, SavedSample
from uq_harness.backends.saved.second_pass import lacking
from uq_harness.evidence import Evidence, sample_sets
from uq_harness.evidence.backend import first_missing
from uq_harness.methods import Method, scores
from uq_harness.models.reading import Job, Reading
from uq_harness.similarity.services import NLI, Similarity


@dataclass(frozen=True)
class MethodReport:
    """What has become of one method.

    Attributes:
        name: The method.
        computed: Number of answers that it was computed for.
        kept: Number of answers whose score stood in the file.
        undefined: Number of these scores that are undefined.
        lacking: Number of answers without a score, by what is missing in the file for them.
        samples: Smallest and largest number of samples used; ``None`` for a method without samples.
    """

    name: str
    computed: int
    kept: int
    undefined: int
    lacking: Mapping[str, int]
    samples: tuple[int, int] | None

    @property
    def scored(self) -> int:
        """Number of answers with a score."""
        return self.computed + self.kept


@dataclass(frozen=True)
class Plan:
    """What is done about one saved answer.

    Attributes:
        compute: Methods to compute from what the file has.
        read: Methods to compute by a model that reads the answer.
        keep: Methods whose score in the file stays.
        lacking: What is missing in the file for each of the others.
    """

    compute: tuple[Method, ...]
    read: tuple[Method, ...]
    keep: tuple[str, ...]
    lacking: Mapping[str, str]


class Planner:
    """Makes plans; saved answers that hold the same kinds of things share one.

    Args:
        methods: The chosen methods.
        recomputed: Names of methods to compute although the file has their scores, since their options were given.
        keep_others: Whether the file's scores of other methods are kept.
        reads: Whether there is a model that reads the answers. It is asked for undefined scores of the file too, which
            the engine that answered may not have been able to give.
    """

    def __init__(
        self,
        methods: Sequence[Method],
        recomputed: frozenset[str] = frozenset(),
        keep_others: bool = False,
        reads: bool = False,
    ) -> None:
        self._methods, self._recomputed, self._keep_others = tuple(methods), recomputed, keep_others
        self._reads = reads
        self._plans: dict[object, Plan] = {}

    def plan(self, saved: SavedAnswer) -> Plan:
        """What can be done about a saved answer."""
        kind = _kind(saved)
        if kind not in self._plans:
            self._plans[kind] = self._made(saved)
        return self._plans[kind]

    def _made(self, saved: SavedAnswer) -> Plan:
        compute: list[Method] = []
        read: list[Method] = []
        keep: list[str] = []
        missing: dict[str, str] = {}
        backend = SavedBackend(saved)
        for method in self._methods:
            if saved.refused:
                if method.name in saved.uncertainty:
                    keep.append(method.name)
                else:
                    missing[method.name] = "an answer, since the question was refused"
            elif method.name in saved.uncertainty and method.name not in self._recomputed:
                undefined = self._reads and math.isnan(saved.uncertainty[method.name])
                if undefined and lacking(saved, method) is None:
                    read.append(method)
                else:
                    keep.append(method.name)
            elif (what := first_missing(backend, method.needs())) is None:
                compute.append(method)
            elif not self._reads:
                missing[method.name] = what
            elif (what := lacking(saved, method)) is None:
                read.append(method)
            else:
                missing[method.name] = what
        if self._keep_others:
            known = {method.name for method in self._methods}
            keep += [name for name in saved.uncertainty if name not in known]
        return Plan(tuple(compute), tuple(read), tuple(keep), missing)


def _kind(saved: SavedAnswer) -> object:
    """What a plan depends on: which things are there, not what they are."""
    sets = tuple(
        (
            tuple(sorted(one.conditions.items())),
            bool(one.samples),
            all(sample.logprobs is not None for sample in one.samples),
            all(sample.tokens is not None for sample in one.samples),
            _told({sample.token_ids is not None for sample in one.samples}, one.samples),
        )
        for one in saved.sets
    )
    tokens = saved.tokens
    readable = tokens and (tokens.message is None, tokens.semantic_token is None, saved.has_prompt)
    known = saved.alternatives
    n_listed = known.logprobs.shape[1] if known and len(known.logprobs) else None
    listed = known and (n_listed, known.texts is None, known.own is None)
    scored = frozenset((name, math.isnan(score)) for name, score in saved.uncertainty.items())
    told = saved.logprobs is None, saved.entropies is None, saved.confidence_reply is None
    return saved.refused, told, sets, scored, readable, listed


def _told(told: set[bool], samples: Sequence[SavedSample]) -> object:
    """Whether all samples have tokens, or none; else which of them."""
    return tuple(sample.token_ids is not None for sample in samples) if len(told) > 1 else told == {True}


class Scorer:
    """The chosen methods over the answers of a file.

    Args:
        answers: The answers.
        planner: Says what can be done about each.
        nli: The NLI service; it is loaded only if a method that can be computed needs it.
        similarity: The similarity service; likewise.

    Attributes:
        readings: What a model has found about the answers that it was to read, by their places among the answers; to be
            set before records are asked for.
        read_with: What was used for that beside the model, for the results' configuration.

    Raises:
        UQHarnessError: An auxiliary model cannot be had, or a sample's tokens do not make up its text.
    """

    def __init__(self, answers: Sequence[SavedAnswer], planner: Planner, nli: NLI, similarity: Similarity) -> None:
        self._answers = tuple(answers)
        self.readings: Mapping[int, Reading] = {}
        self.read_with: Mapping[str, Any] = {}
        self._plans = [planner.plan(answer) for answer in answers]
        self._backends: dict[int, SavedBackend] = {}
        self._answerers: dict[int, Answerer] = {}
        for plan, answer in zip(self._plans, self._answers, strict=True):
            if id(plan) not in self._backends:
                self._backends[id(plan)] = SavedBackend(answer)
                self._backends[id(plan)].prepare([need for method in plan.compute for need in method.needs()])
            self._backends[id(plan)].evidence(answer)  # what is wrong with its tokens shows before models are loaded
        for plan in self._plans:
            if id(plan) not in self._answerers:
                self._answerers[id(plan)] = Answerer(self._backends[id(plan)], (nli, similarity), plan.compute)

    @property
    def names(self) -> list[str]:
        """Methods with a score for some answer, those that were computed first."""
        computed = [method.name for plan in self._plans for method in (*plan.compute, *plan.read)]
        kept = [name for plan in self._plans for name in plan.keep]
        return list(dict.fromkeys([*computed, *kept]))

    def methods(self) -> list[Method]:
        """The methods that are computed for some answer."""
        return list(dict.fromkeys(method for plan in self._plans for method in (*plan.compute, *plan.read)))

    def jobs(self) -> dict[int, Job]:
        """What a model is to read, by the places of the answers."""
        return {
            row: Job(answer, plan.read)
            for row, (answer, plan) in enumerate(zip(self._answers, self._plans, strict=True))
            if plan.read
        }

    def describe(self) -> dict[str, Any]:
        """The auxiliary models in use, for the results' configuration."""
        own = {name: said for one in self._answerers.values() for name, said in one.describe().items()}
        return {**own, **self.read_with}

    def records(self, batch_size: int, progress: bool) -> list[dict[str, Any]]:
        """One record an answer, as a run attaches them to its answers.

        Args:
            batch_size: Questions whose texts are compared at a time.
            progress: Whether to show a bar.
        """
        found: dict[int, Evidence] = {}
        groups: dict[int, list[int]] = {}
        for row, plan in enumerate(self._plans):
            groups.setdefault(id(plan), []).append(row)
        with tqdm(total=len(self._answers), disable=not progress, desc="Scoring") as bar:
            for group, rows in groups.items():
                prompts = [SavedPrompt.of(self._answers[row]) for row in rows]
                for position, evidence in self._answerers[group].answer(prompts, NO_STOP, batch_size):
                    found[rows[position]] = evidence
                    bar.update()
        names = self.names
        return [self._record(row, names, found[row]) for row in range(len(self._answers))]

    def report(self, chosen: Iterable[str], records: Sequence[dict[str, Any]]) -> list[MethodReport]:
        """What has become of each method, those of the file included."""
        names = list(dict.fromkeys([*chosen, *self.names]))
        return [self._report(name, records) for name in names]

    def _record(self, row: int, names: list[str], evidence: Evidence) -> dict[str, Any]:
        saved, plan = self._answers[row], self._plans[row]
        known = {name: saved.uncertainty[name] for name in plan.keep} | scores(plan.compute, evidence)
        spent = evidence.recorded_cost if plan.compute else {}
        reading = self.readings.get(row)
        found: dict[str, Any] = {}
        if reading is not None:
            known |= reading.scores
            found["token_entropies"] = reading.entropies
            found["token_logprobs"] = reading.logprobs if saved.logprobs is None else None
            found["confidence_reply"] = reading.confidence_reply
        return {
            **record(evidence, {name: known.get(name, float("nan")) for name in names}),
            **{name: value for name, value in found.items() if value is not None},
            **saved.record,
            "cost": _together({**saved.record.get("cost", {}), **spent}, {} if reading is None else reading.cost),
        }

    def _report(self, name: str, records: Sequence[dict[str, Any]]) -> MethodReport:
        computed = [
            row for row, plan in enumerate(self._plans) if any(name == one.name for one in (*plan.compute, *plan.read))
        ]
        kept = [row for row, plan in enumerate(self._plans) if name in plan.keep]
        found = [records[row]["uncertainty"][name] for row in (*computed, *kept)]
        return MethodReport(
            name=name,
            computed=len(computed),
            kept=len(kept),
            undefined=found.count(None),
            lacking=dict(Counter(plan.lacking[name] for plan in self._plans if name in plan.lacking)),
            samples=self._counts(name, computed),
        )

    def _counts(self, name: str, rows: Sequence[int]) -> tuple[int, int] | None:
        counts = [count for row in rows for count in self._sample_counts(name, row)]
        return (min(counts), max(counts)) if counts else None

    def _sample_counts(self, name: str, row: int) -> list[int]:
        plan, saved = self._plans[row], self._answers[row]
        (method,) = (one for one in (*plan.compute, *plan.read) if one.name == name)
        sets = sample_sets(method.needs())
        return [len(taken(one, found)) for one in sets if (found := serving(one, saved.sets)) is not None]


def _together(cost: Mapping[str, float], further: Mapping[str, float]) -> dict[str, float]:
    """What an answer cost in both passes."""
    return {name: cost.get(name, 0) + further.get(name, 0) for name in (*cost, *further)}
