"""What an application asks: a plain question, or a conversation whose last turn is the user's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from uq_harness.answering.prompts import PromptText
from uq_harness.answering.template import rendered
from uq_harness.errors import UQHarnessError
from uq_harness.files import check_characters

Conversation = Sequence[Mapping[str, str]]
PLACE = "{question}"
_SHAPE = 'a text, or messages such as [{"role": "system", "content": "..."}, {"role": "user", "content": "Who ...?"}]'


@dataclass(frozen=True)
class PromptStyle:
    """How questions become prompts.

    Attributes:
        tokenizer: Its chat template is applied.
        words: The user's message for a plain question, with ``{question}`` in the question's place.
        chat: Whether the chat template is applied; without it the message itself is the prompt.
        template_arguments: Further arguments of the chat template.

    Raises:
        UQHarnessError: The words have no place for the question, or there is no chat template to apply.
    """

    tokenizer: PreTrainedTokenizerBase
    words: str
    chat: bool
    template_arguments: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.words, str) or PLACE not in self.words:
            raise UQHarnessError(f"prompt={self.words!r} has no place for the question: it needs {PLACE} in it")
        if self.chat and self.tokenizer.chat_template is None:
            raise UQHarnessError(
                "the tokenizer has no chat template: set tokenizer.chat_template, or give plain prompts to a base "
                "model with apply_chat_template=False"
            )

    def prompt(self, asked: str | Conversation, place: str) -> PromptText:
        """The prompt for a question or a conversation.

        Args:
            asked: What is asked. Of a conversation, the last message is the question.
            place: What messages call it.

        Raises:
            UQHarnessError: It is of another shape, or the chat template refuses it.
        """
        if isinstance(asked, str):
            _check_text(asked, place)
            message = self.words.replace(PLACE, asked)
            messages: list[dict[str, str]] = [{"role": "user", "content": message}]
            return PromptText(self._render(messages, place) if self.chat else message, asked, message)
        messages = _messages(asked, place)
        if not self.chat:
            raise UQHarnessError(f"{place} is a conversation, which only a chat template can write: give a plain text")
        question = messages[-1]["content"]
        return PromptText(self._render(messages, place), question, question)

    def _render(self, messages: list[dict[str, str]], place: str) -> str:
        try:
            return rendered(self._apply, messages)
        except TemplateError as error:
            raise UQHarnessError(f"the model's chat template refuses {place}: {error}") from None

    def _apply(self, messages: list[dict[str, Any]]) -> str:
        text: str = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **self.template_arguments
        )
        return text


def _messages(asked: Any, place: str) -> list[dict[str, str]]:
    if not isinstance(asked, Sequence) or not asked or not all(isinstance(one, Mapping) for one in asked):
        raise UQHarnessError(f"{place} is {asked!r}: it needs to be {_SHAPE}")
    for number, one in enumerate(asked, 1):
        if set(one) != {"role", "content"} or not isinstance(one["role"], str) or not isinstance(one["content"], str):
            raise UQHarnessError(f"{place}, message {number}, is {one!r}: it needs a role and a content, both texts")
        _check_text(one["content"], f"{place}, message {number},", blank=number < len(asked))
    if asked[-1]["role"] != "user":
        raise UQHarnessError(f"{place} ends with a message of the {asked[-1]['role']}: the last one is the user's")
    return [dict(one) for one in asked]


def _check_text(text: str, place: str, blank: bool = False) -> None:
    if not blank and not text.strip():
        raise UQHarnessError(f"{place} is blank: it needs to be {_SHAPE}")
    check_characters(text, place)
