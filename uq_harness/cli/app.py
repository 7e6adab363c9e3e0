"""The ``uq-harness`` program, to which every command of this package adds itself."""

from __future__ import annotations

import io
import logging
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from uq_harness import __version__
from uq_harness.errors import UQHarnessError
from uq_harness.rendering.escape import VisibleRecord, visible


class _Alphabetical(TyperGroup):
    """The commands in the order of their names, whichever module is imported first."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx))


app = typer.Typer(
    cls=_Alphabetical,
    help="Uncertainty quantification for lm_eval: how far can you trust this model's answer?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"uq-harness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line; wrong use, files that cannot be written included, ends with a message and status 2."""
    logging.setLogRecordFactory(VisibleRecord)  # whoever handles a record, and whatever file its texts come from
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal's encoding does not have is written as its number
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except UQHarnessError as error:
        _refuse(str(error))
    except OSError as error:
        if error.errno is None:  # another library's, not the system's
            raise
        place = "the output" if error.filename is None else repr(str(error.filename))
        _refuse(f"{place} cannot be read or written ({error.strerror}): name another")


def _refuse(message: str) -> NoReturn:
    typer.secho(f"uq-harness: {visible(message)}", fg=typer.colors.RED, err=True)
    sys.exit(2)
