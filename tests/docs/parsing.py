"""Commands that cannot run offline, read as the real command lines read them."""

import ast
import configparser
import contextlib
import importlib.util
import inspect
import io
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typer
from lm_eval._cli import HarnessCLI
from lm_eval.config.evaluate_config import EvaluatorConfig
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from tests.docs.blocks import ROOT
from uq_harness.answering.options import take_auxiliary_models, take_options
from uq_harness.answering.saved_samples import read_save_samples
from uq_harness.cli import app
from uq_harness.cli.spelling import underscored
from uq_harness.correctness.base import build_judge
from uq_harness.evaluation.configuration import nested_metadata
from uq_harness.methods import build_methods
from uq_harness.models import UQHFLM
from uq_harness.models.api import UQAPILM


@cache
def command_line() -> Any:
    """The ``uq-harness`` program with all its commands."""
    return typer.main.get_command(app)


def options_of(command: str) -> set[str]:
    """The options of a command of ``uq-harness``, and of lm_eval where they are handed on."""
    own = {name for parameter in command_line().commands[command].params for name in parameter.opts}
    own |= {name for parameter in command_line().commands[command].params for name in parameter.secondary_opts}
    return own | {"--help"} | (lm_eval_options() if command in ("run", "ablate") else set())


def spelt(command: str, words: Sequence[str]) -> set[str]:
    """The options among words, in the spelling in which a command of ``uq-harness`` has them."""
    normalise = command_line().commands[command].context_settings["token_normalize_func"]
    return {f"--{normalise(word[2:])}" if word.startswith("--") else word for word in words if word.startswith("-")}


@cache
def lm_eval_options() -> set[str]:
    every = HarnessCLI()._subparsers.choices.values()
    return {name for parser in every for action in parser._actions for name in action.option_strings}


def check(words: Sequence[str]) -> None:
    """Raises where the program would refuse a command before any work."""
    program, arguments = words[0], [word for word in words[1:] if word != "..."]  # stands for what a reader fills in
    checks = {
        "uq-harness": _check_uq_harness,
        "uq_harness": _check_uq_harness,
        "lm_eval": _check_lm_eval,
        "pip": _check_pip,
        "uv": _check_installer,
        "pipx": _check_installer,
        "conda": _check_installer,
        "tox": _check_tox,
        "accelerate": _check_launcher,
        "vllm": _check_vllm,
        "docker": _check_docker,
        "sbatch": _check_files,
    }
    checks[program](arguments)


def _check_uq_harness(arguments: Sequence[str]) -> None:
    name, *rest = arguments
    context = command_line().commands[name].make_context(name, rest)
    if name in ("run", "ablate"):
        _check_lm_eval(underscored(context.args))


def _check_lm_eval(arguments: Sequence[str]) -> None:
    parsed = parse_lm_eval(arguments)
    _check_run(EvaluatorConfig.from_config(parsed.config) if parsed.config else parsed)


def _check_launcher(arguments: Sequence[str]) -> None:
    start = arguments.index("-m") + 1
    check(arguments[start:])


def _check_vllm(arguments: Sequence[str]) -> None:
    """Its options are those of another package, which is not installed here."""
    assert arguments[0] == "serve"
    assert not arguments[1].startswith("-"), "no model"


def _check_files(arguments: Sequence[str]) -> None:
    named = [word for word in arguments if word.endswith((".yaml", ".sbatch"))]
    assert named
    assert all((ROOT / word).is_file() for word in named), f"no such files: {named}"


def _check_docker(arguments: Sequence[str]) -> None:
    """Of ``build`` the build arguments; of ``run`` what runs in the image."""
    name, *rest = arguments
    if name == "build":
        given = {rest[i + 1].split("=")[0] for i, word in enumerate(rest) if word == "--build-arg"}
        unknown = given - set(
            re.findall(r"^ARG (\w+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
        )
        assert not unknown, f"no such build arguments: {unknown}"
    elif name == "run":
        image = next(i for i, word in enumerate(rest) if word.split(":")[0] == "uq-harness")
        check(rest[image + 1 :])
    else:
        _check_files(arguments)


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
    model = settings.model or "uq-hf"
    tasks = settings.tasks or []
    unknown = set(tasks.split(",") if isinstance(tasks, str) else tasks) - set(_tasks().all_tasks)
    assert not unknown, f"no such tasks: {unknown}"
    _check_model_arguments(model, dict(settings.model_args or {}))
    judges = nested_metadata(settings.metadata or {}).get("correctness", [])
    for judge in judges if isinstance(judges, list) else [judges]:
        build_judge(judge)


@cache
def _tasks() -> TaskManager:
    return TaskManager(include_defaults=False, include_path=str(ROOT / "tasks"))


def _check_model_arguments(model: str, arguments: dict[str, Any]) -> None:
    methods = arguments.pop("methods", "default")
    _, options = read_save_samples(arguments.get("save_samples", False), methods, take_options(arguments))
    build_methods(methods, options)
    take_auxiliary_models(arguments)
    unknown = arguments.keys() - {*own_arguments(model), *inherited_arguments(model)}
    assert not unknown, f"no such model arguments: {unknown}"


def own_arguments(model: str) -> dict[str, Any]:
    """The arguments that a model's own constructor names, with their defaults."""
    if model == "uq-vllm":  # which cannot be imported without vLLM
        return _written_arguments("uq_harness.models.vllm", "UQVLLM")
    classes = {"uq-hf": UQHFLM, "uq-api": UQAPILM}
    return {
        name: one.default
        for name, one in inspect.signature(classes[model]).parameters.items()
        if one.kind is not inspect.Parameter.VAR_KEYWORD
    }


def inherited_arguments(model: str) -> set[str]:
    """The arguments of lm_eval's model that are handed on."""
    if model == "uq-hf":
        return set(inspect.signature(HFLM).parameters)
    return set(_written_arguments("lm_eval.models.vllm_causallms", "VLLM")) if model == "uq-vllm" else set()


def _written_arguments(module: str, name: str) -> dict[str, Any]:
    """The arguments of a class's constructor as its source has them."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    (found,) = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name)
    (init,) = (node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    names = [one.arg for one in init.args.args[1:]]
    values = [ast.unparse(one) for one in init.args.defaults]
    padded = [None] * (len(names) - len(values)) + [
        ast.literal_eval(one) if _is_literal(one) else one for one in values
    ]
    return dict(zip(names, padded, strict=True))


def _is_literal(text: str) -> bool:
    try:
        ast.literal_eval(text)
    except ValueError:
        return False
    return True


def _check_pip(arguments: Sequence[str]) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = {extra for word in arguments for found in re.findall(r"\[(.*?)\]", word) for extra in found.split(",")}
    assert arguments[0] in ("install", "uninstall", "download")
    unknown = extras - set(setup["options.extras_require"])
    assert not unknown, f"no such extras: {unknown}"


def _check_installer(arguments: Sequence[str]) -> None:
    """Programs that are not installed here: what they are told to do, and with which extras."""
    allowed = (["pip"], ["venv"], ["tool", "install"], ["install"], ["create"], ["run"])
    known = next((words for words in allowed if arguments[: len(words)] == words), None)
    assert known, f"no such command: {arguments[0]}"
    if "pip" in arguments and "create" not in arguments:
        _check_pip(arguments[arguments.index("pip") + 1 :])


def _check_tox(arguments: Sequence[str]) -> None:
    tox = configparser.ConfigParser()
    tox.read(ROOT / "tox.ini")
    environment = f"testenv:{arguments[arguments.index('-e') + 1]}"
    assert environment in tox, f"no such {environment}"
