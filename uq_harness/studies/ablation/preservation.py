"""Whether SemGrad works best where meaning is preserved: AUROC of single states against their SPS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from uq_harness.answering.identity import ModelIdentity
from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray
from uq_harness.studies.ablation.comparison import States
from uq_harness.studies.ablation.evidence import AblationEvidence
from uq_harness.studies.sps.result import SpsResult

RESAMPLES = 2000
LEVEL = 0.95
CAUTION = (
    "States are not independent: neighbouring layers and tokens are alike, and all AUROCs come from the same answers. "
    "Fisher's interval takes them for independent and is too narrow; the bootstrap resamples whole token positions, "
    "which are few and not independent either. Read both as rough."
)


@dataclass(frozen=True)
class Preservation:
    """The correlation between the AUROC of a single state and its Semantic Preservation Score.

    Attributes:
        source: Which data sets of the SPS file the score is from.
        sps: The score of every state, ``[blocks, positions]``.
        rho: Spearman's rank correlation over all states; ``nan`` where one side is constant or undefined.
        fisher: Its 95% interval by Fisher's transformation with Bonett and Wright's standard error, as if states were
            independent.
        bootstrap: Its 95% percentile interval over resampled token positions, each with all its layers.
        states: Number of states where both are defined.
    """

    source: str
    sps: FloatArray
    rho: float
    fisher: tuple[float, float]
    bootstrap: tuple[float, float]
    states: int

    @classmethod
    def of(cls, evidence: AblationEvidence, states: States, sps: SpsResult, seed: int = 0) -> Preservation:
        """Relates the states' AUROCs to their scores.

        Raises:
            UQHarnessError: See `check_sps`.
        """
        check_sps(sps, evidence.model, evidence.n_blocks, len(evidence.positions))
        source, scores = _scores_for(sps, evidence.task)
        rows = [sps.layers.index(layer) for layer in range(evidence.n_blocks)]
        scores = scores[rows, -len(evidence.positions) :]
        rho = float(spearman(states.auroc.ravel(), scores.ravel()))
        count = int(np.count_nonzero(np.isfinite(states.auroc) & np.isfinite(scores)))
        return cls(
            source=source,
            sps=scores,
            rho=rho,
            fisher=fisher_interval(rho, count),
            bootstrap=bootstrap_interval(states.auroc, scores, seed),
            states=count,
        )


def check_sps(sps: SpsResult, model: ModelIdentity, n_blocks: int, n_positions: int) -> None:
    """Checks that an SPS file is about the model, and covers its states.

    Args:
        sps: The file's content.
        model: The model, with no template where prompts do not go through it.
        n_blocks: The model's blocks.
        n_positions: How many of the prompt's last tokens are needed.

    Raises:
        UQHarnessError: It is about another model or chat template, or layers or positions are missing in it.
    """
    then = sps.model
    if then.weights != model.weights:
        raise UQHarnessError(
            f"the SPS file was made for another model: {then.name} ({then.dtype}, weights {then.weights}), and this "
            f"one is {model.name} ({model.dtype}, weights {model.weights}): run `uq-harness sps` on this model"
        )
    if then.template != model.template:
        made, now = (_template(one) for one in (then, model))
        raise UQHarnessError(
            f"the SPS file was made with {made}, and the answers with {now}: run `uq-harness sps` "
            "with the same template, and the ablation with --apply_chat_template if there is one"
        )
    missing = [layer for layer in range(n_blocks) if layer not in sps.layers]
    if missing:
        raise UQHarnessError(f"the SPS file lacks layer {missing[0]}: run `uq-harness sps` with --layers all")
    if n_positions > len(sps.positions):
        raise UQHarnessError(
            f"the SPS file covers the prompts' last {len(sps.positions)} tokens, and the ablation {n_positions}: run "
            f"`uq-harness sps` with --positions {n_positions}, or the ablation with --positions {len(sps.positions)}"
        )


def _template(model: ModelIdentity) -> str:
    return "no chat template" if model.template is None else f"the chat template {model.template}"


def _scores_for(sps: SpsResult, task: str) -> tuple[str, FloatArray]:
    """The scores on the task's own questions where the file has them, else the average over its data sets."""
    own = [one for one in sps.data_sets if one.task == task and one.checked]
    chosen = own or list(sps.data_sets)
    names = ", ".join(one.name for one in chosen)
    return (names if own else f"average of {names}"), np.mean([one.sps for one in chosen], axis=0)


def spearman(first: FloatArray, second: FloatArray) -> FloatArray:
    """Spearman's rank correlation over the last axis, of the entries that are finite in both.

    Returns:
        One number for each row; ``nan`` where one side is constant or too little is finite.
    """
    both = np.isfinite(first) & np.isfinite(second)
    ranks = [stats.rankdata(np.where(both, side, np.nan), axis=-1, nan_policy="omit") for side in (first, second)]
    count = np.count_nonzero(both, -1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = (np.where(both, side - np.where(both, side, 0).sum(-1, keepdims=True) / count, 0) for side in ranks)
        return np.asarray((a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1)), dtype=np.float64)


def fisher_interval(rho: float, n: int) -> tuple[float, float]:
    """Interval of a rank correlation by Fisher's transformation, for ``n`` independent pairs.

    Source:
        Bonett and Wright 2000, Psychometrika 65: the standard error of ``atanh ρ`` is ``√((1 + ρ²/2) / (n - 3))``.

    >>> [round(end, 3) for end in fisher_interval(0.5, 100)]
    [0.326, 0.641]
    """
    if not abs(rho) < 1 or n <= 3:
        return (rho, rho) if abs(rho) == 1 else (float("nan"), float("nan"))
    margin = stats.norm.isf((1 - LEVEL) / 2) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    return float(np.tanh(np.arctanh(rho) - margin)), float(np.tanh(np.arctanh(rho) + margin))


def bootstrap_interval(first: FloatArray, second: FloatArray, seed: int = 0) -> tuple[float, float]:
    """Percentile interval of the rank correlation over resampled columns, the same in both arrays."""
    columns = first.shape[1]
    draws = np.random.default_rng(seed).integers(columns, size=(RESAMPLES, columns))
    drawn = [side[:, draws].swapaxes(0, 1).reshape(RESAMPLES, -1) for side in (first, second)]
    found = spearman(*drawn)
    found = found[np.isfinite(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
