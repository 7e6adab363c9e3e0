"""The pictures of an ablation, after the paper's Figures 3 and 5: one panel a file, to fit a column of a paper."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.functional import FloatArray
from uq_harness.rendering.figures import new_figure, save
from uq_harness.studies.ablation.analysis import Ablation
from uq_harness.studies.sps.heat_map import token_label

_COLUMN, _PAGE = 3.5, 7.0  # widths of a paper's column and page in inches
_TEXT = 7  # points


def draw(ablation: Ablation, path: Path) -> list[Path]:
    """Draws all pictures of a task.

    Args:
        ablation: What was found.
        path: Where to; the name of a picture is put behind its name: ``_entropies``, ``_hybridgrad``, ``_states``, and
            with a Semantic Preservation Score ``_sps`` and ``_states_sps``.

    Returns:
        The files.
    """
    pictures = {"entropies": _entropies, "hybridgrad": _temperatures, "states": _states}
    if ablation.preservation is not None:
        pictures |= {"sps": _sps, "states_sps": _scatter}
    return [file for name, make in pictures.items() for file in _draw_one(ablation, make, path, name)]


def _draw_one(ablation: Ablation, make: Callable[[Ablation], Any], path: Path, name: str) -> list[Path]:
    import matplotlib

    sizes = dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize", "legend.fontsize"), _TEXT)
    with matplotlib.rc_context({**sizes, "xtick.labelsize": _TEXT, "ytick.labelsize": _TEXT}):
        return save(make(ablation), path.with_name(f"{path.name}_{name}"))


def _panel(ablation: Ablation, title: str, width: float = _COLUMN, height: float = 2.6) -> tuple[Any, Any]:
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    figure.suptitle(f"{_title(ablation)}\n{title}" if title else _title(ablation), fontsize=_TEXT, parse_math=False)
    return figure, axes


def _entropies(ablation: Ablation) -> Any:
    """How uncertain the tokens of right and of wrong answers are, each as shares of its own kind."""
    figure, axes = _panel(ablation, "")
    evidence = ablation.evidence
    known = np.isfinite(evidence.mean_entropy)
    edges = np.histogram_bin_edges(evidence.mean_entropy[known], bins=20)
    for value, label, colour, style in ((1, "right", "tab:blue", "-"), (0, "wrong", "tab:orange", "--")):
        chosen = evidence.mean_entropy[known & (evidence.correct == value)]
        shares = np.full(len(chosen), 100 / max(len(chosen), 1))
        drawn = {"weights": shares, "color": colour, "linestyle": style, "label": f"{label} ({len(chosen)})"}
        axes.hist(chosen, bins=edges, histtype="step", linewidth=1.4, **drawn)
    axes.set_xlabel("mean entropy of the answer's tokens (nats)")
    axes.set_ylabel("answers of the kind, %")
    axes.legend(title="answer")
    return figure


def _temperatures(ablation: Ablation) -> Any:
    """HybridGrad's AUROC against its temperature, with standard errors as bands."""
    figure, axes = _panel(ablation, "bands: one standard error", height=3.2)
    found = {tuple(one.variant.options.values()): one.quality for one in ablation.hybridgrad}
    betas = sorted({beta for beta, _ in found})
    ends = betas[0] / 1.2, betas[-1] * 1.2
    for gamma, marker in zip(sorted({gamma for _, gamma in found}), cycle("os^Dv"), strict=False):
        known = [beta for beta in betas if (beta, gamma) in found]
        areas, errors = (
            np.array([getattr(found[beta, gamma], name) for beta in known]) for name in ("auroc", "stderr")
        )
        (line,) = axes.plot(known, areas, marker=marker, markersize=3, linewidth=1, label=f"HybridGrad, γ = {gamma:g}")
        axes.fill_between(known, areas - errors, areas + errors, color=line.get_color(), alpha=0.12, linewidth=0)
    for name, colour in (("semgrad", "0.25"), ("paragrad", "0.6")):
        title = {"semgrad": "SemGrad", "paragrad": "ParaGrad"}[name]
        axes.plot(ends, [ablation.methods[name].auroc] * 2, color=colour, linestyle="--", linewidth=1, label=title)
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    axes.set_xticks(betas, [f"{beta:g}" for beta in betas])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("temperature β of the weight α = exp(-H̄ / β)")
    axes.set_ylabel("AUROC" if np.isfinite([one.auroc for one in found.values()]).any() else "AUROC (undefined)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _states(ablation: Ablation) -> Any:
    """AUROC of SemGrad at every single state; dots mark those that cannot be told from the best."""
    title = "AUROC of SemGrad at one state"
    near = ablation.states.near_best()
    if near.any():
        title += ";\ndots: within one standard error of the best"
    figure, axes = _heat_map(ablation, ablation.states.auroc, title)
    rows, columns = np.nonzero(near)
    axes.scatter(columns, rows, s=5, color="white", edgecolors="black", linewidths=0.4, zorder=3)
    return figure


def _sps(ablation: Ablation) -> Any:
    """The Semantic Preservation Score of the same states."""
    found = ablation.preservation
    assert found is not None
    return _heat_map(ablation, found.sps, f"Semantic Preservation Score ({found.source})")[0]


def _heat_map(ablation: Ablation, values: FloatArray, label: str) -> tuple[Any, Any]:
    positions = ablation.evidence.positions
    rows, columns = values.shape
    size = min(_PAGE, max(_COLUMN, 1.3 + 0.19 * columns)), min(9.0, 2.6 + 0.15 * rows)
    figure, axes = _panel(ablation, label, *size)
    image = axes.imshow(values, origin="lower", aspect="auto", cmap="viridis", interpolation="nearest")
    figure.colorbar(image, ax=axes, pad=0.01)
    labels = [f"{token_label(one.text) if one.share > 0.5 else '·'}  {one.position}" for one in positions]
    axes.set_xticks(range(columns), labels, rotation=90, family="monospace", parse_math=False)
    axes.set_yticks(range(0, rows, max(1, rows // 20)))
    axes.set_xlabel("token and its position (· = varies with the question)")
    axes.set_ylabel("layer")
    chosen = np.unique(ablation.evidence.semantic_token)
    for position in chosen if len(chosen) == 1 else ():
        axes.axvline(columns + position, color="white", linestyle="--", linewidth=1, alpha=0.8)
    return figure, axes


def _scatter(ablation: Ablation) -> Any:
    """AUROC against the Semantic Preservation Score, a point a state, with their correlation."""
    found = ablation.preservation
    assert found is not None
    title = (
        f"Spearman's ρ = {found.rho:.2f} over {found.states} states;\n95 % interval {_interval(found.bootstrap)} by "
        f"bootstrap over token positions,\n{_interval(found.fisher)} if states were independent, which they are not"
    )
    figure, axes = _panel(ablation, title, height=3.2)
    areas = ablation.states.auroc
    layers = np.repeat(np.arange(len(areas)), areas.shape[1])
    points = axes.scatter(found.sps.ravel(), areas.ravel(), c=layers, cmap="plasma", s=8)
    figure.colorbar(points, ax=axes, label="layer", pad=0.01)
    axes.set_xlabel("Semantic Preservation Score")
    axes.set_ylabel("AUROC")
    return figure


def _title(ablation: Ablation) -> str:
    evidence = ablation.evidence
    return (
        f"{evidence.task}, {Path(evidence.model.name).name}: {len(evidence.correct):,} answers, "
        f"accuracy {ablation.accuracy:.3f} ({evidence.judge})" + (f"; {ablation.too_few}" if ablation.too_few else "")
    )


def _interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:.2f}, {ends[1]:.2f}]"
