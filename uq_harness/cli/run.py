"""``uq-harness run``: lm_eval's command line with model and tasks registered."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from uq_harness import register
from uq_harness.cli.app import app
from uq_harness.evaluation import plugin


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def run(context: typer.Context) -> None:
    """Run lm_eval with its own arguments; needs no start-up hook."""
    run_lm_eval(context.args)


def run_lm_eval(arguments: Sequence[str]) -> None:
    """Runs ``lm_eval run`` with the given arguments.

    Raises:
        SystemExit: As lm_eval ends; with status 2 and a message where this package refuses.
    """
    register()
    plugin.guard_command()
    plugin.guard_tracker()
    from lm_eval.__main__ import cli_evaluate

    before = sys.argv
    sys.argv = ["lm_eval", "run", *arguments]  # lm_eval reads nothing else
    try:
        cli_evaluate()
    finally:
        sys.argv = before
