"""``uq-harness doctor``: whether the installation can do its work, and what is missing."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uq_harness.cli.app import LOOK_UP, app, example
from uq_harness.cli.arguments import AsJson
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible

_MARKS = {"ok": ("✓", "green"), "note": ("–", "yellow"), "broken": ("✗", "red")}


@app.command(rich_help_panel=LOOK_UP, epilog=example("uq-harness doctor"))
def doctor(as_json: AsJson = False) -> None:
    """Check the installation: versions, device, lm_eval's plug-in, optional parts, models and folders.

    Nothing is changed or downloaded. Exit status 1 if something is broken that everything needs.
    """
    from uq_harness.studies.doctor.checks import State, examine

    checks = examine()
    broken = [check for check in checks if check.state is State.BROKEN]
    if as_json:
        listed = [{**vars(check), "state": check.state.value} for check in checks]
        print(as_text({"works": not broken, "checks": listed}, indent=2))
    else:
        console = Console()
        table = Table(box=None, show_header=False, padding=(0, 1))
        group = ""
        for check in checks:
            if check.group != group:
                group = check.group
                table.add_row("", Text(group, "bold"), "")
            found = Text(visible(check.found))
            if check.fix:
                found.append(f"\n→ {visible(check.fix)}", "cyan")
            table.add_row(Text(*_MARKS[check.state.value]), Text(visible(check.name)), found)
        console.print(table)
        names = ", ".join(check.name for check in broken)
        console.print(Text(f"Broken: {names}" if broken else "Everything that is needed works.", "bold"))
    if broken:
        raise typer.Exit(1)
