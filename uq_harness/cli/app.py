"""The commands of ``uq-harness``; each one's work lies in a module of its own and is imported when it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from uq_harness import __version__
from uq_harness.errors import UQHarnessError

app = typer.Typer(
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


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def run(context: typer.Context) -> None:
    """Run lm_eval with its own arguments; needs no start-up hook."""
    from uq_harness.cli.run import run_lm_eval

    run_lm_eval(context.args)


@app.command()
def methods(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """List all uncertainty methods with their cost, source and options."""
    from uq_harness.cli.methods import show_methods

    show_methods(as_json)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for lm_eval's results and samples.")] = Path("uq_demo_results"),
    methods: Annotated[str, typer.Option(help="Methods joined by +, or default, sampling_free, ...")] = "sampling_free",
) -> None:
    """Run the whole way offline, with the small model that comes with the package."""
    from uq_harness.cli.demo import run_demo

    run_demo(output, methods)


def main() -> None:
    """Runs the command line; wrong use ends with a message and status 2."""
    try:
        app()
    except UQHarnessError as error:
        typer.secho(f"uq-harness: {error}", fg=typer.colors.RED, err=True)
        sys.exit(2)
