"""What BEM reads: three parts of token ids, made to fit the model.

The layout is ``[CLS] candidate [SEP] reference [SEP] question [SEP]``. The parts are cut and joined here, and not by a
tokeniser's pair mode, whose truncation cuts the longest part first and removes separators.
"""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

Ids = tuple[int, ...]

SPECIAL_TOKENS = 4
KEPT_OF_CANDIDATE = 32
KEPT_OF_QUESTION = 64


class Parts(NamedTuple):
    """Token ids of a candidate answer, a reference answer and their question, without special tokens."""

    candidate: Ids
    reference: Ids
    question: Ids

    @property
    def length(self) -> int:
        """The number of tokens, special tokens not counted."""
        return len(self.candidate) + len(self.reference) + len(self.question)


class Sequences(NamedTuple):
    """A model's input, not padded yet."""

    ids: list[int]
    segments: list[int]


def fit(parts: Parts, max_length: int) -> Parts:
    """Cuts what does not fit into ``max_length`` tokens.

    The candidate loses its end, as in the code of Li et al. (arXiv 2605.04638). Where reference and question leave no
    room for any of it, that code fails; here the candidate keeps its first 32 tokens, the question loses its start
    down to 64 tokens (it mostly ends with what is asked), then the reference loses its end.

    >>> fit(Parts(candidate=(1,) * 9, reference=(2,) * 3, question=(3,) * 2), max_length=12)
    Parts(candidate=(1, 1, 1), reference=(2, 2, 2), question=(3, 3))
    """
    room = max_length - SPECIAL_TOKENS
    candidate, reference, question = parts
    if len(reference) + len(question) < room:
        return Parts(candidate[: room - len(reference) - len(question)], reference, question)
    candidate = candidate[:KEPT_OF_CANDIDATE]
    room -= len(candidate)
    asked = min(len(question), max(KEPT_OF_QUESTION, room - len(reference)))
    return Parts(candidate, reference[: room - asked], question[len(question) - asked :])


def join(parts: Parts, cls: int, sep: int, segments: tuple[int, int, int]) -> Sequences:
    """Puts the parts together with their special tokens.

    Args:
        parts: Parts that fit.
        cls: Id of ``[CLS]``.
        sep: Id of ``[SEP]``, which closes each part.
        segments: Segment id of each part and of its separator.

    >>> join(Parts((5, 6), (7,), (8,)), cls=1, sep=2, segments=(0, 1, 1))
    Sequences(ids=[1, 5, 6, 2, 7, 2, 8, 2], segments=[0, 0, 0, 0, 1, 1, 1, 1])
    """
    pieces = [[cls, *parts.candidate, sep], [*parts.reference, sep], [*parts.question, sep]]
    marks = [[segment] * len(piece) for segment, piece in zip(segments, pieces, strict=True)]
    return Sequences(list(chain.from_iterable(pieces)), list(chain.from_iterable(marks)))
