"""Scores saved answers: groups of those that hold the same kinds of things, a batch of questions at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tqdm import tqdm

from uq_harness.answering import number
from uq_harness.evidence import Evidence, sample_sets
from uq_harness.methods import Method, scores
from uq_harness.saved._evidence import Vocabulary, evidence_of
from uq_harness.saved._plan import MethodReport, Planner
from uq_harness.saved._read import SavedAnswer
from uq_harness.similarity import NLI, Comparer, Similarity


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
        self._vocabulary = Vocabulary()
        self._comparers = {
            id(plan): Comparer(
                plan.needs,
                nli,
                similarity,
                decode=self._vocabulary.decode,
                special_ids=frozenset({Vocabulary.SPECIAL}),
            )
            for plan in self._plans
        }
        for plan, answer in zip(self._plans, self._answers, strict=True):
            evidence_of(answer, plan.needs, self._vocabulary)  # what is wrong with its tokens shows here
        for comparer in self._comparers.values():
            comparer.prepare()

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
        return {name: said for one in self._comparers.values() for name, said in one.describe().items()}

    def records(self, batch_size: int, progress: bool) -> list[dict[str, Any]]:
        """One record an answer, as a run attaches them to its answers.

        Args:
            batch_size: Questions whose texts are compared at a time.
            progress: Whether to show a bar.
        """
        found: dict[int, tuple[dict[str, float], Evidence]] = {}
        groups: dict[int, list[int]] = {}
        for row, plan in enumerate(self._plans):
            groups.setdefault(id(plan), []).append(row)
        with tqdm(total=len(self._answers), disable=not progress, desc="Scoring") as bar:
            for rows in groups.values():
                for start in range(0, len(rows), batch_size):
                    batch = rows[start : start + batch_size]
                    found |= zip(batch, self._scored(batch), strict=True)
                    bar.update(len(batch))
        names = self.names
        return [self._record(row, names, *found[row]) for row in range(len(self._answers))]

    def report(self, chosen: Iterable[str], records: Sequence[dict[str, Any]]) -> list[MethodReport]:
        """What has become of each method, those of the file included."""
        names = list(dict.fromkeys([*chosen, *self.names]))
        return [self._report(name, records) for name in names]

    def _scored(self, rows: Sequence[int]) -> list[tuple[dict[str, float], Evidence]]:
        plan = self._plans[rows[0]]
        comparer = self._comparers[id(plan)]
        evidence = [evidence_of(self._answers[row], plan.needs, self._vocabulary) for row in rows]
        evidence = comparer.add_similarity(comparer.add_entailment(evidence))
        return [(scores(plan.compute, one), one) for one in evidence]

    def _record(self, row: int, names: list[str], scores: dict[str, float], evidence: Evidence) -> dict[str, Any]:
        saved = self._answers[row]
        kept = {name: saved.uncertainty[name] for name in self._plans[row].keep}
        known = {**kept, **scores}
        record: dict[str, Any] = {
            "uncertainty": {name: number(known.get(name, float("nan"))) for name in names},
            "answer": saved.answer,
            **saved.record,
        }
        for name, values in (("token_logprobs", saved.logprobs), ("token_entropies", saved.entropies)):
            if values is not None:
                record[name] = [number(value) for value in values.tolist()]
                record.setdefault("answer_tokens", len(values))
        spent = {name: amount for name, amount in evidence.cost.items() if scores}
        return {**record, "cost": {**saved.record.get("cost", {}), **spent}}

    def _report(self, name: str, records: Sequence[dict[str, Any]]) -> MethodReport:
        computed = [row for row, plan in enumerate(self._plans) if any(name == one.name for one in plan.compute)]
        kept = [row for row, plan in enumerate(self._plans) if name in plan.keep]
        scores = [records[row]["uncertainty"][name] for row in (*computed, *kept)]
        return MethodReport(
            name=name,
            computed=len(computed),
            kept=len(kept),
            undefined=scores.count(None),
            lacking=dict(Counter(plan.lacking[name] for plan in self._plans if name in plan.lacking)),
            samples=self._counts(name, computed),
        )

    def _counts(self, name: str, rows: Sequence[int]) -> tuple[int, int] | None:
        counts = [count for row in rows for count in self._sample_counts(name, row)]
        return (min(counts), max(counts)) if counts else None

    def _sample_counts(self, name: str, row: int) -> list[int]:
        (method,) = (one for one in self._plans[row].compute if one.name == name)
        found = evidence_of(self._answers[row], method.needs(), Vocabulary())
        return [len(found[one]) for one in sample_sets(method.needs())]
