"""Pictures of a policy: whether its probabilities hold, and what error rate each coverage costs, in percent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.abstention.policy import Policy
from uq_harness.functional import risk_coverage
from uq_harness.rendering.escape import visible
from uq_harness.rendering.figures import new_figure, save

_LARGEST_MARKER = 120.0  # area in square points of the bin with most answers


def draw_reliability(policy: Policy, path: Path) -> list[Path]:
    """Writes the reliability diagram and the error rate over coverage with its upper bound, side by side.

    Args:
        policy: What to draw.
        path: Where to, without a suffix.
    """
    figure = new_figure(9, 4.6)
    left, right = figure.subplots(1, 2)
    _draw_bins(left, policy)
    _draw_risk(right, policy)
    title = visible(f"{policy.method} on {policy.run.task}, judged by {policy.run.judge}")
    figure.suptitle(title, parse_math=False)
    return save(figure, path)


def _draw_bins(axes: Any, policy: Policy) -> None:
    bins = policy.held_out.bins
    predicted, observed = (100 * np.array([getattr(b, name) for b in bins]) for name in ("predicted", "observed"))
    reach = np.abs(100 * np.array([b.interval for b in bins]).reshape(-1, 2).T - observed)
    counts = np.array([b.n for b in bins])
    axes.plot([0, 100], [0, 100], color="0.7", linestyle="--", label="as predicted")
    axes.errorbar(predicted, observed, yerr=reach, fmt="none", ecolor="tab:blue", elinewidth=1, capsize=3)
    label = "held-out answers, area by their number, 95 % intervals"
    areas = _LARGEST_MARKER * counts / max(counts, default=1)
    axes.scatter(predicted, observed, s=areas, color="tab:blue", label=label, zorder=3)
    axes.set(xlim=(-2, 102), ylim=(-2, 102), aspect="equal")
    axes.set(xlabel="predicted probability of error, %", ylabel="observed error rate, %")
    error = f"ECE {100 * policy.held_out.calibration_error:.1f} %" if len(bins) else "no answers"
    axes.set_title(f"Reliability, {counts.sum():,} answers, {error}", fontsize="medium")
    _legend_below(axes)


def _draw_risk(axes: Any, policy: Policy) -> None:
    rule = policy.rule
    risks = risk_coverage(policy.run.uncertainty[policy.method], policy.run.correct)
    coverages = np.arange(1, len(risks) + 1) / rule.answers
    axes.plot(100 * coverages, 100 * risks, label="error rate")
    tried = 100 * np.array([(one.answered / rule.answers, one.risk_bound) for one in policy.tried]).reshape(-1, 2)
    axes.plot(*tried.T, "v-", markersize=4, linewidth=1, color="tab:red", label="its upper bound, where it was tried")
    axes.axhline(100 * rule.target, color="0.5", linestyle=":", label=f"target {100 * rule.target:g} %")
    if rule.reachable:
        label = f"answers {100 * rule.coverage:.0f} %"
        axes.axvline(100 * rule.coverage, color="tab:green", label=label)
    axes.set(xlim=(0, 102), ylim=(0, None))
    axes.set(xlabel="questions answered, %", ylabel="error rate among them, %")
    title = "Abstaining" if rule.reachable else "No threshold reaches the target:\nthe bound has to, not the curve"
    axes.set_title(title, fontsize="medium")
    _legend_below(axes)


def _legend_below(axes: Any) -> None:
    """A legend that covers no data."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize="small", frameon=False)
