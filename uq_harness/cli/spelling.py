"""How options are spelt: lm_eval's underscores, with hyphens and second names accepted, and what stands for a value."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

# Names of which a command has one, and which all mean it. An option of the command's own goes first.
_SYNONYMS = (
    ("task", "tasks"),
    ("method", "methods"),
    ("no_plots", "no_figures"),
    ("output", "output_path"),
)
# What stands for a value in help, by option; the rest goes by type.
_METAVARS = {
    "include_path": "DIR",
    "measures": "MEASURE+...",
    "metadata": "NAME=VALUE,...",
    "method": "METHOD",
    "method_args": "NAME=VALUE,...",
    "methods": "METHOD+...",
    "model_args": "NAME=VALUE,...",
    "task": "TASK",
    "tasks": "TASK,...",
}
_OF_TYPES = {"int": "N", "float": "NUMBER", "path": "PATH"}


def underscored(arguments: Sequence[str]) -> list[str]:
    """Arguments with the names of options in lm_eval's spelling; values stay as they are.

    >>> underscored(["--model-args", "pretrained=my-model", "--gen-kwargs=a-b=1", "-o", "out-1"])
    ['--model_args', 'pretrained=my-model', '--gen_kwargs=a-b=1', '-o', 'out-1']
    """
    return [_option(one) if one.startswith("--") else one for one in arguments]


def spell(command: Any) -> None:
    """Gives a command's options lm_eval's underscores, lets it accept every other spelling, and names values in help.

    Args:
        command: A command of typer's; changed in place.
    """
    for parameter in command.params:
        parameter.opts = underscored(parameter.opts)
        parameter.secondary_opts = underscored(parameter.secondary_opts)
        if parameter.metavar is None:
            parameter.metavar = _metavar(parameter)
        if parameter.param_type_name == "argument":
            _without_braces(parameter)
    if command.help:  # line breaks of the source would stay in help
        command.help = "\n\n".join(" ".join(part.split()) for part in command.help.split("\n\n"))
    known = {name.lstrip("-") for one in command.params for name in (*one.opts, *one.secondary_opts)}
    command.context_settings = {**command.context_settings, "token_normalize_func": partial(_known_name, known)}
    without_type(command)


def _without_braces(argument: Any) -> None:
    """Shows an argument by its name alone, in brackets where it may be left out."""
    name = (
        f"{argument.metavar}..." if argument.nargs != 1 and not argument.metavar.endswith("...") else argument.metavar
    )
    argument.get_usage_pieces = lambda context: [name if argument.required else f"[{name}]"]
    argument.display_type_rich = lambda ctx: None


def without_type(command: Any) -> None:
    """Shows ``--help`` as the switch that it is, without a type."""
    make = command.get_help_option

    def help_option(context: Any) -> Any:
        option = make(context)
        if option is not None:
            option.metavar = ""
        return option

    command.get_help_option = help_option


def _option(word: str) -> str:
    name, equals, value = word.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}"


def _known_name(known: Collection[str], name: str) -> str:
    """The name under which a command has the option that is meant."""
    name = name.replace("-", "_")
    if name in known:
        return name
    return next((other for group in _SYNONYMS if name in group for other in group if other in known), name)


def _metavar(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    if getattr(parameter, "is_flag", False):
        return ""
    if parameter.name in _METAVARS:
        return _METAVARS[parameter.name]
    described = getattr(parameter, "type_descriptor", None)  # typer's, where it brings its own click
    kind = str(parameter.type if described is None else described.annotation).lower()
    return next((metavar for name, metavar in _OF_TYPES.items() if name in kind), "TEXT")
