"""The pictures of an ablation, after the paper's Figures 3 and 5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.functional import FloatArray
from uq_harness.rendering.figures import new_figure, save
from uq_harness.studies.ablation.analysis import Ablation
from uq_harness.studies.sps.heat_map import token_label


def draw(ablation: Ablation, path: Path) -> list[Path]:
    """Draws all pictures of a task.

    Args:
        ablation: What was found.
        path: Where to; ``_hybridgrad`` and ``_states`` with a suffix are put behind its name.

    Returns:
        The files, PNG and SVG.
    """
    pictures = {"hybridgrad": _hybridgrad(ablation), "states": _states(ablation)}
    return [file for name, figure in pictures.items() for file in save(figure, path.with_name(f"{path.name}_{name}"))]


def _hybridgrad(ablation: Ablation) -> Any:
    """Entropies of right and wrong answers, and HybridGrad's AUROC against its temperature."""
    figure = new_figure(12.0, 4.2)
    left, right = figure.subplots(1, 2)
    _entropies(ablation, left)
    _temperatures(ablation, right)
    figure.suptitle(_title(ablation), fontsize=10, parse_math=False)
    return figure


def _entropies(ablation: Ablation, axes: Any) -> None:
    evidence = ablation.evidence
    known = np.isfinite(evidence.mean_entropy)
    edges = np.histogram_bin_edges(evidence.mean_entropy[known], bins=30)
    for value, label, colour in ((1, "right", "tab:blue"), (0, "wrong", "tab:orange")):
        chosen = evidence.mean_entropy[known & (evidence.correct == value)]
        axes.hist(chosen, bins=edges, alpha=0.6, color=colour, label=f"{label} ({len(chosen)})")
    axes.set_xlabel("mean entropy of the answer's tokens (nats)")
    axes.set_ylabel("answers")
    axes.legend(title="answer", fontsize=8)


def _temperatures(ablation: Ablation, axes: Any) -> None:
    areas = {tuple(one.variant.options.values()): one.quality.auroc for one in ablation.hybridgrad}
    betas = sorted({beta for beta, _ in areas})
    ends = betas[0] / 1.2, betas[-1] * 1.2
    for gamma in sorted({gamma for _, gamma in areas}):
        known = [beta for beta in betas if (beta, gamma) in areas]
        label = f"HybridGrad, γ = {gamma:g}"
        axes.plot(known, [areas[beta, gamma] for beta in known], marker="o", markersize=4, label=label)
    for name, colour in (("semgrad", "0.25"), ("paragrad", "0.6")):
        title = {"semgrad": "SemGrad", "paragrad": "ParaGrad"}[name]
        axes.plot(ends, [ablation.methods[name].auroc] * 2, color=colour, linestyle="--", linewidth=1.2, label=title)
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    axes.set_xticks(betas, [f"{beta:g}" for beta in betas])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("temperature β of the weight α = exp(-H̄ / β)")
    axes.set_ylabel("AUROC" if np.isfinite(list(areas.values())).any() else "AUROC (undefined)")
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _states(ablation: Ablation) -> Any:
    """AUROC of SemGrad at every single state, next to the Semantic Preservation Score where there is one."""
    found = ablation.preservation
    panels = 1 if found is None else 3
    rows, columns = ablation.states.auroc.shape
    width, height = min(12.0, 2.6 + 0.36 * columns), min(14.0, 3.4 + 0.26 * rows)
    figure = new_figure(width if found is None else 2 * width + 4.2, height)
    axes = figure.subplots(1, panels, squeeze=False, width_ratios=[1] if found is None else [width, width, 4.2])[0]
    _heat_map(figure, axes[0], ablation, ablation.states.auroc, "AUROC of SemGrad at this state alone")
    title = _title(ablation)
    if found is not None:
        _heat_map(figure, axes[1], ablation, found.sps, f"Semantic Preservation Score ({found.source})")
        _scatter(axes[2], ablation.states.auroc, found.sps)
        title += (
            f"\nSpearman's ρ = {found.rho:.2f} over {found.states} states; 95% interval "
            f"{_interval(found.bootstrap)} by bootstrap over token positions, {_interval(found.fisher)} if states were "
            "independent, which they are not"
        )
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _heat_map(figure: Any, axes: Any, ablation: Ablation, values: FloatArray, label: str) -> None:
    positions = ablation.evidence.positions
    image = axes.imshow(values, origin="lower", aspect="auto", cmap="viridis", interpolation="nearest")
    figure.colorbar(image, ax=axes, pad=0.01)
    labels = [f"{token_label(one.text) if one.share > 0.5 else '·'}  {one.position}" for one in positions]
    axes.set_xticks(range(len(positions)), labels, rotation=90, fontsize=8, family="monospace", parse_math=False)
    step = max(1, len(values) // 20)
    axes.set_yticks(range(0, len(values), step))
    axes.set_title(label, fontsize=9, parse_math=False)
    axes.set_xlabel("token and its position (· = varies with the question)")
    axes.set_ylabel("layer (state entering the block)")
    chosen = np.unique(ablation.evidence.semantic_token)
    for position in chosen if len(chosen) == 1 else ():
        axes.axvline(len(positions) + position, color="white", linestyle="--", linewidth=1, alpha=0.8)


def _scatter(axes: Any, areas: FloatArray, scores: FloatArray) -> None:
    layers = np.repeat(np.arange(len(areas)), areas.shape[1])
    points = axes.scatter(scores.ravel(), areas.ravel(), c=layers, cmap="plasma", s=14)
    axes.figure.colorbar(points, ax=axes, label="layer", pad=0.01)
    axes.set_xlabel("Semantic Preservation Score")
    axes.set_ylabel("AUROC")
    axes.set_title("every state", fontsize=9)


def _title(ablation: Ablation) -> str:
    evidence = ablation.evidence
    return (
        f"{evidence.task}, {Path(evidence.model.name).name}: {len(evidence.correct):,} answers, accuracy "
        f"{ablation.accuracy:.3f} ({evidence.judge})" + (f"; {ablation.too_few}" if ablation.too_few else "")
    )


def _interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:.2f}, {ends[1]:.2f}]"
