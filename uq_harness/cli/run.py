"""``uq-harness run``: lm_eval's command line with models and tasks registered, and help for what this package adds."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from uq_harness import register
from uq_harness.cli.app import RUN, app
from uq_harness.cli.spelling import underscored
from uq_harness.evaluation import plugin

EXAMPLE = (
    "uq-harness run --model uq-hf --model_args pretrained=demo,methods=g_nll+exgrad --tasks uq_demo --limit 8 "
    "--apply_chat_template --device cpu"
)


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
    rich_help_panel=RUN,
)
def run(context: typer.Context) -> None:
    """Run lm_eval with its own arguments; needs no start-up hook. Its --help has the models of this package, too."""
    arguments = underscored(context.args)
    if {"-h", "--help"} & set(arguments):
        typer.echo(run_help())
        return
    run_lm_eval(arguments)


def run_help() -> str:
    """lm_eval's help for ``run``, with the models of this package and their arguments."""
    from lm_eval._cli.harness import HarnessCLI

    parser = HarnessCLI()._subparsers.choices["run"]
    parser.prog, parser.usage, parser.epilog = "uq-harness run", None, None
    return "\n".join([parser.format_help().rstrip(), "", *_models(), "", "example:", f"  $ {EXAMPLE}"])


def _models() -> list[str]:
    """The models, and the arguments of ``uq-hf`` beside those of lm_eval's ``hf``."""
    from uq_harness.cli.docstrings import documented_arguments

    lines = [
        "models of uq-harness (--model; lm_eval's own give no uncertainty, its default hf included):",
        "  uq-hf    transformers in this process: every method",
        "  uq-vllm  vLLM in this process: methods that need neither gradients nor hidden states",
        "  uq-api   an OpenAI-compatible server: what the server can give (`uq-harness engines`)",
        "",
        "arguments of uq-hf in --model_args, with their defaults; every argument of hf works too:",
    ]
    for argument in documented_arguments("uq_harness.models.hf", "UQHFLM"):
        default = "" if argument.default is None else f" (default: {argument.default})"
        lines += _paragraph(f"  {argument.name}", f"{argument.meaning}{default}")
    lines += _paragraph("  and", "the options of the chosen methods: `uq-harness methods NAME` tells them.")
    return lines


def _paragraph(name: str, text: str) -> list[str]:
    import textwrap

    indent = " " * 20
    lines = textwrap.wrap(text, 79 - len(indent))
    return [f"{name:<20}{lines[0]}", *(indent + line for line in lines[1:])]


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
