"""The semantic-preserving token that was measured on the model when it was loaded, with all candidates' scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from uq_harness.errors import UQHarnessError


@dataclass(frozen=True)
class TokenScore:
    """A candidate.

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
    """A measurement.

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
