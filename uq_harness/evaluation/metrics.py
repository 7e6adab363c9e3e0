"""How good an uncertainty score is over a whole task: the metrics that a task reports for every method."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from uq_harness import functional
from uq_harness.correctness.base import Judge
from uq_harness.functional import MEASURES
from uq_harness.methods import all_methods

log = logging.getLogger(__name__)
# One answer's scores by method, and its verdict: one object for all metrics, of which there are hundreds.
Scored = tuple[Mapping[str, float | None], int | None]

RESAMPLES = 1000
# With fewer right or wrong answers the errors of AUROC, AURC and PRR, which hold for many, say nothing.
FEW = 10
FEW_MARK = "‡"
WHY_NO_ERROR = (
    "since the scores separate right from wrong answers completely, or are all the same: that says nothing about how "
    "far off the AUROC may be"
)
FEW_MEANS = f"{FEW_MARK} fewer than {FEW} right or wrong answers: the number and its error mean little"
TELLING = 5  # as many answers with one and the same score are hardly so by chance

# For the group file: plain means over the group's tasks, as in the paper.
GROUP_METRICS = [
    {"metric": name, "weight_by_size": False}
    for name in ("accuracy", *(f"{measure}_{method}" for method in all_methods() for measure in MEASURES))
]


def metrics_of(method: str) -> list[str]:
    """The names of a method's metrics.

    lm_eval knows no standard error of these, so each is followed by an entry of its own for that.

    >>> metrics_of("g_nll")[:3]
    ['auroc_g_nll', 'auroc_g_nll_stderr', 'aurc_g_nll']
    """
    return [f"{measure}_{method}{suffix}" for measure in MEASURES for suffix in ("", "_stderr")]


def constant_methods(uncertainty: Sequence[Mapping[str, float | None]]) -> list[str]:
    """The methods that give all answers one and the same number, and so rank nothing.

    Args:
        uncertainty: The scores of each answer by method, ``None`` where they are undefined.

    >>> constant_methods([{"degree": 0.9, "g_nll": float(i)} for i in range(5)])
    ['degree']
    """
    scores: dict[str, list[float]] = {}
    for one in uncertainty:
        for method, score in one.items():
            if score is not None:
                scores.setdefault(method, []).append(score)
    return [method for method, found in scores.items() if len(found) >= TELLING and len(set(found)) == 1]


def higher_is_better(metric: str) -> bool:
    """Direction of a metric of a method."""
    return MEASURES[metric.partition("_")[0]]


def too_few(right: int, wrong: int) -> str:
    """Which answers are too few for AUROC, AURC and PRR to mean much; empty where there are enough of both.

    >>> too_few(2, 298), too_few(3, 1), too_few(40, 60)
    ('only 2 right answers', 'only 3 right and 1 wrong answers', '')
    """
    counts = [(count, kind) for count, kind in ((right, "right"), (wrong, "wrong")) if count < FEW]
    if not counts:
        return ""
    noun = "answer" if [count for count, _ in counts] == [1] else "answers"
    return f"only {' and '.join(f'{count} {kind}' for count, kind in counts)} {noun}"


def mean_of_judge(values: Sequence[float | None], *, judge: Judge, task: str) -> float:
    """`mean_of_known` of a judge's scores; warns where its verdicts are too few of a kind to rank anything."""
    verdicts = [judge.correct(value) for value in values if value is not None]
    right, wrong = verdicts.count(True), verdicts.count(False)
    if verdicts and not (right and wrong):
        kind = "right" if right else "wrong"
        log.warning(
            "%s: the judge %s calls all %d answers %s, so no uncertainty can be ranked: AUROC and PRR are undefined",
            task,
            judge.key,
            len(verdicts),
            kind,
        )
    elif few := too_few(right, wrong):
        log.warning(
            "%s: by the judge %s there are %s of %d, fewer than %d: AUROC, AURC and PRR mean little, and so do their "
            "errors",
            task,
            judge.key,
            few,
            len(verdicts),
            FEW,
        )
    return mean_of_known(values)


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


def aggregation(metric: str, task: str, seed: int) -> Callable[[Sequence[Scored]], float]:
    """The function that makes one number of a metric of all answers' scores and verdicts.

    Args:
        metric: ``<measure>_<method>`` or ``<measure>_<method>_stderr``.
        task: The task's name, for warnings.
        seed: Seed of the bootstrap.
    """
    measure, _, method = metric.removesuffix("_stderr").partition("_")
    if metric.endswith("_stderr"):
        return partial(_standard_error, measure, method, seed=seed, metric=metric, task=task)
    return partial(_value, measure, method, metric=metric, task=task)


def _value(measure: str, method: str, answers: Sequence[Scored], *, metric: str, task: str) -> float:
    uncertainty, correct = _arrays(method, answers)
    undefined = int(np.isnan(uncertainty).sum())
    if undefined and measure == "auroc":
        log.warning(
            "%s: %s leaves out %d of %d answers without a score or a verdict", task, metric, undefined, len(answers)
        )
    value = float(getattr(functional, measure)(uncertainty, correct))
    if np.isnan(value) and len({verdict for _, verdict in answers} - {None}) > 1:  # else `mean_of_judge` has said why
        judged = set(correct[~np.isnan(uncertainty)].tolist())
        why = {
            0: "no answer has a score and a verdict",
            1: f"all answers with a score are {'right' if judged == {1} else 'wrong'}",
        }
        log.warning("%s: %s is undefined: %s", task, metric, why.get(len(judged), "it has no value"))
    return value


def _standard_error(
    measure: str, method: str, answers: Sequence[Scored], *, seed: int, metric: str, task: str
) -> float:
    uncertainty, correct = _arrays(method, answers)
    if measure == "auroc":
        error = float(functional.auroc_stderr(uncertainty, correct))
        if error == 0:  # where it is nan, one kind of answer is missing or single, which `mean_of_judge` says
            log.warning("%s: %s is 0, %s", task, metric, WHY_NO_ERROR)
        return error
    return float(getattr(_bootstrap(uncertainty.tobytes(), correct.tobytes(), seed), measure))


@lru_cache(maxsize=8)  # AURC and PRR share their resamples
def _bootstrap(uncertainty: bytes, correct: bytes, seed: int) -> Any:
    return functional.bootstrap_stderr(
        np.frombuffer(uncertainty), np.frombuffer(correct, dtype=np.int64), n_resamples=RESAMPLES, seed=seed
    )


def _arrays(method: str, answers: Sequence[Scored]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Scores and verdicts; an answer without a verdict cannot be ranked, so its score does not count either."""
    scores = (None if correct is None else uncertainty[method] for uncertainty, correct in answers)
    uncertainty = np.array([np.nan if score is None else score for score in scores], dtype=np.float64)
    return uncertainty, np.array([correct or 0 for _, correct in answers], dtype=np.int64)
