"""What a judge is, and the kind that compares an answer with one reference at a time."""

from __future__ import annotations

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn, TypeVar

from uq_harness.errors import UQHarnessError, did_you_mean
from uq_harness.functional import MEASURES
from uq_harness.registry import Registry


@dataclasses.dataclass(frozen=True)
class Judge(ABC):
    """Says how right each answer of a task is; an answer is correct from ``threshold`` on.

    A subclass is a frozen dataclass whose fields are the judge's options, checked when it is built. Building one loads
    nothing: models come with `prepare` or with the first `score`, once a process.

    Attributes:
        name: The name in ``--metadata``; without a label also of the filter and of the mean score in the results.
        threshold: The smallest score of a correct answer, in [0, 1].
        label: What the results have in place of the name, so that two judges of one kind can be told apart.
    """

    name: ClassVar[str]
    threshold: float
    label: str | None = dataclasses.field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Checks the options; a subclass with more of them extends this.

        Raises:
            UQHarnessError: An option's value is not allowed.
        """
        value = self.threshold
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            self.refuse("threshold", "a number from 0 to 1")
        if self.label is not None and not (isinstance(self.label, str) and _LABEL.fullmatch(self.label)):
            self.refuse("label", "letters, digits, '.', '-' and '_', and no name of a metric")

    @property
    def key(self) -> str:
        """The name of the judge's filter and of its mean score in the results: its label, else its name."""
        return self.label or self.name

    def prepare(self) -> None:  # noqa: B027  # most judges need nothing
        """Loads what the judge needs, so that a missing part shows before any answer is generated.

        Raises:
            UQHarnessError: Something is missing; the message says what, and how to get it.
        """

    @abstractmethod
    def score(
        self, questions: Sequence[str], answers: Sequence[str], references: Sequence[Sequence[str]]
    ) -> list[float]:
        """Scores all answers of a task at once.

        Args:
            questions: The bare questions, n of them.
            answers: The answers to judge, one a question.
            references: The reference answers of each question, at least one that is not blank.

        Returns:
            One number a question; ``nan`` where the judge reached no verdict.

        Raises:
            UQHarnessError: The lengths differ, or a question has no reference answer.
        """

    def correct(self, score: float) -> bool:
        """Whether a score means a correct answer; an undefined one does not."""
        return score >= self.threshold

    def describe(self) -> dict[str, Any]:
        """The judge's name and options as plain JSON values, for the results' configuration."""
        options = {"name": self.name, **dataclasses.asdict(self)}
        return {option: value for option, value in options.items() if option != "label" or value is not None}

    def usable_references(
        self, questions: Sequence[str], answers: Sequence[str], references: Sequence[Sequence[str]]
    ) -> list[list[str]]:
        """The references of each question that are not blank; `score`'s arguments are checked on the way.

        Raises:
            UQHarnessError: The lengths differ, or a question has no reference answer.
        """
        if not len(questions) == len(answers) == len(references):
            raise UQHarnessError(
                f"{self.name} needs as many answers and lists of references as questions, but got "
                f"{len(questions)} questions, {len(answers)} answers and {len(references)} lists of references"
            )
        return [_usable(question, given) for question, given in zip(questions, references, strict=True)]

    def refuse(self, option: str, allowed: str) -> NoReturn:
        """Raises the error about an option's value."""
        raise UQHarnessError(
            f"correctness judge {self.name}: {option}={getattr(self, option)!r} is not allowed, use {allowed}"
        )


# What lm_eval and `uq_harness.evaluation.task` call metrics of other kinds cannot be the name of a judge's mean score.
_LABEL = re.compile(
    rf"(?!({'|'.join(MEASURES)}|undefined)_|(accuracy|alias|name|samples|sample_len)$|.*_stderr$)[\w.-]+", re.ASCII
)


class Triple(NamedTuple):
    """An answer and one reference answer of its question."""

    question: str
    answer: str
    reference: str


@dataclasses.dataclass(frozen=True)
class ReferenceJudge(Judge):
    """A judge that looks at one reference at a time; the best of a question's references counts."""

    @abstractmethod
    def score_triples(self, triples: Sequence[Triple]) -> list[float]:
        """One number a triple."""

    def score(
        self, questions: Sequence[str], answers: Sequence[str], references: Sequence[Sequence[str]]
    ) -> list[float]:
        """The maximum over each question's references; see `Judge.score`. Blank references are passed over."""
        kept = self.usable_references(questions, answers, references)
        values = iter(
            self.score_triples(
                [
                    Triple(question, answer, reference)
                    for question, answer, given in zip(questions, answers, kept, strict=True)
                    for reference in given
                ]
            )
        )
        return [best(next(values) for _ in given) for given in kept]


def best(values: Iterable[float]) -> float:
    """The maximum of those values that are defined; ``nan`` if none is.

    >>> best([0.2, float("nan"), 0.6])
    0.6
    """
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _usable(question: str, references: Sequence[str]) -> list[str]:
    if isinstance(references, str):
        raise UQHarnessError(f"the references of a question must be a list of texts, but got {references!r}")
    kept = [reference for reference in references if reference.strip()]
    if not kept:
        raise UQHarnessError(f"no reference answer for the question {question!r}: add one, or leave the question out")
    return kept


J = TypeVar("J", bound=type[Judge])
_registry = Registry("judge", f"{__package__}.judges", Judge)  # type: ignore[type-abstract]  # it is not built


def register_judge(cls: J) -> J:
    """Class decorator that makes a judge known under its name.

    Raises:
        UQHarnessError: Another class has the name already, or the class is not a dataclass of its own.
    """
    _registry.register(cls)
    return cls


def judge_names() -> list[str]:
    """The names of all judges, in alphabetical order.

    >>> judge_names()
    ['bem', 'exact_match', 'f1', 'llm_judge', 'rouge_l', 'token_recall']
    """
    return sorted(_registry.all())


def build_judge(spec: str | Mapping[str, Any]) -> Judge:
    """The judge that a name, or a mapping of a name and options, means.

    >>> build_judge({"name": "f1", "threshold": 0.6}).describe()
    {'name': 'f1', 'threshold': 0.6, 'question_words': 'ignore'}

    Args:
        spec: The value of ``correctness`` in ``--metadata``: ``"bem"``, or ``{"name": "bem", "threshold": 0.8}``.

    Raises:
        UQHarnessError: The name, an option or an option's value is not allowed.
    """
    options: Mapping[str, Any] = {"name": spec} if isinstance(spec, str) else spec
    if not isinstance(options, Mapping) or not isinstance(options.get("name"), str):
        raise UQHarnessError(
            f'correctness={spec!r} names no judge: use one of {", ".join(judge_names())}, or {{"name": "bem", ...}} '
            "with options"
        )
    names = judge_names()
    name = options["name"]
    if name not in names:
        raise UQHarnessError(_unknown("correctness judge", name, names))
    cls = _registry.all()[name]
    known = [field.name for field in dataclasses.fields(cls)]
    for option in options:
        if option != "name" and option not in known:
            raise UQHarnessError(_unknown(f"option of the correctness judge {name}:", str(option), known))
    judge = cls(**{option: value for option, value in options.items() if option != "name"})
    if judge.key != name and judge.key in names:
        raise UQHarnessError(
            f"label={judge.label!r} of the correctness judge {name} is another judge's name: change it"
        )
    return judge


def _unknown(kind: str, name: str, known: list[str]) -> str:
    hint = did_you_mean(name, known, "it is none of them")
    return f"unknown {kind} {name!r}: {hint} (known: {', '.join(known)})"
