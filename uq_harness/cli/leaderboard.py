"""``uq-harness leaderboard``: ranks the runs of folders, prepares runs for a shared board, and checks such runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from uq_harness.cli.app import DECIDE, app, example
from uq_harness.cli.arguments import refuse_output_file
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible


@app.command(rich_help_panel=DECIDE, epilog=example("uq-harness leaderboard out --output board"))
def leaderboard(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Folders with runs, searched with all folders in them.", metavar="FOLDERS..."),
    ],
    output: Annotated[Path | None, typer.Option(help="Folder for the page, the CSV and the Parquet file.")] = None,
    title: Annotated[str, typer.Option(help="The page's title.")] = "Leaderboard",
    alpha: Annotated[float, typer.Option(help="Probability that any rank is outside its interval.")] = 0.05,
    submission: Annotated[
        Path | None,
        typer.Option(
            help="Instead, copy the runs into this folder, to submit them: results without paths and keys, samples as "
            "they are, unless they may hold a key."
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Instead, check runs that are to be submitted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")] = False,
) -> None:
    """Rank methods and models over the same questions, on a page with every run; or check runs for a shared board."""
    chosen = [
        name
        for name, given in (("--output", output), ("--submission", submission), ("--check", check or None))
        if given
    ]
    if len(chosen) > 1:
        raise UQHarnessError(f"{' and '.join(chosen)} are different tasks: give one of them")
    if check:
        _check(folders, as_json)
    elif submission is not None:
        _submit(folders, submission, as_json)
    else:
        _write(folders, output, title, alpha, as_json)


def _write(folders: list[Path], output: Path | None, title: str, alpha: float, as_json: bool) -> None:
    from uq_harness.report.leaderboard import collect_leaderboard, write_leaderboard
    from uq_harness.report.write import read_with_warnings

    if not 0 < alpha < 1:
        raise UQHarnessError(f"--alpha {alpha:g} is not between 0 and 1: 0.05 is usual")
    if output is None and len(folders) > 1:
        raise UQHarnessError("--output is missing: name the folder for the page, such as --output board")
    where = output or folders[0]
    refuse_output_file(where)
    runs, warnings = read_with_warnings(folders)
    if output is None:
        warnings.append(
            f"written among the results in {where}; a later version will ask for --output, as report does: give it now"
        )
    board = collect_leaderboard(runs, alpha)
    files = write_leaderboard(board, where, title)
    notes = [*warnings, *board.notes]
    if as_json:
        described = {
            "files": [str(file) for file in files],
            "runs": len(runs),
            "rows": len(board.entries),
            "boards": [
                {
                    "questions": one.title,
                    "judge": one.judge,
                    "models": list(one.labels),
                    "methods_by_auroc": [
                        {"method": name, "mean": found.mean.value, "stderr": found.mean.stderr, "rank": found.rank}
                        for name, found in one.methods[""]["auroc"].items()
                    ],
                }
                for one in board.boards
            ],
            "notes": notes,
        }
        print(as_text(described))
        return
    console = Console()
    for note in notes:
        console.print(Text(f"note: {visible(note)}"), soft_wrap=True)
    names = ", ".join(visible(str(file)) for file in files)
    console.print(Text(f"{len(board.entries)} rows of {len(runs)} runs: {names}"), soft_wrap=True)


def _submit(folders: list[Path], submission: Path, as_json: bool) -> None:
    from uq_harness.report.leaderboard.submission import write_submission

    refuse_output_file(submission)
    files = write_submission(folders, submission)
    if as_json:
        print(as_text({"files": [str(file) for file in files]}))
        return
    text = (
        f"{len(files)} files in {visible(str(submission))}: results without paths and keys, samples as they are. "
        f"Next: uq-harness leaderboard --check {visible(str(submission))}"
    )
    Console().print(Text(text), soft_wrap=True)


def _check(folders: list[Path], as_json: bool) -> None:
    from uq_harness.report.leaderboard.check import check_submission

    checked = check_submission(folders)
    if as_json:
        print(
            as_text(
                {
                    "faults": [{"file": one.file, "fault": one.text} for one in checked.faults],
                    "notes": [{"file": one.file, "note": one.text} for one in checked.notes],
                    "runs": checked.runs,
                }
            )
        )
    else:
        console = Console()
        for kind, found in (("note", checked.notes), ("fault", checked.faults)):
            for one in found:
                console.print(Text(f"{kind}: {visible(one.file)}: {visible(one.text)}"), soft_wrap=True)
        faults = f"{len(checked.faults)} fault{'' if len(checked.faults) == 1 else 's'}"
        verdict = f"{faults}: mend them, and check again" if checked.faults else "no faults: ready to be submitted"
        console.print(Text(f"{checked.runs} run{'' if checked.runs == 1 else 's'} checked, {verdict}"), soft_wrap=True)
    if checked.faults:
        raise typer.Exit(1)
