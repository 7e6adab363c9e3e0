"""Scores saved answers: groups of those that hold the same kinds of things, a batch of questions at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tqdm import tqdm

from uq_harness.answering import Answerer, record
from uq_harness.evidence import Evidence, sample_sets
from uq_harness.methods import Method, scores
from uq_harness.saved._evidence import NO_STOP, SavedBackend, SavedPrompt
from uq_harness.saved._plan import MethodReport, Planner
from uq_harness.saved._read import SavedAnswer
from uq_harness.similarity import NLI, Similarity


class Scorer:
    """The chosen methods over the answers of a file.

    Args:
        answers: The answers.
        planner: Says what can be done about each.
        nli: The NLI service; it is loaded only if a method that can be computed needs it.
        similarity: The similarity service; likewise.

    Raises:
        UQHarnessError: An auxiliary model cannot be had, or a sample's tokens do not make up its text.
    """

    def __init__(self, answers: Sequence[SavedAnswer], planner: Planner, nli: NLI, similarity: Similarity) -> None:
        self._answers = tuple(answers)
        self._plans = [planner.plan(answer) for answer in answers]
        self._backends: dict[int, SavedBackend] = {}
        self._answerers: dict[int, Answerer] = {}
        for plan, answer in zip(self._plans, self._answers, strict=True):
            if id(plan) not in self._answerers:
                self._backends[id(plan)] = SavedBackend(answer)
                self._answerers[id(plan)] = Answerer(self._backends[id(plan)], (nli, similarity), plan.compute)
            self._backends[id(plan)].evidence(answer)  # what is wrong with its tokens shows here

    @property
    def names(self) -> list[str]:
        """Methods with a score for some answer, those that were computed first."""
        computed = [method.name for plan in self._plans for method in plan.compute]
        kept = [name for plan in self._plans for name in plan.keep]
        return list(dict.fromkeys([*computed, *kept]))

    def methods(self) -> list[Method]:
        """The methods that are computed for some answer."""
        return list(dict.fromkeys(method for plan in self._plans for method in plan.compute))

    def describe(self) -> dict[str, Any]:
        """The auxiliary models in use, for the results' configuration."""
        return {name: said for one in self._answerers.values() for name, said in one.describe().items()}

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
        spent = evidence.cost if plan.compute else {}
        return {
            **record(evidence, {name: known.get(name, float("nan")) for name in names}),
            **saved.record,
            "cost": {**saved.record.get("cost", {}), **spent},
        }

    def _report(self, name: str, records: Sequence[dict[str, Any]]) -> MethodReport:
        computed = [row for row, plan in enumerate(self._plans) if any(name == one.name for one in plan.compute)]
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
        (method,) = (one for one in self._plans[row].compute if one.name == name)
        found = self._backends[id(self._plans[row])].evidence(self._answers[row])
        return [len(found[one]) for one in sample_sets(method.needs())]
