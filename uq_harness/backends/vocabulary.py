"""Numbers for the texts of tokens, for backends that know tokens by their texts only."""

from __future__ import annotations

import threading
from collections.abc import Sequence


class Vocabulary:
    """Gives each text of a token a number, so that answers can be put together without some of their tokens.

    A token without text writes a character together with those behind it. Threads may share it.
    """

    SPECIAL = 0  # a token that an answer's text does not show
    UNFINISHED = 1  # a token that the next ones complete to a character

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._texts: list[str] = ["", ""]
        self._lock = threading.Lock()

    def encode(self, tokens: Sequence[str], text: str) -> tuple[int, ...] | None:
        """The tokens of a text as numbers; tokens behind the end of the text are special.

        White space around the text does not count. ``None`` where the tokens do not make up the text.

        >>> vocabulary = Vocabulary()
        >>> vocabulary.encode(["by", " train", "</s>"], "by train"), vocabulary.encode(["by"], "on foot")
        ((2, 3, 0), None)
        """
        text = text.strip()
        counts = (count for count in range(len(tokens), -1, -1) if "".join(tokens[:count]).strip() == text)
        end = next(counts, None)
        while end and not tokens[end - 1]:
            end -= 1
        if end is None:
            return None
        return tuple(self.number(token) for token in tokens[:end]) + (self.SPECIAL,) * (len(tokens) - end)

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of tokens, special ones left out; it ends with U+FFFD where a character is not finished."""
        unfinished = "\ufffd" if numbers and numbers[-1] == self.UNFINISHED else ""
        return "".join(self._texts[number] for number in numbers) + unfinished

    def number(self, token: str) -> int:
        """The number of a token's text."""
        if not token:
            return self.UNFINISHED
        if token not in self._numbers:
            with self._lock:
                if token not in self._numbers:
                    self._texts.append(token)
                    self._numbers[token] = len(self._texts) - 1
        return self._numbers[token]
