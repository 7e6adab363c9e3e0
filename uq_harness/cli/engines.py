"""``uq-harness engines``: which method can be had from which engine, and what is missing where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from uq_harness.cli.app import LOOK_UP, app, example
from uq_harness.cli.arguments import AsJson
from uq_harness.errors import UQHarnessError, did_you_mean
from uq_harness.files import as_text

if TYPE_CHECKING:
    from uq_harness.studies.engines.known import KnownEngine
    from uq_harness.studies.engines.table import EngineTable


@app.command(rich_help_panel=LOOK_UP, epilog=example("uq-harness engines vllm"))
def engines(
    name: Annotated[
        str | None, typer.Argument(help="One engine: what it lacks for each method, and why.", metavar="ENGINE")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table as Markdown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show which method can be had from which engine: exact, bounded, in a second pass, or not at all."""
    from uq_harness.studies.engines.table import engine_table

    table = engine_table()
    chosen = table.engines if name is None else [_named(name, table)]
    if as_json:
        print(as_text([_plain(engine, table) for engine in chosen], indent=2))
    elif markdown:
        print(table.markdown(), end="")
    elif name is None:
        _show_all(table)
    else:
        _show_one(chosen[0], table)


def _named(name: str, table: EngineTable) -> KnownEngine:
    names = {engine.name: engine for engine in table.engines}
    if name not in names:
        hint = did_you_mean(name, names, f"known are {', '.join(names)}")
        raise UQHarnessError(f"{name!r} is not an engine: {hint}")
    return names[name]


def _show_all(table: EngineTable) -> None:
    shown = Table("method", *(engine.name for engine in table.engines))
    shown.columns[0].no_wrap = True
    for method in table.methods:
        shown.add_row(method, *(table.cells[method, engine.name].way.value for engine in table.engines))
    console = Console()
    console.print(shown)
    for engine in table.engines:
        tried = "" if engine.tried else " (from its documentation, not run)"
        console.print(f"  [bold]{engine.name}[/bold]  {engine.remark.replace('`', '')}{tried}", highlight=False)


def _show_one(engine: KnownEngine, table: EngineTable) -> None:
    shown = Table("method", engine.name, "missing")
    shown.columns[0].no_wrap = True
    for method in table.methods:
        cell = table.cells[method, engine.name]
        shown.add_row(method, cell.way.value, cell.missing or "")
    Console().print(shown)


def _plain(engine: KnownEngine, table: EngineTable) -> dict[str, Any]:
    cells = {method: table.cells[method, engine.name] for method in table.methods}
    return {
        "engine": engine.name,
        "tried": engine.tried,
        "remark": engine.remark,
        "methods": {method: {"way": cell.way.value, "missing": cell.missing} for method, cell in cells.items()},
    }
