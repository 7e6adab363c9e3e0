"""What a benchmark has found, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

GENERATION, DECODING = "generation", "decoding"


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
        seconds: Seconds a question.
        extra: Seconds a question beyond ``decoding``, repeat by repeat; for ``decoding`` beyond generation.
        share: The extra as a share of generation.
        work: Work a question.
        peak_megabytes: Memory at the peak of the first chunk, beyond what was in use before; ``None`` if unknown.
    """

    name: str
    seconds: Spread
    extra: Spread
    share: Spread
    work: Work
    peak_megabytes: float | None


def cost_of(
    name: str, each: Mapping[str, list[float]], counts: Sequence[Mapping[str, float]], peak: float | None
) -> Cost:
    """The cost of one way of answering.

    Args:
        name: The way.
        each: Seconds a question of every way, repeat by repeat.
        counts: Work and tokens of each answer that the way gave.
        peak: Its memory.
    """
    before = each[GENERATION if name == DECODING else DECODING]
    extra = [own - other for own, other in zip(each[name], before, strict=True)]
    share = [more / pure for more, pure in zip(extra, each[GENERATION], strict=True)]

    def mean(field: str) -> float:
        return float(sum(one.get(field, 0.0) for one in counts) / len(counts))

    work = Work(mean("answer_tokens"), mean("row_steps"), mean("nli_pairs"), mean("similarity_pairs"))
    return Cost(name, Spread.of(each[name]), Spread.of(extra), Spread.of(share), work, peak)


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
        repeats: How often all was measured.
        generation: Seconds a question of lm_eval's own generation (model ``hf``).
        generation_peak_megabytes: Its memory; see `Cost`.
        costs: All other ways.
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
    generation: Spread
    generation_peak_megabytes: float | None
    costs: tuple[Cost, ...]
    versions: Mapping[str, str]
    settings: Mapping[str, Any]
