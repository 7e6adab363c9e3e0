"""The ``uq-harness`` program, to which every command of this package adds itself."""

from __future__ import annotations

import io
import logging
import sys
from typing import Annotated, Any, NoReturn

import typer
from rich.markup import escape
from typer.core import TyperGroup

from uq_harness import __version__
from uq_harness.cli.spelling import spell, without_type
from uq_harness.errors import UQHarnessError
from uq_harness.rendering.escape import VisibleRecord, visible

# The groups of commands in help, in this order.
RUN, DECIDE, STUDY, LOOK_UP = "Run and score", "Report and decide", "Study", "Look up"
_PANELS = (None, RUN, DECIDE, STUDY, LOOK_UP)
# What users of lm_eval type that it has and this program has not.
_ELSEWHERE = {"ls": "lm_eval ls tasks", "validate": "lm_eval validate --tasks NAME"}


class _Program(TyperGroup):
    """The commands by group and name, whichever module is imported first, with their options in lm_eval's spelling."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for command in self.commands.values():
            spell(command)
        without_type(self)

    def get_params(self, ctx: Any) -> Any:
        parameters = super().get_params(ctx)
        for parameter in parameters:  # switches, those of completion included
            parameter.metavar = ""
        return parameters

    def list_commands(self, ctx: Any) -> list[str]:
        def place(name: str) -> tuple[int, str]:
            panel = getattr(self.commands[name], "rich_help_panel", None)
            return _PANELS.index(panel) if panel in _PANELS else len(_PANELS), name

        return sorted(super().list_commands(ctx), key=place)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] in _ELSEWHERE and args[0] not in self.commands:
            raise UQHarnessError(f"{args[0]} is a command of lm_eval, not of uq-harness: use `{_ELSEWHERE[args[0]]}`")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Program,
    help="Uncertainty quantification for lm_eval: how far can you trust this model's answer?",
    epilog="uq-harness COMMAND --help tells a command's options, and ends with an example.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def example(command: str) -> str:
    """The end of a command's help: a command that works as it stands."""
    return f"Example: {escape(command)}"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"uq-harness {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Show the version of uq-harness; `uq-harness doctor` shows those of the packages around it.",
        ),
    ] = False,
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
