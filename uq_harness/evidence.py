"""What methods may ask for (needs), and what the engine gathers for one question (evidence)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
        tied: Whether the matrix is meant in both of its places, as head and as embedding of prompt and answer; only
            models with tied embeddings have such a gradient.
    """

    reweighted: bool
    tied: bool = False


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
class StateGradientMap:
    """Need: gradients with respect to the inputs of decoder blocks at several prompt positions.

    Attributes:
        reweighted: Whether each token's term is multiplied by the entropy of its distribution.
        layers: The blocks whose inputs are meant.
        positions: Prompt positions counted from the end, ``-1`` for the last token.
    """

    reweighted: bool
    layers: LayerSpan
    positions: tuple[int, ...]


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


@dataclass(frozen=True)
class Samples:
    """Need: independent answers drawn from the model.

    The samples are numbered, and the first ones are the same whatever the count, so that needs that differ in nothing
    else share them.

    Attributes:
        count: Number of samples.
        temperature: Divides the logits before the softmax.
        top_p: Smallest mass of the likeliest tokens that are drawn from; 1 for all.
        top_k: Number of the likeliest tokens that are drawn from; 0 for all.
    """

    count: int
    temperature: float
    top_p: float = 1.0
    top_k: int = 0


@dataclass(frozen=True)
class DiverseBeams:
    """Need: answers of diverse beam search with groups of one beam, best first.

    Attributes:
        groups: Number of groups, and so of answers.
        penalty: What an earlier group's use of a token at the same step takes off its log-probability.
    """

    groups: int
    penalty: float


SampleSet = Samples | DiverseBeams


@dataclass(frozen=True)
class SampledLogProbs:
    """Need: log-probabilities of a set's tokens under the law that they were drawn from.

    That law is the model's own, divided by the set's temperature and cut off at its top-k and top-p; see
    `Sample.sampled_logprobs`.
    """

    samples: Samples


@dataclass(frozen=True)
class SampleStates:
    """Need: the model's hidden state at the end of each of a set's answers.

    It is the input of the middle block at the last token that was fed back to the model: the one before the
    end-of-sequence token, or the prompt's last token where no token was fed back.
    """

    samples: SampleSet


@dataclass(frozen=True)
class PairwiseEntailment:
    """Need: NLI probabilities between all ordered pairs of a set's answers, each put behind the question."""

    samples: SampleSet


@dataclass(frozen=True)
class AnswerEntailment:
    """Need: NLI probabilities between the greedy answer and each of a set's answers, in both directions."""

    samples: SampleSet


@dataclass(frozen=True)
class PairwiseSimilarity:
    """Need: cross-encoder similarity of all pairs of a set's answers, each put behind the question."""

    samples: SampleSet


@dataclass(frozen=True)
class TokenRelevance:
    """Need: how much each token of a set's answers changes their meaning when it is left out."""

    samples: SampleSet


@dataclass(frozen=True)
class RescoredLogProb:
    """Need: mean log-probability per token of a set's answers as texts, tokenised anew and without the end token.

    Attributes:
        samples: The set.
        temperature: Divides the logits before the softmax.
    """

    samples: SampleSet
    temperature: float


@dataclass(frozen=True)
class AnswersGivenAnswers:
    """Need: likelihood of each distinct answer after a prompt that states another one (or itself).

    Answers are made distinct by `functional.merge_by_f1`.

    Attributes:
        samples: The set.
        threshold: Token F1 above which two answers count as one.
        prompt: Makes the user's message from the bare question, the stated answer and the task's own message.
        sampled: Whether the answers' own probabilities are those of the law that they were drawn from.
    """

    samples: Samples
    threshold: float
    prompt: Callable[[str, str, str], str]
    sampled: bool = False


Need = (
    HeadGradient
    | StateGradient
    | StateGradientMap
    | ContinuationLogProb
    | Samples
    | DiverseBeams
    | SampledLogProbs
    | SampleStates
    | PairwiseEntailment
    | AnswerEntailment
    | PairwiseSimilarity
    | TokenRelevance
    | RescoredLogProb
    | AnswersGivenAnswers
)


def sample_sets(needs: Iterable[Need]) -> tuple[SampleSet, ...]:
    """The sample sets that some needs are or name, each once.

    >>> ten = Samples(10, 1.0)
    >>> sample_sets([ten, PairwiseEntailment(ten), TokenRelevance(Samples(5, 1.0))])
    (Samples(count=10, temperature=1.0, top_p=1.0, top_k=0), Samples(count=5, temperature=1.0, top_p=1.0, top_k=0))
    """
    named = (need if isinstance(need, SampleSet) else getattr(need, "samples", None) for need in needs)
    return tuple(dict.fromkeys(found for found in named if isinstance(found, SampleSet)))


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
class Sample:
    """A sampled answer.

    Attributes:
        text: The answer's text.
        token_ids: Its tokens, the end-of-sequence token included when it was drawn.
        logprobs: Log-probability of each token under the model itself (temperature 1, nothing cut off), in nats,
            shape ``[tokens]``.
        complete: Whether it ended by itself; false when the token limit cut it.
        sampled_logprobs: Log-probability of each token under the law that it was drawn from (see `SampledLogProbs`),
            shape ``[tokens]``; ``None`` where nothing needs it.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: FloatArray
    complete: bool
    sampled_logprobs: FloatArray | None = None


@dataclass(frozen=True)
class Conditionals:
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


@dataclass(frozen=True)
class Evidence:
    """All that was gathered about one question; what nobody needed is absent.

    Attributes:
        question: The bare question, without the chat prompt around it.
        answer: The greedy answer.
        head_gradients: Mean absolute value of the head's gradient over its entries.
        semantic_token: Position of the prompt's semantic-preserving token from its end, ``-1`` for the last token.
        semantic_text: That token's text.
        state_gradients: Sizes of the gradients at the semantic-preserving token.
        state_gradient_maps: Sizes of the gradients at chosen positions.
        continuations: Summed log-probabilities of fixed continuations.
        samples: The answers of each set.
        states: For each `SampleStates` the hidden states, ``[n, width]``.
        entailment: NLI probabilities in the order entailment, neutral, contradiction on the last axis:
            ``[n, n, 3]`` (premise, hypothesis) for `PairwiseEntailment`, ``[n, 2, 3]`` for `AnswerEntailment` (first
            the greedy answer entailing the sample, then the sample entailing it).
        similarity: ``[n, n]`` for each `PairwiseSimilarity`, in [0, 1].
        relevance: For each `TokenRelevance` one array ``[tokens]`` a sample, in [0, 1]; special tokens have 0.
        rescored: For each `RescoredLogProb` one number a sample, ``[n]``.
        conditionals: For each `AnswersGivenAnswers`.
        missing: The needs that could not be met, since memory did not hold what they take; what depends on them is
            undefined.
        cost: This question's share of its batch's seconds by stage (``decode_seconds``, …), and counts of the work.
    """

    question: str
    answer: Answer
    head_gradients: Mapping[HeadGradient, float] = field(default_factory=dict)
    semantic_token: int = -1
    semantic_text: str = ""
    state_gradients: Mapping[StateGradient, StateGradientNorms] = field(default_factory=dict)
    state_gradient_maps: Mapping[StateGradientMap, StateGradientNorms] = field(default_factory=dict)
    continuations: Mapping[ContinuationLogProb, float] = field(default_factory=dict)
    samples: Mapping[SampleSet, tuple[Sample, ...]] = field(default_factory=dict)
    states: Mapping[SampleStates, FloatArray] = field(default_factory=dict)
    entailment: Mapping[PairwiseEntailment | AnswerEntailment, FloatArray] = field(default_factory=dict)
    similarity: Mapping[PairwiseSimilarity, FloatArray] = field(default_factory=dict)
    relevance: Mapping[TokenRelevance, tuple[FloatArray, ...]] = field(default_factory=dict)
    rescored: Mapping[RescoredLogProb, FloatArray] = field(default_factory=dict)
    conditionals: Mapping[AnswersGivenAnswers, Conditionals] = field(default_factory=dict)
    missing: frozenset[Need] = frozenset()
    cost: Mapping[str, float] = field(default_factory=dict)
