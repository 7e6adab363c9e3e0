"""From triples of texts to probabilities: each distinct input once, in batches of similar length."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

from tqdm import tqdm

from uq_harness.correctness._base import Triple
from uq_harness.correctness._bem.inputs import Ids, Parts, fit
from uq_harness.errors import UQHarnessError

BLANK = "None"
log = logging.getLogger(__name__)


class BemModel(ABC):
    """A loaded BEM classifier with its tokeniser.

    Attributes:
        max_length: The longest input in tokens, special tokens included.
        out_of_memory: What the backend raises when a batch does not fit into memory.
    """

    max_length: int
    out_of_memory: type[BaseException]

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids of each text, without special tokens and uncut."""

    @abstractmethod
    def probabilities(self, batch: Sequence[Parts]) -> list[float]:
        """Probability that candidate and reference are equivalent, one for each of a batch that fits the model."""

    def release_memory(self) -> None:  # noqa: B027  # nothing to do for most backends
        """Gives back the memory that a failed batch left behind."""


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
    scores: list[float] = []
    with tqdm(total=len(inputs), desc="BEM", unit="pair", disable=None) as progress:
        while len(scores) < len(inputs):
            batch = inputs[len(scores) : len(scores) + batch_size]
            values = _try(model, batch)
            if values is None:
                batch_size = _smaller(len(batch))
                continue
            scores += values
            progress.update(len(batch))
    return scores


def _try(model: BemModel, batch: Sequence[Parts]) -> list[float] | None:
    """The batch's probabilities, or None where memory ran out."""
    try:
        return model.probabilities(batch)
    except model.out_of_memory:
        pass  # the memory is free only once the exception, which holds the failed tensors, is gone
    model.release_memory()
    return None


def _smaller(batch_size: int) -> int:
    if batch_size == 1:
        raise UQHarnessError(
            "the BEM judge ran out of memory with a single input: run it on another device, such as "
            '--metadata \'{"correctness": {"name": "bem", "device": "cpu"}}\''
        )
    log.warning("BEM ran out of memory with a batch of %d and goes on with %d", batch_size, batch_size // 2)
    return batch_size // 2
