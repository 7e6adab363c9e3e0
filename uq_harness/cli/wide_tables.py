"""Tables of numbers on a terminal: one if it fits, else one or more for each group of columns; no digit is cut."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from uq_harness.rendering.escape import visible


def print_wide(
    console: Console, title: str, headings: Sequence[tuple[str, str]], rows: Sequence[tuple[str, Sequence[Text]]]
) -> None:
    """Prints a table.

    Args:
        console: Where to.
        title: Its title.
        headings: Group and title of each column of numbers.
        rows: Name and numbers of each row.
    """
    whole = _table(title, headings, rows, range(len(headings)))
    if _fits(console, whole):
        console.print(whole)
        return
    titles = [("", heading[1]) for heading in headings]
    for group in dict.fromkeys(group for group, _ in headings):
        name = f"{title}: {group}" if group else title
        left = [at for at, heading in enumerate(headings) if heading[0] == group]
        while left:
            count = next((n for n in range(len(left), 1, -1) if _fits(console, _table("", titles, rows, left[:n]))), 1)
            console.print(_table(name, titles, rows, left[:count]))
            left = left[count:]


def _fits(console: Console, table: Table) -> bool:
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum <= console.width


def _table(
    title: str, headings: Sequence[tuple[str, str]], rows: Sequence[tuple[str, Sequence[Text]]], columns: Sequence[int]
) -> Table:
    table = Table("", title=Text(visible(title)))
    for at in columns:
        group, name = headings[at]
        table.add_column(Text("\n".join(visible(part) for part in (group, name) if part)), justify="right")
    for name, cells in rows:
        table.add_row(Text(visible(name)), *(cells[at] for at in columns))
    return table
