"""``uq-harness methods``: what can be computed, at what cost, and from which source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from uq_harness.cli.app import app
from uq_harness.files import as_text

if TYPE_CHECKING:
    from uq_harness.methods import Method

# What methods need, from little to much.
GROUPS = (
    "the greedy answer alone",
    "the greedy answer, and a model that compares its words with likely others",
    "a further pass over the answer",
    "samples",
    "samples, and a model that compares them",
    "samples, and a further pass over them",
    "a diverse beam search",
)


@app.command()
def methods(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """List all uncertainty methods with their cost, source and options."""
    from uq_harness.methods import all_methods

    described = [_describe(method) for method in all_methods().values()]
    if as_json:
        print(as_text(described, indent=2))
        return
    console = Console()
    width = max(len(row["name"]) for row in described) + 1
    for group in GROUPS:
        rows = [row for row in described if row["group"] == group]
        table = Table("method", "cost beyond the greedy answer", "source", title=f"Needs {group}", title_justify="left")
        table.columns[0].no_wrap, table.columns[0].min_width = True, width
        for row in rows:
            table.add_row(row["name"] + ("*" if row["default"] else ""), row["cost"], row["source"])
        if rows:
            console.print(table)
    options: dict[str, str] = {}
    for row in described:
        for name, option in row["options"].items():
            options[name] = f"{option['meaning']}; {option['allowed']} (default {option['default']})"
    console.print("* in methods=default. Options, as model arguments, like methods= and sp_token=:")
    for name, meaning in options.items():
        console.print(f"  [bold]{name}[/bold]  {meaning}", highlight=False)


def group_of(method: type[Method]) -> str:
    """What a method needs, as the table groups it: one of `GROUPS`."""
    from uq_harness.evidence import DiverseBeams

    needs = method().needs()
    stages = {need.stage for need in needs}
    if not method.sampling:
        return GROUPS[0] if stages <= {"answer"} else GROUPS[1] if stages <= {"answer", "nli"} else GROUPS[2]
    if any(isinstance(need.sample_set, DiverseBeams) for need in needs):
        return GROUPS[6]
    if stages <= {"answer", "samples"}:
        return GROUPS[3]
    return GROUPS[5] if "scoring" in stages else GROUPS[4]


def _describe(method: type[Method]) -> dict[str, Any]:
    """One method as plain values."""
    from uq_harness.methods.sets import NAMES

    return {
        "name": method.name,
        "title": method.title,
        "default": "default" in method.sets,
        "sets": [name for name in NAMES if name in method.sets],
        "sampling": method.sampling,
        "group": group_of(method),
        "cost": method.cost,
        "source": method.source,
        "options": {
            field.name: {
                "default": _plain(field.default),
                "allowed": field.metadata["allowed"],
                "meaning": field.metadata["meaning"],
            }
            for field in method.options()
        },
    }


def _plain(value: Any) -> Any:
    """A default as the user would type it."""
    return str(value).lower() if isinstance(value, bool) else getattr(value, "name", value)
