"""A tokenised prompt, and how the tokens that follow it become an answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


def _made_of_tokens(message: str, *_: str) -> list[int]:
    raise ValueError(f"a prompt made of tokens has no place for the message {message!r}")


def _no_replies(prompt: Sequence[int], tokens: Sequence[int]) -> str:
    raise ValueError("these criteria do not say how replies are read")


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
        go_on: Token ids of the conversation that goes on with an answer and a further message of the user's, in this
            order, up to where the model replies.
    """

    question: str
    message: str
    token_ids: Sequence[int]
    semantic_token: int
    restate: Callable[[str], list[int]] = _made_of_tokens
    semantic_text: str = ""
    go_on: Callable[[str, str], list[int]] = _made_of_tokens

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
        read_reply: Turns a prompt, and the tokens of a short reply to it that stop strings do not end, into the text of
            the reply without its thoughts; empty where a thought has not ended.
    """

    end_ids: frozenset[int]
    max_new_tokens: int
    read: Callable[[list[int]], tuple[str, range]]
    stops: Callable[[list[int]], bool] | None = None
    stop_strings: tuple[str, ...] = ()
    read_reply: Callable[[Sequence[int], Sequence[int]], str] = _no_replies

    def reply(self, prompt: Sequence[int], tokens: Sequence[int], ended: bool) -> str:
        """The text of a reply, as `ConfidenceReply` has it.

        Args:
            prompt: The tokens that it replies to.
            tokens: Its tokens.
            ended: Whether it ended by itself; so it did where there is an end token, behind which nothing counts.
        """
        end = next((i for i, token in enumerate(tokens) if token in self.end_ids), None)
        text = self.read_reply(prompt, tokens[:end])
        return text if ended or end is not None or not text else f"{text}…"
