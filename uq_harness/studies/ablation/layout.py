"""An ablation as JSON, as Markdown in the layout of the paper's Table 2, and as the cells that all tables share.

AUROC and accuracy are percent for readers, and shares in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness import __version__
from uq_harness.evaluation.metrics import FEW_MARK, FEW_MEANS
from uq_harness.files import plain
from uq_harness.functional import FloatArray
from uq_harness.rendering.escape import markdown
from uq_harness.studies.ablation.analysis import Ablation
from uq_harness.studies.ablation.comparison import Compared, Quality
from uq_harness.studies.ablation.evidence import FORMAT, FORMAT_KEY
from uq_harness.studies.ablation.preservation import CAUTION, Preservation
from uq_harness.studies.state_map import token_label

NOTE = (
    "AUROC ± DeLong's standard error, in percent; in brackets the p-value of DeLong's paired test against the default "
    "(SemGrad: l1 norm, entropy weight, top_half, semantic-preserving token; HybridGrad: β = 1, γ = 1), after Holm's "
    "correction for all variants in the table's column, or in the grid."
)

BEST = "SemGrad at one layer and one token. The best of many is so partly by chance: other answers would show it lower."


def to_json(ablations: Sequence[Ablation]) -> dict[str, Any]:
    """Everything found, as plain values; what is undefined is ``None``."""
    return {
        FORMAT_KEY: FORMAT,
        "version": __version__,
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "ablations": [_one(ablation) for ablation in ablations],
    }


def _one(ablation: Ablation) -> dict[str, Any]:
    evidence, states = ablation.evidence, ablation.states
    return {
        "task": evidence.task,
        "judge": evidence.judge,
        "model": asdict(evidence.model) | {"blocks": evidence.n_blocks},
        "answers": len(evidence.correct),
        "without_verdict": ablation.without_verdict,
        "accuracy": ablation.accuracy,
        "too_few": ablation.too_few or None,
        "positions": [asdict(position) for position in evidence.positions],
        "semantic_token": np.unique(evidence.semantic_token).tolist(),
        "methods": {name: plain(asdict(quality)) for name, quality in ablation.methods.items()},
        "semgrad": [_compared(one) for one in ablation.semgrad],
        "tokens": [_compared(one) for one in ablation.tokens],
        "hybridgrad": [_compared(one) for one in ablation.hybridgrad],
        "states": {name: plain(values.tolist()) for name, values in vars(states).items()},
        "preservation": None if ablation.preservation is None else _preservation(ablation.preservation),
    }


def _compared(one: Compared) -> dict[str, Any]:
    difference = None if one.difference is None else plain(one.difference._asdict())
    return {
        "label": one.variant.label,
        "options": dict(one.variant.options),
        **plain(asdict(one.quality)),
        "against_default": difference,
        "p_holm": plain(one.p_holm),
    }


def _preservation(found: Preservation) -> dict[str, Any]:
    values: dict[str, Any] = plain({**vars(found), "sps": found.sps.tolist()})
    return values | {"caution": CAUTION}


# ------------------------------------------------------------------ tables


def columns(ablations: Sequence[Ablation]) -> list[str]:
    """What tells the ablations apart: model and task, and the judge where there are several."""
    several = len({ablation.evidence.judge for ablation in ablations}) > 1
    return [
        f"{Path(one.model.name).name} / {one.name if several else one.task}"
        for one in (ablation.evidence for ablation in ablations)
    ]


def semgrad_rows(ablations: Sequence[Ablation]) -> list[tuple[str, list[str]]]:
    """The rows of the paper's Table 2: label, and a cell an ablation."""
    return _rows([ablation.semgrad for ablation in ablations], ablations)


def token_rows(ablations: Sequence[Ablation]) -> list[tuple[str, list[str]]]:
    """The rows of the prompt's last tokens, the default before them."""
    rows = _rows([ablation.tokens for ablation in ablations], ablations)
    return [(_with_token(label, ablations), cells) for label, cells in rows]


def _rows(tables: Sequence[Sequence[Compared]], ablations: Sequence[Ablation]) -> list[tuple[str, list[str]]]:
    found = [{one.variant.label: one for one in table} for table in tables]
    labels = list(dict.fromkeys(label for rows in found for label in rows))
    columns = [(rows, digits(one.quality.stderr for one in rows.values())) for rows in found]
    marks = [mark(ablation) for ablation in ablations]
    return [
        (
            label,
            [
                cell(rows[label], behind) + few if label in rows else ""
                for (rows, behind), few in zip(columns, marks, strict=True)
            ],
        )
        for label in labels
    ]


def mark(ablation: Ablation) -> str:
    """The mark after each number that comes from too few right or wrong answers."""
    return f" {FEW_MARK}" if ablation.too_few and 0 < ablation.accuracy < 1 else ""


def method_rows(ablations: Sequence[Ablation]) -> list[tuple[str, list[str]]]:
    """The run's own methods: name, and a cell an ablation."""
    names = list(dict.fromkeys(name for ablation in ablations for name in ablation.methods))
    columns = [
        (one.methods, digits(quality.stderr for quality in one.methods.values()), mark(one)) for one in ablations
    ]
    return [(name, [number(found[name], behind) + few for found, behind, few in columns]) for name in names]


def hybridgrad_rows(
    ablation: Ablation, show: Callable[[Compared, int], str]
) -> tuple[list[float], list[tuple[str, list[str]]]]:
    """The grid of HybridGrad: its temperatures, and for each factor a label and the cells.

    Args:
        ablation: The ablation.
        show: Makes a cell with so many digits behind the decimal point.
    """
    found = {tuple(one.variant.options.values()): one for one in ablation.hybridgrad}
    behind = digits(one.quality.stderr for one in ablation.hybridgrad)
    betas, gammas = (sorted({pair[axis] for pair in found}) for axis in (0, 1))
    return betas, [
        (
            f"γ = {gamma:g}",
            [show(found[beta, gamma], behind) + mark(ablation) if (beta, gamma) in found else "" for beta in betas],
        )
        for gamma in gammas
    ]


def digits(errors: Iterable[float]) -> int:
    """Digits behind the decimal point of percentages: a second one says nothing where an error is larger than 1.

    >>> digits([0.025, 0.008]), digits([0.008]), digits([float("nan")])
    (1, 2, 2)
    """
    return 1 if any(error > 0.01 for error in errors) else 2


def cell(one: Compared, behind: int) -> str:
    """AUROC ± error in percent, and the corrected p-value where there is a test."""
    text = number(one.quality, behind)
    if one.difference is None or math.isnan(one.p_holm):
        return text
    return f"{text} ({p_value(one.p_holm)})"


def short_cell(one: Compared, behind: int) -> str:
    """AUROC in percent, with a star where it differs from the default's (corrected p < 0.05)."""
    if math.isnan(one.quality.auroc):
        return "undefined"
    return f"{100 * one.quality.auroc:.{behind}f}{'*' * (one.p_holm < 0.05)}"


def number(quality: Quality, behind: int) -> str:
    """AUROC ± error in percent.

    >>> number(Quality(0.8391, 0.0249, 0), 1)
    '83.9 ± 2.5'
    """
    if math.isnan(quality.auroc):
        return "undefined"
    return f"{100 * quality.auroc:.{behind}f} ± {100 * quality.stderr:.{behind}f}"


def accuracy(ablation: Ablation) -> str:
    """The share of right answers in percent."""
    return f"accuracy {100 * ablation.accuracy:.1f} %"


def p_value(value: float) -> str:
    """A p-value, short.

    >>> p_value(0.0312), p_value(0.00001)
    ('0.031', '<0.001')
    """
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _with_token(label: str, ablations: Sequence[Ablation]) -> str:
    """A token's row with the text at that position, where all ablations have the same."""
    name, _, position = label.partition(" ")
    if name != "token":
        return label
    texts = set()
    for ablation in ablations:
        places = {one.position: one for one in ablation.evidence.positions}
        one = places.get(int(position))
        texts.add("·" if one is None or one.share <= 0.5 else token_label(one.text))
    return f"{label}  {texts.pop()}" if len(texts) == 1 else label


def best_states(ablation: Ablation, count: int = 3) -> list[str]:
    """The states where SemGrad does best, with AUROC in percent; none where too few answers are right or wrong."""
    if ablation.too_few:
        return []
    areas: FloatArray = np.nan_to_num(ablation.states.auroc, nan=-1.0)
    order = np.argsort(-areas, axis=None, kind="stable")[:count]
    found, behind = [], digits(ablation.states.stderr.flat)
    for layer, column in zip(*np.unravel_index(order, areas.shape), strict=True):
        if areas[layer, column] >= 0:
            position = ablation.evidence.positions[column].position
            quality = Quality(float(areas[layer, column]), float(ablation.states.stderr[layer, column]), undefined=0)
            found.append(f"layer {layer}, token {position}: {number(quality, behind)}")
    return found


def best_states_line(ablation: Ablation) -> str:
    """`best_states` and how many cannot be told from the best in one line, or why none is named."""
    found = best_states(ablation)
    if not found:
        return f"none is named: {ablation.too_few}"
    near, states = ablation.states.near_best(), ablation.states.auroc.size
    return f"{'; '.join(found)}; {int(near.sum())} of the {states} are within one standard error of the best"


def preservation_line(found: Preservation) -> str:
    """The correlation in one sentence."""
    return (
        f"Spearman's ρ between a state's AUROC and its Semantic Preservation Score ({found.source}): {found.rho:.3f} "
        f"over {found.states} states; 95% interval {_interval(found.bootstrap)} by bootstrap over token positions, "
        f"{_interval(found.fisher)} by Fisher's transformation."
    )


def _interval(ends: tuple[float, float]) -> str:
    return f"[{ends[0]:.3f}, {ends[1]:.3f}]"


def to_markdown(ablations: Sequence[Ablation]) -> str:
    """The tables as Markdown."""
    heads = columns(ablations)
    lines = ["# Ablation", "", *answers(ablations, markdown), "", "## SemGrad", ""]
    lines += [*_table(["variant", *heads], semgrad_rows(ablations)), "", NOTE, "", "## SemGrad token by token", ""]
    lines += [*_table(["token", *heads], token_rows(ablations)), "", "## All methods of the run", ""]
    lines += _table(["method", *heads], method_rows(ablations))
    for head, ablation in zip(heads, ablations, strict=True):
        betas, rows = hybridgrad_rows(ablation, cell)
        lines += ["", f"## HybridGrad on {markdown(head)}", "", *_table(["", *(f"β = {b:g}" for b in betas)], rows)]
    lines += ["", "## Single states", "", BEST, ""]
    for head, ablation in zip(heads, ablations, strict=True):
        lines.append(f"- {markdown(head)}: {best_states_line(ablation)}")
        if ablation.preservation is not None:
            lines.append(f"  {preservation_line(ablation.preservation)}")
    if any(ablation.preservation is not None for ablation in ablations):
        lines += ["", CAUTION]
    return "\n".join(lines) + "\n"


def answers(ablations: Sequence[Ablation], show: Callable[[str], str] = str) -> list[str]:
    """How many answers there are, and how many are right; below them what the mark means, where it is used.

    Args:
        ablations: The ablations.
        show: Makes names safe for the format.
    """
    lines = [
        f"- {show(head)}: {len(one.evidence.correct):,} answers, {accuracy(one)} "
        f"({show(one.evidence.judge)}), semantic-preserving token at {_semantic_token(one)}{_left_out(one)}"
        for head, one in zip(columns(ablations), ablations, strict=True)
    ]
    return [*lines, f"- {FEW_MEANS}"] if any(one.too_few for one in ablations) else lines


def _left_out(ablation: Ablation) -> str:
    count = ablation.without_verdict
    few = f"; {ablation.too_few}" if ablation.too_few else ""
    return few + (f"; {count:,} more without a verdict are left out" if count else "")


def _semantic_token(ablation: Ablation) -> str:
    return ", ".join(map(str, np.unique(ablation.evidence.semantic_token)))


def _table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    lines = [head, ["---"] * len(head), *([label, *cells] for label, cells in rows)]
    return ["| " + " | ".join(map(markdown, line)) + " |" for line in lines]
