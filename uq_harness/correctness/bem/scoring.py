"""From triples of texts to probabilities: each distinct input once, in batches of similar length."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple, NoReturn

from tqdm import tqdm

from uq_harness.batching import Room, in_shrinking_batches
from uq_harness.correctness.base import Triple
from uq_harness.errors import UQHarnessError
from uq_harness.hub import brief

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


def cannot_load(model: str, reason: object) -> UQHarnessError:
    """The error about a model that is not there, with the ways out."""
    return UQHarnessError(
        f"the BEM judge cannot load its model {model!r}: {brief(reason)}. "
        'Give it a local folder with --metadata \'{"correctness": {"name": "bem", "model": "/path"}}\', '
        'or use a judge that needs no model with --metadata \'{"correctness": "token_recall"}\''
    )


BLANK = "None"
log = logging.getLogger(__name__)


class BemModel(ABC):
    """A loaded BEM classifier with its tokeniser.

    Attributes:
        max_length: The longest input in tokens, special tokens included.
    """

    max_length: int

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids of each text, without special tokens and uncut."""

    @abstractmethod
    def probabilities(self, batch: Sequence[Parts]) -> list[float]:
        """Probability that candidate and reference are equivalent, one for each of a batch that fits the model."""


def score_triples(model: BemModel, triples: Sequence[Triple], batch_size: int) -> list[float]:
    """BEM's probability for each triple.

    Args:
        model: The classifier.
        triples: Questions with a candidate and a reference answer; a blank candidate is read as ``None``.
        batch_size: The largest number of inputs at a time; it halves where memory runs out.

    Raises:
        UQHarnessError: Memory does not hold a single input.
    """
    whole = _encode(model, triples)
    fitting = {parts: fit(parts, model.max_length) for parts in dict.fromkeys(whole)}
    _warn_of_cuts(fitting, model.max_length)
    # Longest first: a batch that is too large for the memory shows at once.
    distinct = sorted(set(fitting.values()), key=lambda parts: (-parts.length, parts))
    scores = dict(zip(distinct, _in_batches(model, distinct, batch_size), strict=True))
    return [scores[fitting[parts]] for parts in whole]


def _encode(model: BemModel, triples: Sequence[Triple]) -> list[Parts]:
    texts = list(dict.fromkeys([BLANK, *(text for triple in triples for text in triple)]))
    ids = dict(zip(texts, model.encode(texts), strict=True))
    return [
        Parts(
            # Not only blanks: a zero-width space has no token either.
            candidate=(ids[triple.answer] if triple.answer.strip() else ()) or ids[BLANK],
            reference=ids[triple.reference],
            question=ids[triple.question],
        )
        for triple in triples
    ]


def _warn_of_cuts(fitting: dict[Parts, Parts], max_length: int) -> None:
    cut = [(whole, kept) for whole, kept in fitting.items() if whole != kept]
    if cut:
        context = sum((whole.reference, whole.question) != (kept.reference, kept.question) for whole, kept in cut)
        log.warning(
            "BEM reads %d tokens: %d of %d distinct inputs are longer and were cut, %d of them in the reference or the "
            "question too",
            *(max_length, len(cut), len(fitting), context),
        )


def _in_batches(model: BemModel, inputs: Sequence[Parts], batch_size: int) -> list[float]:
    room = Room(batch_size, otherwise="", smaller="BEM ran out of memory with a batch of %d and goes on with %d")
    scores: list[float] = []
    with tqdm(total=len(inputs), desc="BEM", unit="pair", disable=None) as progress:
        for batch, values in in_shrinking_batches(model.probabilities, inputs, room, _refuse):
            scores += values
            progress.update(len(batch))
    return scores


def _refuse(_: Parts) -> NoReturn:
    raise UQHarnessError(
        "the BEM judge ran out of memory with a single input: run it on another device, such as "
        '--metadata \'{"correctness": {"name": "bem", "device": "cpu"}}\''
    )
