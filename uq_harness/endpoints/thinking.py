"""What a model thinks aloud before it replies."""

from __future__ import annotations

THINK_END = "</think>"


def without_thoughts(text: str, think_end: str = THINK_END) -> str:
    """The reply proper: what comes after the last mark that ends a thought.

    Whether a mark opens the thought does not matter: many chat templates put the opening one into the prompt. A thought
    that was opened and never ends leaves no reply.

    >>> without_thoughts("Yes or no? They differ.</think> No.")
    'No.'
    >>> without_thoughts("[THINK]Yes or", "[/THINK]")
    ''

    Args:
        text: What the model said.
        think_end: The mark; without its slash it is the mark that opens a thought.
    """
    reply = text.rpartition(think_end)[2].strip()
    opening = think_end.replace("/", "", 1)
    return "" if opening != think_end and reply.startswith(opening) else reply
