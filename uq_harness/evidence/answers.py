"""What is known about answers: the greedy one, sampled ones, and the values of the needs that are not plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uq_harness.functional import FloatArray


@dataclass(frozen=True)
class StateGradientNorms:
    """Sizes of a state gradient, one number a block of the span, and for a `StateGradientMap` one a position.

    Attributes:
        absolute: Mean of the absolute values over the hidden features, shape ``[layers]`` or ``[layers, positions]``.
        squared: Mean of the squares over the hidden features, of the same shape.
    """

    absolute: FloatArray
    squared: FloatArray


@dataclass(frozen=True)
class Answer:
    """The model's greedy answer.

    Attributes:
        text: What lm_eval sees: cut at the first stop string, thinking removed, no special tokens.
        token_ids: The answer's tokens, the end-of-sequence token included when the model emitted it; ``None`` where the
            backend does not tell them.
        logprobs: Log-probability of each token at temperature 1, natural logarithm, shape ``[tokens]``; ``None`` where
            the backend has none.
        entropies: Entropy of the full distribution each token was taken from, in nats, shape ``[tokens]``; likewise.
        complete: Whether the model ended the answer itself; false when the token limit cut it; ``None`` where that is
            unknown.
        emitted_ids: All tokens that the model wrote, where they are more than the answer's: its thinking before them,
            a stop string behind them; ``None`` where they are the same or unknown.
    """

    text: str
    token_ids: tuple[int, ...] | None
    logprobs: FloatArray | None
    entropies: FloatArray | None
    complete: bool | None
    emitted_ids: tuple[int, ...] | None = None

    @property
    def n_tokens(self) -> int | None:
        """Number of the answer's tokens; ``None`` where it is unknown."""
        return next((len(one) for one in (self.token_ids, self.logprobs, self.entropies) if one is not None), None)

    @property
    def mean_entropy(self) -> float:
        """Mean of the tokens' entropies in nats; ``nan`` for an answer without tokens or entropies."""
        if self.entropies is None or not len(self.entropies):
            return float("nan")
        return float(self.entropies.mean())


@dataclass(frozen=True)
class Sample:
    """A sampled answer.

    Attributes:
        text: The answer's text.
        token_ids: Its tokens, the end-of-sequence token included when it was drawn.
        logprobs: Log-probability of each token under the model itself (temperature 1, nothing cut off), in nats,
            shape ``[tokens]``; ``None`` where the backend has none.
        complete: Whether it ended by itself; false when the token limit cut it.
        sampled_logprobs: Log-probability of each token under the law that it was drawn from (see `DrawLogProbs`), in
            nats, shape ``[tokens]``; ``None`` where it was not asked for.
        emitted_ids: As in `Answer`.
        logits: Logit of each token before any temperature or cut, shape ``[tokens]``; ``None`` where it was not asked
            for.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: FloatArray | None
    complete: bool
    sampled_logprobs: FloatArray | None = None
    emitted_ids: tuple[int, ...] | None = None
    logits: FloatArray | None = None

    def log_likelihood(self, sampled: bool = False) -> float:
        """Sum of the tokens' log-probabilities, in nats; ``nan`` where they are unknown.

        Args:
            sampled: Whether those of the law of the draw are meant.
        """
        logprobs = self.sampled_logprobs if sampled else self.logprobs
        return float("nan") if logprobs is None else float(logprobs.sum())


@dataclass(frozen=True)
class Alternatives:
    """The likeliest tokens at each of an answer's tokens, the answer's own one first.

    Attributes:
        token_ids: Their ids, whole numbers, shape ``[tokens, count]``.
        logprobs: Their log-probabilities in nats, of the same shape.
    """

    token_ids: NDArray[np.int64]
    logprobs: FloatArray

    @classmethod
    def of(
        cls, chosen: Sequence[int], own: FloatArray, token_ids: ArrayLike, logprobs: FloatArray, count: int
    ) -> Alternatives:
        """The answer's own tokens, and the likeliest others.

        Args:
            chosen: The answer's tokens.
            own: Their log-probabilities.
            token_ids: Ids of the likeliest tokens at each of them, best first, ``[tokens, k]``.
            logprobs: Their log-probabilities, ``[tokens, k]`` or more behind them.
            count: How many are kept.

        >>> found = Alternatives.of([7], np.array([-2.0]), [[5, 7, 6]], np.array([[-0.5, -2.0, -3.0]]), 2)
        >>> found.token_ids.tolist(), found.logprobs.tolist()
        ([[7, 5]], [[-2.0, -0.5]])
        """
        ids = np.asarray(token_ids, dtype=np.int64)
        first = np.asarray(chosen, dtype=np.int64)[:, np.newaxis]
        others = np.argsort(ids == first, axis=1, kind="stable")[:, : min(count, ids.shape[1]) - 1]
        return cls(
            np.concatenate([first, np.take_along_axis(ids, others, 1)], axis=1),
            np.concatenate([own[:, np.newaxis], np.take_along_axis(logprobs[:, : ids.shape[1]], others, 1)], axis=1),
        )


@dataclass(frozen=True)
class ConditionalLogProbs:
    """Distinct answers, and what the model makes of one after another has been stated.

    Attributes:
        answers: The distinct answers, k of them.
        probabilities: Their probabilities, normalised over them, shape ``[k]``.
        logprobs: ``logprobs[i, j]`` is the log-likelihood of answer j after a prompt that states answer i, in nats,
            shape ``[k, k]``.
    """

    answers: tuple[str, ...]
    probabilities: FloatArray
    logprobs: FloatArray

    @property
    def texts_scored(self) -> int:
        """Number of answers that the model has read after another: one alone is not asked about."""
        return len(self.answers) ** 2 if len(self.answers) > 1 else 0
