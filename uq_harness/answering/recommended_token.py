"""The semantic-preserving token that ``uq-harness sps`` recommends, read from its result file."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from uq_harness.answering.identity import ModelIdentity
from uq_harness.errors import UQHarnessError
from uq_harness.files import user_path

# The key that marks the file; its value is the version of the file's layout.
FORMAT_KEY, FORMAT = "uq_harness_sps", 2


@dataclass(frozen=True)
class RecommendedToken:
    """A recommendation, and the model it was made for.

    Attributes:
        file: The result file of ``uq-harness sps``.
        position: Position from the prompt's end, ``-1`` for the last token.
        text: The token's text.
        made_for: The model and its chat template.
    """

    file: str
    position: int
    text: str
    made_for: ModelIdentity

    @classmethod
    def read(cls, file: str) -> RecommendedToken:
        """Reads the recommendation.

        Raises:
            UQHarnessError: The file does not exist, is none that ``uq-harness sps`` writes, or recommends nothing.
        """
        path = user_path(file, "sp_token")
        if path.is_dir():
            raise UQHarnessError(f"sp_token={file} is a folder: name the sps.json in it")
        content = _content(path, file)
        if not is_current(content):
            raise UQHarnessError(
                f"sp_token={file} is not a result file of this version's `uq-harness sps`: give the sps.json that it "
                "writes into its --output folder"
            )
        try:
            chosen, model = content["recommended"], content["model"]
            if chosen is None:
                raise UQHarnessError(
                    f"sp_token={file} recommends no token ({content['no_recommendation']}): run `uq-harness sps` "
                    "again, or give a position such as -3"
                )
            position = position_of(chosen)
            return cls(file, position, of_type(chosen["text"], "text", str), identity_of(model))
        except (KeyError, TypeError, ValueError) as error:
            raise UQHarnessError(
                f"sp_token={file} is damaged ({type(error).__name__}: {error}): run `uq-harness sps` again"
            ) from error

    def check(self, model: ModelIdentity) -> None:
        """Refuses the recommendation for another model, or another chat template.

        Args:
            model: The model of this run, with the chat template that it has.

        Raises:
            UQHarnessError: It was made for another one.
        """
        then = self.made_for
        if then.weights != model.weights:
            hint = "" if then.dtype == model.dtype else "; a model loaded with another dtype can have other weights"
            raise UQHarnessError(
                f"sp_token={self.file} was made for another model: {then.name} ({then.dtype}, weights {then.weights}), "
                f"and this one is {model.name} ({model.dtype}, weights {model.weights}){hint}. Run `uq-harness sps` on "
                "this model, or give a position such as -3"
            )
        if then.template is not None and then.template != model.template:
            now = "this model has none" if model.template is None else f"this model's is {model.template}"
            raise UQHarnessError(
                f"sp_token={self.file} was made with another chat template, {then.template}, and {now} (the template's "
                "text and chat_template_args count): run `uq-harness sps` with this template, or give a position such "
                "as -3"
            )

    def check_prompt(self, through_template: bool) -> None:
        """Refuses the recommendation for prompts that went through the chat template where its own did not, or not.

        Raises:
            UQHarnessError: The prompts end otherwise than those that it was made with.
        """
        if through_template and self.made_for.template is None:
            raise UQHarnessError(
                f"sp_token={self.file} was made without chat template, and this run's prompts go through it: leave out "
                "--apply_chat_template, or run `uq-harness sps` with that"
            )
        if not through_template and self.made_for.template is not None:
            raise UQHarnessError(
                f"sp_token={self.file} was made with the model's chat template, and this run's prompts do not end as "
                "it does: add --apply_chat_template, or run `uq-harness sps` without that"
            )

    def describe(self) -> dict[str, Any]:
        """The recommendation as plain values, for results."""
        return asdict(self)


def parse(text: str) -> dict[str, Any]:
    """The JSON object of a result file; empty where it is none.

    Raises:
        ValueError: The text is not JSON, or holds what no result file does.
    """
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return content if isinstance(content, dict) else {}


def is_current(content: Mapping[str, Any]) -> bool:
    """Whether a result file is of this version's layout."""
    return type(content.get(FORMAT_KEY)) is int and content[FORMAT_KEY] == FORMAT


def of_type(value: Any, name: str, *types: type) -> Any:
    """A value that has one of the types itself, so that no truth value is a number and no float is infinite.

    Raises:
        ValueError: It has not.
    """
    if type(value) not in types or (type(value) is float and not math.isfinite(value)):
        raise ValueError(f"{name} is {reprlib.repr(value)}")
    return value


def position_of(choice: Mapping[str, Any]) -> int:
    """The position of a token that a result file chooses, from the prompt's end.

    Raises:
        KeyError: There is none.
        ValueError: It is not counted from the end.
    """
    position: int = of_type(choice["position"], "position", int)
    if position >= 0:
        raise ValueError(f"position {position} is not counted from the prompt's end")
    return position


def identity_of(model: Mapping[str, Any]) -> ModelIdentity:
    """The model that a result file was made for.

    Raises:
        KeyError: Something is missing.
        ValueError: Something is not a text.
    """
    return ModelIdentity(
        **{
            field.name: of_type(model[field.name], field.name, str, *([type(None)] if field.name == "template" else []))
            for field in fields(ModelIdentity)
        }
    )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number of JSON")


def _content(path: Path, file: str) -> dict[str, Any]:
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UQHarnessError(f"sp_token={file} cannot be read ({error.strerror}): check the path") from None
    except ValueError as error:  # neither JSON nor UTF-8
        raise UQHarnessError(
            f"sp_token={file} is not valid JSON ({error}): give a result file of `uq-harness sps`"
        ) from None
