"""The likeliest tokens at each of a saved answer's: ``token_top_logprobs`` of a line, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from uq_harness.backends.told_logprobs import UNKNOWN_LOGPROB
from uq_harness.errors import UQHarnessError
from uq_harness.files import check_characters
from uq_harness.functional import FloatArray

NAME = "token_top_logprobs"
_SHAPE = (
    "it needs one list a token, likeliest first, of log-probabilities such as [-0.1, -2.5], or of pairs with the "
    'tokens\' texts such as [["Jane", -0.1], ["George", -2.5]]'
)
_SLACK = 1e-2  # nats: what rounding in 16-bit types leaves


@dataclass(frozen=True)
class SavedAlternatives:
    """The likeliest tokens at each of an answer's, as many as are known at every one.

    Attributes:
        logprobs: Their log-probabilities in nats, best first, ``[tokens, count]``.
        texts: Their texts; ``None`` where the file does not have them.
        own: Texts of the answer's own tokens; likewise.
    """

    logprobs: FloatArray
    texts: tuple[tuple[str, ...], ...] | None = None
    own: tuple[str, ...] | None = None

    def lacks(self, count: int) -> str | None:
        """What is missing where ``count`` of them are wanted; ``None`` for nothing, as of an answer without tokens."""
        known = self.logprobs.shape[1]
        if known >= count or not len(self.logprobs):
            return None
        return (
            f"{count} likeliest tokens at each of the answer's (token_top_logprobs has {known}), which take the model"
        )


def read_alternatives(
    place: str, row: Mapping[str, Any], logprobs: FloatArray | None, tokens: Sequence[str] | None
) -> SavedAlternatives | None:
    """The likeliest tokens that a line holds; ``None`` where it holds none.

    Args:
        place: File and line.
        row: The line.
        logprobs: Log-probabilities of the answer's own tokens.
        tokens: Their texts.

    Raises:
        UQHarnessError: They are no lists of numbers or pairs, one a token, or not what log-probabilities of the
            likeliest tokens can be.
    """
    lists = row.get(NAME)
    if lists is None:
        return None
    if not isinstance(lists, list) or not all(isinstance(one, list) for one in lists):
        raise UQHarnessError(f"{place}: {NAME} is {lists!r}: {_SHAPE}")
    if logprobs is None:
        raise UQHarnessError(
            f"{place}: {NAME} stands without token_logprobs, those of the answer's own tokens: add them"
        )
    if len(lists) != len(logprobs):
        raise UQHarnessError(
            f"{place}: {len(lists)} {NAME}, {len(logprobs)} token_logprobs: each needs one entry a token"
        )
    entries = [entry for one in lists for entry in one]
    paired = bool(entries) and all(map(_is_pair, entries))
    for number, (one, own) in enumerate(zip(lists, logprobs, strict=True), 1):
        _check(f"{place}: token {number} of {NAME}", [entry[1] for entry in one] if paired else one, float(own))
    count = min(map(len, lists), default=0)
    values = [[entry[1] if paired else entry for entry in one[:count]] for one in lists]
    texts = tuple(tuple(entry[0] for entry in one[:count]) for one in lists) if paired else None
    for text in (text for some in texts or () for text in some):
        check_characters(text, f"{place}: a text")
    found = np.array(values, dtype=np.float64).reshape(len(lists), count)
    return SavedAlternatives(np.minimum(found, 0.0), texts, None if tokens is None else tuple(tokens))


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)


def _check(place: str, values: Sequence[Any], own: float) -> None:
    """Raises unless the values of one token can be log-probabilities of the likeliest tokens, best first."""
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UQHarnessError(f"{place} holds {value!r}: {_SHAPE}")
        if value > _SLACK:
            raise UQHarnessError(
                f"{place} holds {value!r}, but a log-probability is at most 0: take the natural logarithm of "
                "probabilities first"
            )
        if value <= UNKNOWN_LOGPROB or math.isnan(value):
            raise UQHarnessError(f"{place} holds {value!r}, which is no log-probability: leave out what is not known")
    if any(later > earlier for earlier, later in pairwise(values)):
        raise UQHarnessError(f"{place} is not sorted: put the likeliest token first")
    if values and own > values[0] + _SLACK:
        raise UQHarnessError(
            f"{place} begins with {values[0]!r}, and the answer's own token is likelier ({own!r}): these are not the "
            "likeliest tokens"
        )
    total = sum(map(math.exp, values))
    if total > 1 + _SLACK:
        raise UQHarnessError(
            f"{place} makes up a probability of {total:.4g}: take natural logarithms, of each token once"
        )
