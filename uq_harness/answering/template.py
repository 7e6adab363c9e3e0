"""Rendering of chat messages, and whether the user's words are still there afterwards."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import TemplateError

Messages = Sequence[Mapping[str, Any]]


def rendered(render: Callable[[list[dict[str, Any]]], str], messages: Messages) -> str:
    """What a chat template makes of messages with plain texts.

    Templates of multimodal models may take a list of parts as a message's content, and then lose a plain text, or
    refuse it. Messages are given in that form where it alone keeps the last user's words.

    Args:
        render: Applies the template.
        messages: The messages, their contents as texts.

    Raises:
        TemplateError: The template refuses the messages.
    """
    asked = next((one["content"] for one in reversed(messages) if one["role"] == "user"), "")
    refusal: TemplateError | None = None
    text = ""
    try:
        text = render([dict(one) for one in messages])
    except TemplateError as error:
        refusal = error
    if refusal is None and holds(text, asked):
        return text
    try:
        in_parts = render([{**one, "content": [{"type": "text", "text": one["content"]}]} for one in messages])
    except (TemplateError, TypeError):  # texts are what it takes
        in_parts = ""
    if in_parts and holds(in_parts, asked):
        return in_parts
    if refusal is not None:
        raise refusal
    return text


def holds(prompt: str, words: str) -> bool:
    """Whether a prompt holds some words, whatever a template does to white space, punctuation and markup around them.

    >>> holds("<user>Is 2 &lt; 3?</user>", " Is 2 < 3? ")
    True
    >>> holds("<user></user>", "Who?")
    False
    """
    return _letters(words) in _letters(prompt)


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, html.unescape(text).casefold()))
