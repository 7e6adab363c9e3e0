"""The numbers that are compared, and how each is tested."""

from __future__ import annotations

from dataclasses import dataclass, field

from uq_harness.functional import MEASURES, paired_aurc, paired_auroc, paired_prr

# Probability with which the change that a comparison calls detectable would be found.
POWER = 0.8
# A comparison that would miss a smaller change than this in some number has little power: half an ordinary difference
# between two methods or two models.
LARGE_CHANGE = 0.05
ACCURACY = "accuracy"
# How each measure of a method is tested.
TESTS = {"auroc": paired_auroc, "aurc": paired_aurc, "prr": paired_prr}


@dataclass(frozen=True)
class Difference:
    """Candidate minus baseline in one number of one task.

    Attributes:
        measure: ``accuracy``, ``auroc``, ``aurc`` or ``prr``.
        method: The uncertainty method, empty for accuracy.
        n: Number of questions that both sides answered and scored.
        baseline: The baseline's value over these questions.
        candidate: The candidate's.
        difference: Candidate minus baseline; above 0 is better, but for ``aurc``.
        interval: Confidence interval of the difference at level 1-α, not corrected.
        p_value: Two-sided p-value of no difference.
        stderr: Standard error of the difference.
        p_adjusted: The p-value, corrected over all comparisons.
        verdict: ``worse``, ``better``, ``unchanged`` (not significant), ``small`` (significant, but below the least
            effect that matters) or ``undefined``.
        detectable: The least true change for the worse that would be found with `POWER`; ``nan`` where the two sides
            are the same on every question.
        seconds: How long the test took.
    """

    measure: str
    method: str
    n: int
    baseline: float
    candidate: float
    difference: float
    interval: tuple[float, float]
    p_value: float
    stderr: float
    p_adjusted: float = float("nan")
    verdict: str = "undefined"
    detectable: float = field(default=float("nan"), compare=False)  # nan would make equal rows unequal
    seconds: float = field(default=0.0, compare=False)

    @property
    def name(self) -> str:
        """What is compared, for a table."""
        return ACCURACY if self.measure == ACCURACY else f"{self.method} {self.measure.upper()}"

    @property
    def improved(self) -> bool:
        """Whether the candidate's value is the better one."""
        higher_is_better = self.measure == ACCURACY or MEASURES[self.measure]
        return self.difference != 0 and (self.difference > 0) == higher_is_better
