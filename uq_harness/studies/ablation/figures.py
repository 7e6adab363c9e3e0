"""The pictures of an ablation, after the paper's Figures 3 and 5: one panel a file, to fit a column of a paper."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.evidence import LayerSpan
from uq_harness.functional import FloatArray
from uq_harness.rendering.figures import FigureSize, new_figure, save
from uq_harness.studies.ablation.analysis import Ablation
from uq_harness.studies.ablation.layout import accuracy, digits
from uq_harness.studies.sps.heat_map import SCORE, show_score
from uq_harness.studies.state_map import DrawnMap, StateMap, wrapped

_COLUMN, _PAGE = 3.5, 7.0  # widths of a paper's column and page in inches
_TEXT = 7  # points
_IN_A_COLUMN = 16  # layers of a heat map in a paper's column, at most


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
    lines = wrapped(f"{_title(ablation)}\n{title}" if title else _title(ablation), FigureSize(width, _TEXT))
    figure.suptitle("\n".join(lines), fontsize=_TEXT, parse_math=False)
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
            np.array([100 * getattr(found[beta, gamma], name) for beta in known]) for name in ("auroc", "stderr")
        )
        (line,) = axes.plot(known, areas, marker=marker, markersize=3, linewidth=1, label=f"HybridGrad, γ = {gamma:g}")
        axes.fill_between(known, areas - errors, areas + errors, color=line.get_color(), alpha=0.12, linewidth=0)
    for name, colour in (("semgrad", "0.25"), ("paragrad", "0.6")):
        title = {"semgrad": "SemGrad", "paragrad": "ParaGrad"}[name]
        axes.plot(
            ends, [100 * ablation.methods[name].auroc] * 2, color=colour, linestyle="--", linewidth=1, label=title
        )
    axes.set_xscale("log")
    axes.set_xlim(*ends)
    axes.set_xticks(betas, [f"{beta:g}" for beta in betas])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("temperature β of the weight α = exp(-H̄ / β)")
    axes.set_ylabel("AUROC, %" if np.isfinite([one.auroc for one in found.values()]).any() else "AUROC (undefined)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _states(ablation: Ablation) -> Any:
    """AUROC of SemGrad at every single state; dots mark those that cannot be told from the best."""
    behind = digits(ablation.states.stderr.flat)
    drawn, marks = _state_map(
        ablation, 100 * ablation.states.auroc, "AUROC of SemGrad at one state, %", lambda value: f"{value:.{behind}f}"
    )
    near = ablation.states.near_best()
    if near.any():
        dots = drawn.dots(near)
        dots.set_label("within one standard error of the best")
        marks.append(dots)
    if marks:
        drawn.legend(marks)
    return drawn.figure


def _sps(ablation: Ablation) -> Any:
    """The Semantic Preservation Score of the same states."""
    found = ablation.preservation
    assert found is not None
    drawn, marks = _state_map(ablation, found.sps, f"{SCORE} ({found.source})", show_score, signed=True)
    if marks:
        drawn.legend(marks)
    return drawn.figure


def _state_map(
    ablation: Ablation, values: FloatArray, name: str, show: Callable[[float], str], signed: bool = False
) -> tuple[DrawnMap, list[Any]]:
    """A heat map in which a frame marks SemGrad's default, where it is the same for all answers."""
    evidence = ablation.evidence
    size = FigureSize(_COLUMN if evidence.n_blocks <= _IN_A_COLUMN else _PAGE, _TEXT)
    states = StateMap(values, range(evidence.n_blocks), evidence.positions, name, show, signed=signed)
    drawn = states.draw(_title(ablation), size)
    chosen = np.unique(evidence.semantic_token)
    row = len(evidence.positions) + int(chosen[0])
    if len(chosen) > 1 or row < 0:
        return drawn, []
    return drawn, [drawn.frame(row, LayerSpan().resolve(evidence.n_blocks), "--", "SemGrad's default")]


def _scatter(ablation: Ablation) -> Any:
    """AUROC against the Semantic Preservation Score, a point a state, with their correlation."""
    found = ablation.preservation
    assert found is not None
    title = (
        f"Spearman's ρ = {found.rho:.2f} over {found.states} states;\n95 % interval {_interval(found.bootstrap)} by "
        f"bootstrap over token positions,\n{_interval(found.fisher)} if states were independent, which they are not"
    )
    figure, axes = _panel(ablation, title, height=3.2)
    areas = 100 * ablation.states.auroc
    layers = np.repeat(np.arange(len(areas)), areas.shape[1])
    points = axes.scatter(found.sps.ravel(), areas.ravel(), c=layers, cmap="plasma", s=8)
    figure.colorbar(points, ax=axes, label="layer", pad=0.01)
    axes.set_xlabel("Semantic Preservation Score")
    axes.set_ylabel("AUROC, %")
    return figure


def _title(ablation: Ablation) -> str:
    evidence = ablation.evidence
    return (
        f"{evidence.task}, {Path(evidence.model.name).name}: {len(evidence.correct):,} answers, "
        f"{accuracy(ablation)} ({evidence.judge})" + (f"; {ablation.too_few}" if ablation.too_few else "")
    )


def _interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:.2f}, {ends[1]:.2f}]"
