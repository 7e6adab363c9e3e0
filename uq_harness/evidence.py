"""What methods may ask for (needs), and what the engine gathers for one question (evidence)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uq_harness.errors import UQHarnessError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LayerSpan:
    """A range of decoder blocks, taken by their inputs: ``top_half``, ``last_quarter``, ``all`` or ``a-b``.

    >>> LayerSpan("top_half").resolve(5)
    range(3, 5)
    >>> LayerSpan("1-2").resolve(5)
    range(1, 3)
    """

    name: str = "top_half"

    def __post_init__(self) -> None:
        if self.name in ("top_half", "last_quarter", "all"):
            return
        first, dash, last = self.name.partition("-")
        if not (dash and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
            raise UQHarnessError(
                f"layer span {self.name!r} is not allowed: use top_half, last_quarter, all, or blocks such as 8-15"
            )

    def resolve(self, n_blocks: int) -> range:
        """The block numbers that the span means in a model of ``n_blocks`` blocks.

        Raises:
            UQHarnessError: The span names blocks that the model does not have.
        """
        if self.name == "top_half":
            return range(n_blocks - n_blocks // 2 if n_blocks > 1 else 0, n_blocks)
        if self.name == "last_quarter":
            return range(min(n_blocks - n_blocks // 4, n_blocks - 1), n_blocks)
        if self.name == "all":
            return range(n_blocks)
        first, last = map(int, self.name.split("-"))
        if last >= n_blocks:
            raise UQHarnessError(
                f"layer span {self.name!r} ends behind the model's last block: it has the blocks 0 to {n_blocks - 1}"
            )
        return range(first, last + 1)


@dataclass(frozen=True)
class HeadGradient:
    """Need: the gradient of the answer's mean negative log-likelihood with respect to the LM head's matrix.

    Attributes:
        reweighted: Whether each token's term is multiplied by the entropy of its distribution.
    """

    reweighted: bool


@dataclass(frozen=True)
class StateGradient:
    """Need: gradients with respect to the inputs of decoder blocks at the prompt's semantic-preserving token.

    Attributes:
        reweighted: Whether each token's term is multiplied by the entropy of its distribution.
        layers: The blocks whose inputs are meant.
    """

    reweighted: bool
    layers: LayerSpan


@dataclass(frozen=True)
class ContinuationLogProb:
    """Need: the log-probability that the model gives to a fixed continuation of a raw-text prompt.

    Attributes:
        prefix: Text that every prompt begins with; its keys and values are computed once per run.
        prompt: Makes the rest of the prompt from the question and the greedy answer.
        continuation: The text whose tokens' log-probabilities are summed.
    """

    prefix: str
    prompt: Callable[[str, str], str]
    continuation: str


Need = HeadGradient | StateGradient | ContinuationLogProb


@dataclass(frozen=True)
class StateGradientNorms:
    """Sizes of a state gradient, one number a block of the span.

    Attributes:
        absolute: Mean of the absolute values over the hidden features, shape ``[layers]``.
        squared: Mean of the squares over the hidden features, shape ``[layers]``.
    """

    absolute: FloatArray
    squared: FloatArray


@dataclass(frozen=True)
class Answer:
    """The model's greedy answer.

    Attributes:
        text: What lm_eval sees: cut at the first stop string, thinking removed, no special tokens.
        token_ids: The answer's tokens, the end-of-sequence token included when the model emitted it.
        logprobs: Log-probability of each token at temperature 1, natural logarithm, shape ``[tokens]``.
        entropies: Entropy of the distribution each token was taken from, in nats, shape ``[tokens]``.
        complete: Whether the model ended the answer itself; false when the token limit cut it.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: FloatArray
    entropies: FloatArray
    complete: bool

    @property
    def mean_entropy(self) -> float:
        """Mean of the tokens' entropies in nats; ``nan`` for an answer without tokens."""
        return float(self.entropies.mean()) if len(self.entropies) else float("nan")


@dataclass(frozen=True)
class Evidence:
    """All that was gathered about one question; what nobody needed is absent.

    Attributes:
        question: The bare question, without the chat prompt around it.
        answer: The greedy answer.
        head_gradients: Mean absolute value of the head's gradient over its entries.
        state_gradients: Sizes of the state gradients.
        continuations: Summed log-probabilities of fixed continuations.
    """

    question: str
    answer: Answer
    head_gradients: Mapping[HeadGradient, float] = field(default_factory=dict)
    state_gradients: Mapping[StateGradient, StateGradientNorms] = field(default_factory=dict)
    continuations: Mapping[ContinuationLogProb, float] = field(default_factory=dict)
