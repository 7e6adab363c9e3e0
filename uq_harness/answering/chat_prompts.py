"""Prompts for endpoints that take messages: lm_eval's chats stay as they are, system prompt and worked examples too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from uq_harness.answering.prompts import PromptText
from uq_harness.answering.template import holds
from uq_harness.backends.chat_completions.request import ChatPrompt
from uq_harness.errors import UQHarnessError
from uq_harness.evidence.prompt import Prompt


class ChatPrompts:
    """Reads messages from prompts, where `PromptEncoder` makes tokens of them; the chat template is the server's."""

    @property
    def used(self) -> None:
        """No semantic-preserving token: there are no tokens."""

    def encode(self, prompts: Sequence[PromptText]) -> list[Prompt]:
        """Prompts with the messages that lm_eval wrote as JSON.

        Raises:
            UQHarnessError: A prompt is plain text, or its messages do not hold the question.
        """
        return [_prompt(prompt) for prompt in prompts]

    def fit(self, prompt: Prompt, max_new_tokens: int) -> Prompt:
        """The prompt as it is: how long it is in tokens, only the endpoint knows, which refuses what is too long."""
        return prompt

    def describe(self) -> dict[str, Any]:
        """Nothing: the messages are in the sample log."""
        return {}


def _prompt(prompt: PromptText) -> ChatPrompt:
    text = getattr(prompt.text, "prompt", prompt.text)  # lm_eval's JsonChatStr
    try:
        messages = json.loads(text)
    except ValueError:
        messages = None
    if not isinstance(messages, list) or not messages or not all(map(_is_message, messages)):
        raise UQHarnessError(
            f"the endpoint takes chat messages, and the prompt {str(text)[:80]!r} is plain text: add "
            "--apply_chat_template (apply_chat_template=True)"
        )
    contents = "".join(message["content"] for message in messages)
    if not holds(contents, prompt.message) and not holds(contents, prompt.question):
        raise UQHarnessError(f"the messages {text!r} do not hold the question {prompt.question!r}")
    return ChatPrompt(prompt.question, prompt.message, (), -1, messages=tuple(messages))


def _is_message(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("role"), str) and isinstance(one.get("content"), str)
