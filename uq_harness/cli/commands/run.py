"""``uq-harness run``."""

from __future__ import annotations

import typer

from uq_harness.cli import app


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def run(context: typer.Context) -> None:
    """Run lm_eval with its own arguments; needs no start-up hook."""
    from uq_harness.cli.run import run_lm_eval

    run_lm_eval(context.args)
