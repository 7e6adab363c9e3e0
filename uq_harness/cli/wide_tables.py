"""Tables of numbers on a terminal: one if it fits, else one for each group of columns, so that no digit is cut."""

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
    wanted = Measurement.get(console, console.options.update(max_width=10_000), whole).maximum
    if wanted <= console.width:
        console.print(whole)
        return
    for group in dict.fromkeys(group for group, _ in headings):
        columns = [at for at, heading in enumerate(headings) if heading[0] == group]
        name = f"{title}: {group}" if group else title
        console.print(_table(name, [("", heading[1]) for heading in headings], rows, columns))


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
