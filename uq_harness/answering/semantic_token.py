"""Where the prompt's semantic-preserving token is.

The paper takes the first token of the generation header that the chat template puts behind the user's turn. It is found
by rendering a conversation with and without the header and comparing, never by a table of model names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from uq_harness.answering.identity import ModelIdentity
from uq_harness.answering.recommended_token import RecommendedToken
from uq_harness.errors import UQHarnessError
from uq_harness.files import user_path

_PROBE = "Placeholder"


@dataclass(frozen=True)
class ChatTail:
    """What a chat template puts behind the user's text.

    Attributes:
        closing: All text between the user's last character and the answer.
        header: The part of it that opens the assistant's turn; empty where the template adds none.
    """

    closing: str
    header: str

    @classmethod
    def of(cls, render: Callable[[str, bool], str]) -> ChatTail:
        """Finds the tail from the template itself.

        Args:
            render: Renders a conversation of one user message, with or without the generation header.
        """
        opened, plain = render(_PROBE, True), render(_PROBE, False)
        shared = next((i for i, (a, b) in enumerate(zip(opened, plain, strict=False)) if a != b), len(plain))
        return cls(closing=opened.rpartition(_PROBE)[2], header=opened[shared:])


@dataclass(frozen=True)
class Anchor:
    """The character of a prompt that the semantic-preserving token holds.

    Attributes:
        character: Its index.
        first: Whether the first or the last token that holds it is meant; a character can be spread over several.
    """

    character: int
    first: bool


def anchor_of(prompt: str, tail: ChatTail | None) -> Anchor | None:
    """Where the token is: the first token of the generation header, else the last token of the user's text.

    ``None`` means the prompt's last token, for a prompt that did not go through the template.
    """
    if tail is not None and tail.header and prompt.endswith(tail.header):
        return Anchor(len(prompt) - len(tail.header), first=True)
    return user_end(prompt, tail)


def user_end(prompt: str, tail: ChatTail | None) -> Anchor | None:
    """Where the last token of the user's text is; ``None`` for a prompt that did not go through the template."""
    if tail is not None and tail.closing and prompt.endswith(tail.closing):
        return Anchor(len(prompt[: -len(tail.closing)].rstrip()) - 1, first=False)
    return None


@dataclass(frozen=True)
class TokenScore:
    """A candidate for the token.

    Attributes:
        position: Position from the prompt's end, ``-1`` for the last token.
        text: The token that most prompts have there.
        sps: Its Semantic Preservation Score, averaged over layers; ``None`` where it is undefined.
    """

    position: int
    text: str
    sps: float | None


@dataclass(frozen=True)
class MeasuredToken:
    """The token that was measured on the model when it was loaded, with all candidates' scores.

    Attributes:
        position: The candidate with the best score.
        scores: All candidates, in the order of the prompt.
        questions: Number of questions.
        paraphrases: Number of their paraphrases, all together.
        layers: The first and the last of the layers whose scores were averaged.
        through_template: Whether the prompts went through the model's chat template.
    """

    position: int
    scores: tuple[TokenScore, ...]
    questions: int
    paraphrases: int
    layers: tuple[int, int]
    through_template: bool

    @classmethod
    def best(cls, scores: tuple[TokenScore, ...], **about: Any) -> MeasuredToken:
        """The measurement that some scores make.

        Raises:
            UQHarnessError: No candidate has a score.
        """
        defined = [one for one in scores if one.sps is not None]
        if not defined:
            raise UQHarnessError(
                "sp_token=measured: the Semantic Preservation Score is undefined for every candidate, since the "
                "model's states are zero or not finite: use sp_token=auto, or another dtype"
            )
        return cls(max(defined, key=lambda one: one.sps or 0.0).position, scores, **about)

    def check_prompt(self, through_template: bool) -> None:
        """Refuses the measurement for prompts that went through the chat template where its own did not, or not.

        Raises:
            UQHarnessError: The prompts end otherwise than those that were measured.
        """
        if through_template != self.through_template:
            raise UQHarnessError(
                f"sp_token=measured was measured {'with' if self.through_template else 'without'} the model's chat "
                "template, and this run's prompts end otherwise: "
                + (
                    "add --apply_chat_template, or use sp_token=last"
                    if self.through_template
                    else "leave out --apply_chat_template, or use sp_token=auto"
                )
            )

    def describe(self) -> dict[str, Any]:
        """The measurement as plain values, for results."""
        return asdict(self) | {"scores": [asdict(one) for one in self.scores], "layers": list(self.layers)}

    def table(self) -> str:
        """All scores on one line, the best one marked.

        >>> scores = (TokenScore(-2, "assistant", 0.144), TokenScore(-1, "x", 0.147))
        >>> MeasuredToken(-1, scores, 36, 108, (12, 23), True).table()
        "-2 'assistant' 0.1440, -1 'x' 0.1470 (taken)"
        """
        return ", ".join(
            f"{one.position} {one.text!r} {'undefined' if one.sps is None else f'{one.sps:.4f}'}"
            + (" (taken)" if one.position == self.position else "")
            for one in self.scores
        )


@dataclass(frozen=True)
class SemanticToken:
    """The user's choice of the token.

    Attributes:
        position: Its position from the prompt's end, such as ``-3``; ``None`` where the chat template tells, or
            where it has yet to be measured.
        recommended: The recommendation that the position comes from, if it does.
        measured: The measurement that the position comes from, if it does.
        to_measure: Whether it has yet to be measured.
    """

    position: int | None
    recommended: RecommendedToken | None = None
    measured: MeasuredToken | None = None
    to_measure: bool = False

    @classmethod
    def parse(cls, value: str | float) -> SemanticToken:
        """Reads the model argument ``sp_token``; lm_eval's command line turns ``-3`` into ``-3.0``.

        Raises:
            UQHarnessError: The value is neither a name nor a negative position nor a file that recommends one.
        """
        if value == "auto":
            return cls(None)
        if value == "last":
            return cls(-1)
        if value == "measured":
            return cls(None, to_measure=True)
        if _means_file(value):
            recommended = RecommendedToken.read(str(value))
            return cls(recommended.position, recommended)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = 0.0
        if number >= 0 or not number.is_integer():
            raise UQHarnessError(
                f"sp_token={value!r} is not allowed: use auto (found from the chat template), last, measured "
                "(the Semantic Preservation Score decides, when the model is loaded), a negative position counted from "
                "the prompt's end, such as -3, or the result file of `uq-harness sps`"
            )
        return cls(int(number))

    def __str__(self) -> str:
        if self.position is not None:
            return str(self.position)
        return "measured" if self.to_measure else "auto"

    def check(self, model: ModelIdentity) -> None:
        """Refuses a recommendation that was made for another model or chat template."""
        if self.recommended is not None:
            self.recommended.check(model)

    def describe(self) -> dict[str, Any]:
        """The choice as plain values, for results."""
        recommended = {} if self.recommended is None else {"sp_token_recommended": self.recommended.describe()}
        measured = {} if self.measured is None else {"sp_token_measured": self.measured.describe()}
        return {"sp_token": str(self), **recommended, **measured}

    def locate(
        self, length: int, anchor: Anchor | None, offsets: list[tuple[int, int]] | None, tail_tokens: int
    ) -> int:
        """Position of the token from the end of one tokenised prompt, ``-1`` for the last.

        Args:
            length: Number of the prompt's tokens.
            anchor: See `anchor_of`.
            offsets: Span of characters of each token, or ``None`` where the tokenizer cannot tell.
            tail_tokens: Number of tokens from the anchor on, where there are no offsets.

        Raises:
            UQHarnessError: The chosen position is before the prompt's first token, or was recommended for prompts
                that end otherwise, or measured with such.
        """
        if self.measured is not None:
            self.measured.check_prompt(through_template=anchor is not None)
        if self.recommended is not None:
            self.recommended.check_prompt(through_template=anchor is not None)
        if self.position is not None:
            if -self.position > length:
                raise UQHarnessError(
                    f"sp_token={self.position} is before the first token of a prompt of {length} tokens: use a "
                    f"position from {-length} to -1, last or auto"
                )
            return self.position
        if anchor is None:
            return -1
        if offsets is None:
            return -tail_tokens
        holding = [i for i, (start, end) in enumerate(offsets) if start <= anchor.character < end]
        return (holding[0] if anchor.first else holding[-1]) - length if holding else -1


def _means_file(value: object) -> bool:
    """Whether a value is a path: one that exists, or that can be nothing else."""
    if not isinstance(value, str) or not value:
        return False
    return value.endswith(".json") or "/" in value or user_path(value, "sp_token").exists()
