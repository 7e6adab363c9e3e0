"""What a benchmark has found, as plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from uq_harness.methods import Method
from uq_harness.studies.bench.groups import Groups, groups_read, read_by_one
from uq_harness.studies.bench.ledger import STAGES, Entry

GENERATION, DECODING, TOGETHER = "generation", "decoding", "together"
RUN = "the run"  # among what failed: what ended the measurement
# The stages of a run of all methods, in order; the first two are parts of the decoding pass.
ANSWERS, SAMPLES, SCORES = "answers", "samples", "scores"
_RECORDED = ("gradients", "scoring", *STAGES)


@dataclass(frozen=True)
class Spread:
    """A number measured several times.

    Attributes:
        median: Its median over the repeats.
        lowest: The smallest of them.
        highest: The largest.
    """

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of repeated measurements."""
        return cls(float(median(values)), float(min(values)), float(max(values)))


@dataclass(frozen=True)
class Work:
    """How much was done for a question, on average.

    Attributes:
        answer_tokens: Tokens of the answer.
        row_steps: Forward tokens of decoding: tokens that went through the model, a prompt counted as one.
        nli_pairs: Pairs of texts through the NLI model.
        similarity_pairs: Pairs of texts through the similarity model.
    """

    answer_tokens: float
    row_steps: float
    nli_pairs: float
    similarity_pairs: float


@dataclass(frozen=True)
class Cost:
    """What one way of answering costs.

    Attributes:
        name: ``decoding`` (ours, without any method), a method, or ``together``.
        seconds: Seconds a question, of a method alone.
        extra: Seconds a question beyond ``decoding``; for ``decoding`` beyond generation.
        share: The extra as a share of generation.
        beside: Of a method the seconds a question that are saved if it alone is left out of the chosen ones; ``None``
            for other ways.
        work: Work a question, of a method alone.
    """

    name: str
    seconds: Spread
    extra: Spread
    share: Spread
    beside: Spread | None
    work: Work


@dataclass(frozen=True)
class Part:
    """A stage of the run of all methods, or what a part of the decoding pass costs alone.

    Attributes:
        name: Its name.
        seconds: Seconds a question.
        share: The same as a share of generation.
    """

    name: str
    seconds: Spread
    share: Spread


@dataclass(frozen=True)
class Bench:
    """A benchmark of one model on one machine.

    Attributes:
        model: The model.
        device: Its device, and what that is.
        dtype: The type of its weights.
        threads: Threads of the CPU that torch uses.
        batch_size: Questions in a batch.
        tasks: Number of questions by task.
        repeats: How often all is measured.
        complete: Whether it was; else it was stopped.
        measured: Number of measured questions, each once a repeat.
        generation: Seconds a question of lm_eval's own generation (model ``hf``).
        costs: All other ways.
        stages: The stages of the run of all methods.
        groups: What each sample set, and each reading of the greedy answer, adds to decoding if it is read alone.
        peak_megabytes: Memory of the ways that were run, at the peak of the first chunk, beyond what was in use before;
            ``None`` where unknown.
        failed: Ways and methods that could not be measured, and why.
        versions: Versions of what did the work.
        settings: Options of the methods, and the auxiliary models.
    """

    model: str
    device: str
    dtype: str
    threads: int
    batch_size: int
    tasks: Mapping[str, int]
    repeats: int
    complete: bool
    measured: int
    generation: Spread
    costs: tuple[Cost, ...]
    stages: tuple[Part, ...]
    groups: tuple[Part, ...]
    peak_megabytes: Mapping[str, float | None]
    failed: Mapping[str, str]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Accounts:
    """What was noted about some questions.

    Attributes:
        together: Accounts of the run of all methods, a question each.
        others: Of each other way answer tokens and cost, a question each.
    """

    together: tuple[Entry, ...]
    others: Mapping[str, Sequence[tuple[float, Mapping[str, float]]]]


@dataclass(frozen=True)
class Round:
    """A chunk of questions that all ways have answered.

    Attributes:
        repeat: Number of the repeat.
        questions: Number of questions.
        seconds: Seconds of each way.
        accounts: What was noted.
    """

    repeat: int
    questions: int
    seconds: Mapping[str, float]
    accounts: Accounts


def summary(rounds: Sequence[Round], methods: Sequence[Method], groups: Groups) -> dict[str, Any]:
    """``generation``, ``costs``, ``stages`` and ``groups`` of a `Bench`.

    A method's price alone is what the sample sets and readings that it needs add to decoding alone, and what it reads
    of all other stages of the run of all methods. A way that failed in a round is without a price, and so is what
    needs it.
    """
    measured = _Repeats(rounds)
    named = {name: measured.beyond(name) for name in groups if measured.has(name)}
    costs = [measured.cost(DECODING, measured.beyond(DECODING, GENERATION), measured.work(DECODING))]
    for method in methods:
        read = groups_read(method, groups)
        if all(name in named for name in read):
            extra = _sum([*(named[name] for name in read), measured.account(lambda one, m=method.name: one.alone[m])])  # type: ignore[misc]
            alone_in = [named[name] for name in read if read_by_one(name, methods, groups)]
            beside = _sum([*alone_in, measured.account(lambda one, m=method.name: one.beside[m])])  # type: ignore[misc]
            costs.append(measured.cost(method.name, extra, measured.work(method.name, read), beside))
    if len(methods) > 1:
        costs.append(measured.cost(TOGETHER, measured.beyond(TOGETHER), measured.work(TOGETHER)))
    return {
        "generation": Spread.of(measured.seconds(GENERATION)),
        "costs": tuple(costs),
        "stages": tuple(measured.part(name, values) for name, values in measured.stages().items()),
        "groups": tuple(measured.part(name, values) for name, values in named.items()),
    }


class _Repeats:
    """Rounds put together by repeats: lists have a number a question for each repeat."""

    def __init__(self, rounds: Sequence[Round]) -> None:
        self._rounds = rounds
        self._repeats = sorted({one.repeat for one in rounds})

    def has(self, name: str) -> bool:
        """Whether a way did not fail."""
        return all(name in one.seconds for one in self._rounds)

    def seconds(self, name: str) -> list[float]:
        """Seconds of a way."""
        return [
            sum(one.seconds[name] for one in some) / sum(one.questions for one in some) for some in self._by_repeat()
        ]

    def beyond(self, name: str, other: str = DECODING) -> list[float]:
        """What a way takes beyond another one."""
        return [own - less for own, less in zip(self.seconds(name), self.seconds(other), strict=True)]

    def account(self, value: Callable[[Entry], float]) -> list[float]:
        """The mean of a value over the accounts of the run of all methods."""
        return [fmean(value(entry) for one in some for entry in one.accounts.together) for some in self._by_repeat()]

    def stages(self) -> dict[str, list[float]]:
        """The stages of the run of all methods that did something."""
        found = {
            ANSWERS: self.account(lambda one: one.cost["answer_seconds"]),
            SAMPLES: self.account(lambda one: one.cost["decode_seconds"] - one.cost["answer_seconds"]),
            **{
                stage: self.account(lambda one, field=f"{stage}_seconds": one.cost.get(field, 0.0))  # type: ignore[misc]
                for stage in _RECORDED
            },
            SCORES: self.account(lambda one: one.scoring),
        }
        return {name: values for name, values in found.items() if any(values)}

    def work(self, name: str, read: Sequence[str] = ()) -> Work:
        """The work of a way, or of a method that reads some groups."""
        accounts = [entry for one in self._rounds for entry in one.accounts.together]
        tokens, steps = self._tokens_and_steps(DECODING)
        steps += sum(self._tokens_and_steps(group)[1] - steps for group in read)
        if name == TOGETHER:
            steps = fmean(entry.cost["row_steps"] for entry in accounts)
            pairs = [fmean(entry.cost[f"{stage}_pairs"] for entry in accounts) for stage in STAGES]
        else:
            pairs = [fmean(entry.pairs[stage].get(name, 0.0) for entry in accounts) for stage in STAGES]
        return Work(tokens, steps, *pairs)

    def cost(self, name: str, extra: list[float], work: Work, beside: list[float] | None = None) -> Cost:
        """The cost of a way with what it takes beyond another one."""
        base = self.seconds(GENERATION if name == DECODING else DECODING)
        return Cost(
            name,
            Spread.of(_sum([base, extra])),
            Spread.of(extra),
            self._share(extra),
            None if beside is None else Spread.of(beside),
            work,
        )

    def part(self, name: str, values: list[float]) -> Part:
        """A part with its share."""
        return Part(name, Spread.of(values), self._share(values))

    def _share(self, values: list[float]) -> Spread:
        return Spread.of([more / pure for more, pure in zip(values, self.seconds(GENERATION), strict=True)])

    def _by_repeat(self) -> list[list[Round]]:
        return [[one for one in self._rounds if one.repeat == repeat] for repeat in self._repeats]

    def _tokens_and_steps(self, name: str) -> tuple[float, float]:
        noted = [entry for one in self._rounds for entry in one.accounts.others[name]]
        return fmean(tokens for tokens, _ in noted), fmean(cost["row_steps"] for _, cost in noted)


def _sum(columns: Sequence[Sequence[float]]) -> list[float]:
    return [sum(values) for values in zip(*columns, strict=True)]
