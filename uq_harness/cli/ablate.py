"""``uq-harness ablate``: gathers evidence or reads it, compares the variants, writes and shows what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from uq_harness.answering.identity import ModelIdentity
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import LayerSpan
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible
from uq_harness.rendering.figures import new_figure
from uq_harness.studies.ablation import layout
from uq_harness.studies.ablation.analysis import Ablation, Choices, analyse
from uq_harness.studies.ablation.comparison import check_spans, numbers
from uq_harness.studies.ablation.evidence import AblationEvidence
from uq_harness.studies.ablation.preservation import CAUTION, check_sps
from uq_harness.studies.sps.result import SpsResult


def run_ablate(
    arguments: Sequence[str],
    *,
    output: Path,
    evidence: Sequence[Path],
    positions: int | None,
    layers: str | None,
    betas: str,
    gammas: str,
    sps: Sequence[Path],
    figures: bool,
    as_json: bool,
) -> None:
    """Runs the command; what may be missing is found before the first answer.

    Raises:
        UQHarnessError: Wrong use.
    """
    spans = tuple(LayerSpan(span.strip()).name for span in layers.split(",")) if layers else ()
    choices = Choices(spans, numbers("--betas", betas), numbers("--gammas", gammas))
    scores = [SpsResult.read(file) for file in sps]
    if figures:
        new_figure(1, 1)
    _make_folder(output)
    if evidence:
        found = _read(evidence, arguments, positions)
    else:
        found = _generate(arguments, output, positions, choices, scores)
    ablations = [analyse(one, choices, _sps_of(one, scores)) for one in found]
    if not ablations:  # a process that is not the first
        return
    files = _write(ablations, output, figures)
    if not evidence:
        files += [output / one.file_name for one in found]
    if as_json:
        print(as_text(layout.to_json(ablations)))
        return
    _show(ablations, Console(), files)


def _read(files: Sequence[Path], arguments: Sequence[str], positions: int | None) -> list[AblationEvidence]:
    if arguments or positions is not None:
        first = arguments[0] if arguments else "--positions"
        raise UQHarnessError(f"{first} would do nothing beside --from, which runs no model: leave it out")
    return [AblationEvidence.read(file) for file in files]


def _generate(
    arguments: Sequence[str], output: Path, positions: int | None, choices: Choices, scores: Sequence[SpsResult]
) -> list[AblationEvidence]:
    from uq_harness.studies.ablation.model import AblationLM
    from uq_harness.studies.ablation.passes import generate

    if len(scores) > 1:
        raise UQHarnessError(f"--sps is given {len(scores)} times, but one model is run: give its file only")
    if positions is None and scores:
        positions = len(scores[0].positions)

    def check(lm: AblationLM, model: ModelIdentity) -> None:
        check_spans(choices.spans, lm.n_blocks)
        for one in scores:
            check_sps(one, model, lm.n_blocks, lm.n_positions)

    found = generate(arguments, output, positions, check)
    return [] if found is None else list(found)


def _sps_of(evidence: AblationEvidence, scores: Sequence[SpsResult]) -> SpsResult | None:
    """The SPS file of the evidence's model; where there is only one file, that one, to be checked."""
    if len(scores) <= 1:
        return scores[0] if scores else None
    own = [one for one in scores if one.model.weights == evidence.model.weights]
    if not own:
        raise UQHarnessError(f"none of the SPS files was made for {evidence.model.name}: run `uq-harness sps` on it")
    return own[0]


def _make_folder(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UQHarnessError(f"--output {output} cannot be made a folder ({error.strerror}): choose another") from None


def _write(ablations: Sequence[Ablation], output: Path, figures: bool) -> list[Path]:
    """Writes tables and pictures."""
    tables = output / "ablation.json", output / "ablation.md"
    text = json.dumps(layout.to_json(ablations), ensure_ascii=False, allow_nan=False, indent=1)
    tables[0].write_text(text + "\n", encoding="utf-8")
    tables[1].write_text(layout.to_markdown(ablations), encoding="utf-8")
    if not figures:
        return list(tables)
    from uq_harness.studies.ablation.figures import draw

    pictures = [
        file
        for ablation, name in zip(ablations, _file_names(ablations), strict=True)
        for file in draw(ablation, output / name)
    ]
    return [*tables, *pictures]


def _file_names(ablations: Sequence[Ablation]) -> list[str]:
    """A name for each ablation's pictures, with a number where task and judge are the same."""
    names = [one.evidence.name.replace(",", "_") for one in ablations]
    return [
        name if names.count(name) == 1 else f"{name}_{names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def _show(ablations: Sequence[Ablation], console: Console, files: Sequence[Path]) -> None:
    heads = layout.columns(ablations)
    for line in layout.answers(ablations):
        console.print(visible(line), markup=False, highlight=False)
    console.print(_table("SemGrad", "variant", heads, layout.semgrad_rows(ablations)))
    console.print(_table("SemGrad token by token", "token", heads, layout.token_rows(ablations)))
    console.print(layout.NOTE, markup=False, highlight=False)
    console.print(_table("All methods of the run", "method", heads, layout.method_rows(ablations)))
    for head, ablation in zip(heads, ablations, strict=True):
        betas, rows = layout.hybridgrad_rows(ablation, layout.short_cell)
        console.print(_table(f"HybridGrad on {head}", "", [f"β = {beta:g}" for beta in betas], rows))
    console.print("* differs from the default β = 1, γ = 1 (corrected p < 0.05)", markup=False, highlight=False)
    for head, ablation in zip(heads, ablations, strict=True):
        best = layout.best_states_line(ablation)
        console.print(visible(f"Best single states on {head}: {best}"), markup=False, highlight=False, soft_wrap=True)
        if ablation.preservation is not None:
            line = layout.preservation_line(ablation.preservation)
            console.print(visible(line), markup=False, highlight=False, soft_wrap=True)
    if any(ablation.preservation is not None for ablation in ablations):
        console.print(CAUTION, markup=False, highlight=False)
    console.print(visible("Written: " + ", ".join(map(str, files))), markup=False, highlight=False, soft_wrap=True)


def _table(title: str, corner: str, heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> Table:
    table = Table(title=Text(visible(title)), title_justify="left")
    table.add_column(Text(corner), no_wrap=True)
    for head in heads:
        table.add_column(Text(visible(head)), justify="right")
    for label, cells in rows:
        table.add_row(Text(visible(label)), *(Text(visible(cell)) for cell in cells))
    return table
