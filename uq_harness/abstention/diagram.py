"""Pictures of a policy: whether its probabilities hold, and what error rate each coverage costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.abstention.policy import Policy
from uq_harness.functional import risk_coverage
from uq_harness.rendering.escape import visible
from uq_harness.rendering.figures import new_figure, save


def draw_reliability(policy: Policy, path: Path) -> list[Path]:
    """Writes the reliability diagram and the risk-coverage curve side by side, as PNG and SVG.

    Args:
        policy: What to draw.
        path: Where to, without a suffix.
    """
    figure = new_figure(9, 4)
    left, right = figure.subplots(1, 2)
    _draw_bins(left, policy)
    _draw_risk(right, policy)
    title = visible(f"{policy.method} on {policy.run.task}, judged by {policy.run.judge}")
    figure.suptitle(title, parse_math=False)
    return save(figure, path)


def _draw_bins(axes: Any, policy: Policy) -> None:
    bins = policy.held_out.bins
    predicted, observed = [b.predicted for b in bins], np.array([b.observed for b in bins])
    reach = np.abs(np.array([b.interval for b in bins]).reshape(-1, 2).T - observed)
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="as predicted")
    axes.errorbar(predicted, observed, yerr=reach, fmt="o", capsize=3, label="held-out answers, 95 % intervals")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.set(xlabel="predicted probability of error", ylabel="observed error rate")
    axes.set_title(f"Reliability, ECE {100 * policy.held_out.calibration_error:.1f} %")
    axes.legend(loc="best", fontsize="small")


def _draw_risk(axes: Any, policy: Policy) -> None:
    rule = policy.rule
    risks = risk_coverage(policy.run.uncertainty[policy.method], policy.run.correct)
    coverages = np.arange(1, len(risks) + 1) / rule.answers
    axes.plot(coverages, risks, label="error rate")
    axes.axhline(rule.target, color="0.5", linestyle=":", label=f"target {rule.target:g}")
    if rule.reachable:
        axes.axvline(rule.coverage, color="tab:green", label=f"answers {rule.coverage:.0%}")
        axes.plot([rule.coverage], [rule.risk_bound], "v", color="tab:green", label="upper bound")
    axes.set(xlim=(0, 1.02), ylim=(0, None), xlabel="share of questions answered", ylabel="error rate among them")
    axes.set_title("Abstaining" if rule.reachable else "No threshold reaches the target")
    axes.legend(fontsize="small")
