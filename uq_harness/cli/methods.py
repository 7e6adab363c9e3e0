"""``uq-harness methods``: what can be computed, at what cost, and from which source; with a name, one of them whole."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uq_harness.cli.app import LOOK_UP, app, example
from uq_harness.cli.arguments import AsJson
from uq_harness.errors import UQHarnessError, did_you_mean
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible

if TYPE_CHECKING:
    from uq_harness.methods import Method

_MANY = 4  # methods with one option are counted, not named
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


@app.command(rich_help_panel=LOOK_UP, epilog=example("uq-harness methods semgrad"))
def methods(
    name: Annotated[
        str | None, typer.Argument(help="One method: its formula, needs, options and source.", metavar="METHOD")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List all uncertainty methods with their cost, source and options, or show one whole."""
    from uq_harness.methods import all_methods

    known = all_methods()
    if name is not None:
        if name not in known:
            hint = did_you_mean(name, known, f"known are {', '.join(known)}")
            raise UQHarnessError(f"{name!r} is not a method: {hint}")
        found = {**_describe(known[name]), **_details(known[name])}
        if as_json:
            print(as_text(found, indent=2))
        else:
            _show_one(found)
        return
    described = [_describe(method) for method in known.values()]
    if as_json:
        print(as_text(described, indent=2))
        return
    _show_all(described)


def _show_all(described: Sequence[dict[str, Any]]) -> None:
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
    console.print("* in methods=default. Options, as model arguments, like methods= and sp_token=:")
    console.print(_options(described))
    console.print("uq-harness methods METHOD shows one of them whole.", markup=False)


def _options(described: Sequence[dict[str, Any]]) -> Table:
    """The options of methods, each once, with the methods that have it."""
    owners: dict[str, list[str]] = {}
    for row in described:
        for option in row["options"]:
            owners.setdefault(option, []).append(row["name"])
    options = {name: option for row in described for name, option in row["options"].items()}
    several = len(described) > 1
    table = Table("option", *["of"] * several, "default", "meaning")
    table.columns[0].no_wrap = True
    for name, option in options.items():
        owner = ", ".join(owners[name]) if len(owners[name]) < _MANY else f"{len(owners[name])} methods"
        cells = (name, *[owner] * several, str(option["default"]), f"{option['meaning']}; {option['allowed']}")
        table.add_row(*(Text(visible(cell)) for cell in cells))
    return table


def _show_one(found: dict[str, Any]) -> None:
    console = Console()

    def line(what: str, text: str) -> None:
        console.print(Text.assemble((f"{what:<9}", "bold"), visible(text)), soft_wrap=True)

    console.print(Text.assemble((found["title"], "bold"), f"  methods={found['name']}"))
    for paragraph in found["formula"].split("\n\n"):
        console.print(Text(visible(paragraph)))
    console.print()
    line("needs", f"{found['group']}: {', '.join(found['needs'])}")
    line("cost", found["cost"])
    line("sets", ", ".join(found["sets"]) or "none: it is chosen by name")
    line("source", found["source"])
    if found["page"]:
        line("page", found["page"])
    if found["options"]:
        console.print(_options([found]))
    else:
        line("options", "none")


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


def _details(method: type[Method]) -> dict[str, Any]:
    """What the list has no room for: the docstring with the formula, the needs by name, and the page."""
    return {
        "formula": _without_markup(inspect.getdoc(method) or ""),
        "needs": list(dict.fromkeys(type(need).__name__ for need in method().needs())),
        "page": f"docs/methods/{method.name}.md" if method.__module__.startswith("uq_harness.") else None,
    }


def _without_markup(docstring: str) -> str:
    """A docstring's paragraphs on one line each, without marks and without the parts for programmers."""
    text = re.split(r"\n(?:Args|Attributes):\n", docstring)[0].replace("``", "").strip()
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _plain(value: Any) -> Any:
    """A default as the user would type it."""
    return str(value).lower() if isinstance(value, bool) else getattr(value, "name", value)
