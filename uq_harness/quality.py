"""How good an uncertainty score is over a whole task: the metrics that a task reports for every method."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from uq_harness import functional
from uq_harness.methods import all_methods

log = logging.getLogger(__name__)
Pair = tuple[float | None, int | None]

# Metric name without the method, and whether higher is better.
MEASURES = {"auroc": True, "aurc": False, "prr": True}
RESAMPLES = 1000

# For the group file: plain means over the group's tasks, as in the paper.
GROUP_METRICS = [
    {"metric": name, "weight_by_size": False}
    for name in ("accuracy", *(f"{measure}_{method}" for method in all_methods() for measure in MEASURES))
]


def metrics_of(method: str, uncertainty: float | None, correct: int | None) -> dict[str, Pair]:
    """What one example contributes to every metric of a method.

    lm_eval knows no standard error of these metrics, so each is followed by an entry of its own for that.
    """
    pair = (uncertainty, correct)
    return {f"{measure}_{method}{suffix}": pair for measure in MEASURES for suffix in ("", "_stderr")}


def higher_is_better(metric: str) -> bool:
    """Direction of a metric of a method."""
    return MEASURES[metric.partition("_")[0]]


def mean_of_known(values: Sequence[float | None]) -> float:
    """The mean over the answers with a verdict; ``nan`` where there is none.

    >>> mean_of_known([1.0, None, 0.5])
    0.75
    """
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else float("nan")


def mean_of_known_stderr(values: Sequence[float | None]) -> float:
    """The standard error of `mean_of_known`; ``nan`` for fewer than two verdicts."""
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1) / np.sqrt(len(known))) if len(known) > 1 else float("nan")


def aggregation(metric: str, task: str, seed: int) -> Callable[[Sequence[Pair]], float]:
    """The function that makes one number of a metric's per-example pairs.

    Args:
        metric: ``<measure>_<method>`` or ``<measure>_<method>_stderr``.
        task: The task's name, for warnings.
        seed: Seed of the bootstrap.
    """
    measure = metric.partition("_")[0]
    if metric.endswith("_stderr"):
        return partial(_standard_error, measure, seed=seed)
    return partial(_value, measure, metric=metric, task=task)


def _value(measure: str, pairs: Sequence[Pair], *, metric: str, task: str) -> float:
    uncertainty, correct = _arrays(pairs)
    undefined = int(np.isnan(uncertainty).sum())
    if undefined and measure == "auroc":
        log.warning(
            "%s: %s leaves out %d of %d answers without a score or a verdict", task, metric, undefined, len(pairs)
        )
    value = float(getattr(functional, measure)(uncertainty, correct))
    if np.isnan(value):
        judged = set(correct[~np.isnan(uncertainty)].tolist())
        why = {
            0: "no answer has a score and a verdict",
            1: f"all answers are {'correct' if judged == {1} else 'wrong'}",
        }
        log.warning("%s: %s is undefined: %s", task, metric, why.get(len(judged), "it has no value"))
    return value


def _standard_error(measure: str, pairs: Sequence[Pair], *, seed: int) -> float:
    uncertainty, correct = _arrays(pairs)
    if measure == "auroc":
        return float(functional.auroc_stderr(uncertainty, correct))
    return float(getattr(_bootstrap(uncertainty.tobytes(), correct.tobytes(), seed), measure))


@lru_cache(maxsize=8)  # AURC and PRR share their resamples
def _bootstrap(uncertainty: bytes, correct: bytes, seed: int) -> Any:
    return functional.bootstrap_stderr(
        np.frombuffer(uncertainty), np.frombuffer(correct, dtype=np.int64), n_resamples=RESAMPLES, seed=seed
    )


def _arrays(pairs: Sequence[Pair]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Scores and verdicts; an answer without a verdict cannot be ranked, so its score does not count either."""
    uncertainty = np.array([np.nan if u is None or correct is None else u for u, correct in pairs], dtype=np.float64)
    return uncertainty, np.array([correct or 0 for _, correct in pairs], dtype=np.int64)
