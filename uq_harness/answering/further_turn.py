"""What a chat template writes where a conversation goes on: with the answer, and another message of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_PROBES = ("First placeholder", "Second placeholder", "Third placeholder")
_ROLES = ("user", "assistant", "user")


@dataclass(frozen=True)
class FurtherTurn:
    """The template's text around three messages: the user's, the answer, and the user's next one.

    Attributes:
        before: Text before the first message.
        header: Text between it and the answer.
        between: Text between the answer and the next message.
        closing: Text behind that, up to where the model replies.
    """

    before: str
    header: str
    between: str
    closing: str

    @classmethod
    def of(cls, render: Callable[[Sequence[Mapping[str, str]]], str]) -> FurtherTurn | None:
        """Finds them from the template itself; ``None`` where it loses one of the messages.

        Args:
            render: Renders a conversation, ready for the model's reply.
        """
        rest = render([{"role": role, "content": probe} for role, probe in zip(_ROLES, _PROBES, strict=True)])
        parts = []
        for probe in _PROBES:
            part, found, rest = rest.partition(probe)
            if not found:
                return None
            parts.append(part)
        before, header, between = parts
        return cls(before, header, between, closing=rest)

    def text(self, prompt: str, closing: str, answer: str, message: str) -> str:
        """The conversation up to the model's reply.

        Args:
            prompt: The whole prompt that was answered. One that did not go through the template becomes the user's
                first message.
            closing: What the template puts behind the user's text in such a prompt.
            answer: The answer.
            message: The user's next message.

        >>> FurtherTurn("<", ">[", "]<", ">[").text("<sys><Who?>[", ">[", "Emma", "Sure?")
        '<sys><Who?>[Emma]<Sure?>['
        """
        start, begun = self.before + prompt, ""
        for mark in (closing, self.header):
            if mark.strip() and mark in prompt:
                start, _, begun = prompt.rpartition(mark)  # a prompt may begin the answer, too
                break
        return start + self.header + begun + answer + self.between + message + self.closing
