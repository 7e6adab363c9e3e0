"""Commands that cannot run offline, read as the real command lines read them."""

import configparser
import contextlib
import inspect
import io
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import cache
from typing import Any

import typer
from lm_eval._cli import HarnessCLI
from lm_eval.config.evaluate_config import EvaluatorConfig
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from tests.docs.blocks import ROOT
from uq_harness.answering.options import take_auxiliary_models, take_options
from uq_harness.cli import app
from uq_harness.correctness.base import build_judge
from uq_harness.methods import build_methods
from uq_harness.models import UQHFLM


@cache
def command_line() -> Any:
    """The ``uq-harness`` program with all its commands."""
    return typer.main.get_command(app)


def options_of(command: str) -> set[str]:
    """The options of a command of ``uq-harness``, and of lm_eval where they are handed on."""
    own = {name for parameter in command_line().commands[command].params for name in parameter.opts}
    own |= {name for parameter in command_line().commands[command].params for name in parameter.secondary_opts}
    return own | {"--help"} | (lm_eval_options() if command in ("run", "ablate") else set())


@cache
def lm_eval_options() -> set[str]:
    every = HarnessCLI()._subparsers.choices.values()
    return {name for parser in every for action in parser._actions for name in action.option_strings}


def check(words: Sequence[str]) -> None:
    """Raises where the program would refuse a command before any work."""
    program, arguments = words[0], [word for word in words[1:] if word != "..."]  # stands for what a reader fills in
    {"uq-harness": _check_uq_harness, "lm_eval": _check_lm_eval, "pip": _check_pip, "tox": _check_tox}[program](
        arguments
    )


def _check_uq_harness(arguments: Sequence[str]) -> None:
    name, *rest = arguments
    context = command_line().commands[name].make_context(name, rest)
    if name in ("run", "ablate"):
        _check_lm_eval(context.args)


def _check_lm_eval(arguments: Sequence[str]) -> None:
    parsed = parse_lm_eval(arguments)
    _check_run(EvaluatorConfig.from_config(parsed.config) if parsed.config else parsed)


def parse_lm_eval(arguments: Sequence[str]) -> Namespace:
    before, sys.argv = sys.argv, ["lm_eval", *arguments]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return HarnessCLI().parse_args()
    except SystemExit:
        raise AssertionError(said.getvalue()) from None
    finally:
        sys.argv = before


def _check_run(settings: Namespace | EvaluatorConfig) -> None:
    assert settings.model in ("uq-hf", None)
    tasks = settings.tasks or []
    unknown = set(tasks.split(",") if isinstance(tasks, str) else tasks) - set(_tasks().all_tasks)
    assert not unknown, f"no such tasks: {unknown}"
    _check_model_arguments(dict(settings.model_args or {}))
    judges = (settings.metadata or {}).get("correctness", [])
    for judge in judges if isinstance(judges, list) else [judges]:
        build_judge(judge)


@cache
def _tasks() -> TaskManager:
    return TaskManager(include_defaults=False, include_path=str(ROOT / "tasks"))


def _check_model_arguments(arguments: dict[str, Any]) -> None:
    build_methods(arguments.pop("methods", "default"), take_options(arguments))
    take_auxiliary_models(arguments)
    known = {*inspect.signature(UQHFLM).parameters, *inspect.signature(HFLM).parameters}
    assert arguments.keys() <= known, f"no such model arguments: {arguments.keys() - known}"


def _check_pip(arguments: Sequence[str]) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = {extra for word in arguments for found in re.findall(r"\[(.*?)\]", word) for extra in found.split(",")}
    assert arguments[0] in ("install", "uninstall")
    unknown = extras - set(setup["options.extras_require"])
    assert not unknown, f"no such extras: {unknown}"


def _check_tox(arguments: Sequence[str]) -> None:
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    environment = f"testenv:{arguments[arguments.index('-e') + 1]}"
    assert environment in tox, f"no such {environment}"
