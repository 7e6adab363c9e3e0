"""AUROC of every variant, and its difference from the default with a paired test corrected for their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from uq_harness.ablation._evidence import AblationEvidence
from uq_harness.ablation._variants import Variant
from uq_harness.functional import AurocDifference, FloatArray, auroc, auroc_stderr, holm, paired_auroc


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
    """A variant's quality beside that of the default.

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
        quality = [Quality.of(scores, evidence.correct) for scores in each]
        tests = [paired_auroc(scores, default, evidence.correct) for scores in each]
        p_values = np.array([test.p_value for test in tests])
        return cls(
            auroc=np.array([one.auroc for one in quality]).reshape(shape),
            stderr=np.array([one.stderr for one in quality]).reshape(shape),
            difference=np.array([test.difference for test in tests]).reshape(shape),
            p_value=p_values.reshape(shape),
            p_holm=holm(p_values).reshape(shape),
        )
