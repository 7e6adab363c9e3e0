"""A tokenised prompt, and how the tokens that follow it become an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


def _made_of_tokens(message: str) -> list[int]:
    raise ValueError(f"a prompt made of tokens has no place for the message {message!r}")


@dataclass(frozen=True)
class Prompt:
    """A tokenised prompt.

    Attributes:
        question: The bare question.
        message: The user's message that puts the question, before the chat template.
        token_ids: The whole prompt, chat template included.
        semantic_token: Position of its semantic-preserving token from the end, ``-1`` for the last token.
        restate: Token ids of the same prompt with another user's message in the place of its own.
        semantic_text: The semantic-preserving token's text.
    """

    question: str
    message: str
    token_ids: Sequence[int]
    semantic_token: int
    restate: Callable[[str], list[int]] = _made_of_tokens
    semantic_text: str = ""

    def stating(self, answer: str, *, words: Callable[[str, str, str], str]) -> list[int]:
        """Token ids of the prompt whose message states an answer; ``words`` as in `AnswersGivenAnswers.prompt`."""
        return self.restate(words(self.question, answer, self.message))


@dataclass(frozen=True)
class StopCriteria:
    """How raw tokens become an answer.

    Attributes:
        end_ids: Tokens that end an answer.
        max_new_tokens: Limit on the answer's tokens.
        read: Turns an answer's tokens into its text and the range of tokens that count.
        stops: Whether tokens contain a stop string; ``None`` where there are no stop strings.
        stop_strings: The stop strings, for engines that look for them themselves.
    """

    end_ids: frozenset[int]
    max_new_tokens: int
    read: Callable[[list[int]], tuple[str, range]]
    stops: Callable[[list[int]], bool] | None = None
    stop_strings: tuple[str, ...] = ()
