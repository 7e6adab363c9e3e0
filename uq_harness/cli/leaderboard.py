"""``uq-harness leaderboard``: reads all runs of a folder and writes page and CSV."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible
from uq_harness.report.leaderboard import collect_entries, write_leaderboard
from uq_harness.report.write import read_with_warnings


def run_leaderboard(folder: Path, output: Path, *, title: str, as_json: bool) -> None:
    """Writes the leaderboard and says where.

    Raises:
        UQHarnessError: There is nothing to read, or the output is a file.
    """
    if output.exists() and not output.is_dir():
        raise UQHarnessError(f"--output {str(output)!r} is a file: name a folder")
    runs, warnings = read_with_warnings([folder])
    entries = collect_entries(runs)
    files = write_leaderboard(entries, output, title)
    if as_json:
        described = {"files": [str(file) for file in files], "runs": len(runs), "rows": len(entries), "notes": warnings}
        print(as_text(described))
        return
    console = Console()
    for note in warnings:
        console.print(Text(f"note: {visible(note)}"), soft_wrap=True)
    where = " and ".join(visible(str(file)) for file in files)
    console.print(Text(f"{len(entries)} rows of {len(runs)} runs: {where}"), soft_wrap=True)
