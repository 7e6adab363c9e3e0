"""AUROC of every variant, and its difference from the default with a paired test corrected for their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uq_harness.errors import UQHarnessError
from uq_harness.evidence import LayerSpan
from uq_harness.functional import AurocDifference, FloatArray, auroc, auroc_stderr, holm, paired_auroc
from uq_harness.methods import Method, build_methods
from uq_harness.rendering.bar import bar_if_slow
from uq_harness.studies.ablation.evidence import AblationEvidence

SPANS = ("top_half", "last_quarter", "all")
BETAS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
GAMMAS = (0.1, 1.0, 10.0)
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Variant:
    """One way to score the answers.

    Attributes:
        label: What it is called in tables.
        method: The method with its options.
        options: The model arguments with which an ordinary run gives the same scores.
        position: The token taken for the semantic-preserving one; ``None`` for that itself.
    """

    label: str
    method: Method
    options: Mapping[str, Any] = field(default_factory=dict)
    position: int | None = None

    def score(self, evidence: AblationEvidence) -> FloatArray:
        """The score of every answer, by the method itself; ``nan`` where it is undefined."""
        needs = self.method.needs()
        rows = range(len(evidence.correct))
        return np.array([self.method.score(evidence.of_answer(row, needs, self.position)) for row in rows])


def semgrad_variants(spans: Sequence[str] = ()) -> tuple[Variant, ...]:
    """SemGrad as it is by default, then with one thing changed at a time, in the order of the paper's Table 2.

    Args:
        spans: Layer spans beyond those that have names.
    """
    changes: list[dict[str, Any]] = [
        {},
        {"semgrad_norm": "l2"},
        {"semgrad_reweight": False},
        *({"semgrad_layers": span} for span in dict.fromkeys((*SPANS[1:], *spans))),
    ]
    variants = [Variant(_label(change), _build("semgrad", change), _typed(change)) for change in changes]
    last = Variant("last token", variants[0].method, {"sp_token": "last"}, -1)
    return (*variants, last)


def token_variants(n_positions: int) -> tuple[Variant, ...]:
    """SemGrad as it is by default, then with each of the prompt's last tokens for the semantic-preserving one."""
    default = semgrad_variants()[0]
    positions = range(-1, -n_positions - 1, -1)
    return (default, *(Variant(f"token {p}", default.method, {"sp_token": p}, p) for p in positions))


def hybridgrad_variants(betas: Sequence[float] = BETAS, gammas: Sequence[float] = GAMMAS) -> tuple[Variant, ...]:
    """HybridGrad as it is by default, then every other pair of a temperature β and a factor γ."""
    pairs = dict.fromkeys([(1.0, 1.0), *((beta, gamma) for gamma in gammas for beta in betas)])
    return tuple(
        Variant(f"β = {beta:g}, γ = {gamma:g}", _build("hybridgrad", change), change)
        for beta, gamma in pairs
        for change in [{"hybrid_beta": beta, "hybrid_gamma": gamma}]
    )


def check_spans(spans: Sequence[str], n_blocks: int) -> None:
    """Checks that layer spans fit a model.

    Raises:
        UQHarnessError: One is not a span, or names blocks that the model does not have.
    """
    for span in spans:
        LayerSpan(span).resolve(n_blocks)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers above zero, as typed with commas between them.

    Raises:
        UQHarnessError: Something is not such a number.

    >>> numbers("--betas", "0.5,1,2")
    (0.5, 1.0, 2.0)
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(0 < value < float("inf") for value in values):
        raise UQHarnessError(f"{option} {text} is not allowed: use numbers above 0 with commas between them")
    return values


def _build(name: str, options: Mapping[str, Any]) -> Method:
    (method,) = build_methods(name, options)
    return method


def _label(change: Mapping[str, Any]) -> str:
    match change:
        case {"semgrad_norm": norm}:
            return f"{norm} norm"
        case {"semgrad_reweight": False}:
            return "no entropy reweighting"
        case {"semgrad_layers": span}:
            return f"layers {span}"
    return "SemGrad (default)"


def _typed(change: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a user types them."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in change.items()}


@dataclass(frozen=True)
class Quality:
    """How well a score tells wrong answers from right ones.

    Attributes:
        auroc: ``nan`` where all answers are right, or all wrong.
        stderr: Its standard error by DeLong.
        undefined: Number of answers without a score.
    """

    auroc: float
    stderr: float
    undefined: int

    @classmethod
    def of(cls, scores: FloatArray, correct: FloatArray) -> Quality:
        """The quality of given scores."""
        undefined = int(np.count_nonzero(~np.isfinite(scores)))
        return cls(auroc(scores, correct), auroc_stderr(scores, correct), undefined)


@dataclass(frozen=True)
class Compared:
    """A variant's quality compared with the default's.

    Attributes:
        variant: The variant.
        quality: Its quality.
        difference: Its AUROC minus the default's, by DeLong's paired test; ``None`` for the default, and for what gives
            every answer the default's score.
        p_holm: The p-value after Holm's correction for all variants of the same table; ``nan`` where there is no test.
    """

    variant: Variant
    quality: Quality
    difference: AurocDifference | None
    p_holm: float


def compare(variants: Sequence[Variant], evidence: AblationEvidence) -> tuple[Compared, ...]:
    """Scores all variants from the same evidence and compares them with the first one, the default.

    Where ``variants`` are one family of tests, Holm's correction covers all of it.
    """
    scores = [variant.score(evidence) for variant in variants]
    differences = [_difference(one, scores[0], evidence.correct) for one in scores]
    adjusted = holm([np.nan if one is None else one.p_value for one in differences])
    return tuple(
        Compared(variant, Quality.of(one, evidence.correct), difference, float(p))
        for variant, one, difference, p in zip(variants, scores, differences, adjusted, strict=True)
    )


def _difference(scores: FloatArray, default: FloatArray, correct: FloatArray) -> AurocDifference | None:
    if np.array_equal(scores, default, equal_nan=True):
        return None
    return paired_auroc(scores, default, correct)


@dataclass(frozen=True)
class States:
    """SemGrad at every single state, one layer and one token at a time; arrays are ``[blocks, positions]``.

    Attributes:
        auroc: Its AUROC.
        stderr: The standard error by DeLong.
        difference: Its AUROC minus that of the default SemGrad.
        p_value: DeLong's paired test against the default.
        p_holm: The same after Holm's correction for all states.
    """

    auroc: FloatArray
    stderr: FloatArray
    difference: FloatArray
    p_value: FloatArray
    p_holm: FloatArray

    @classmethod
    def of(cls, evidence: AblationEvidence, default: FloatArray) -> States:
        """Scores every state with the mean absolute value, tokens weighted by their entropies, as SemGrad's default.

        Args:
            evidence: The evidence.
            default: The default SemGrad's scores.
        """
        shape = evidence.absolute.shape[2:]
        each = evidence.absolute[1].reshape(len(default), -1).T
        quality, tests = [], []
        for scores in bar_if_slow(each, what="Comparing states", unit="state"):
            quality.append(Quality.of(scores, evidence.correct))
            tests.append(paired_auroc(scores, default, evidence.correct))
        p_values = np.array([test.p_value for test in tests])
        return cls(
            auroc=np.array([one.auroc for one in quality]).reshape(shape),
            stderr=np.array([one.stderr for one in quality]).reshape(shape),
            difference=np.array([test.difference for test in tests]).reshape(shape),
            p_value=p_values.reshape(shape),
            p_holm=holm(p_values).reshape(shape),
        )

    def near_best(self) -> BoolArray:
        """The states whose AUROC is within one standard error of the best one's, that of the best.

        All of them are candidates for the best: the highest of many numbers is so partly by chance.
        """
        if not np.isfinite(self.auroc).any():
            return np.zeros(self.auroc.shape, dtype=bool)
        best = np.unravel_index(np.nanargmax(self.auroc), self.auroc.shape)
        near: BoolArray = self.auroc >= self.auroc[best] - self.stderr[best]
        return near
