"""What a method may ask for: each need is a key with the type of its value and the stage that makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from uq_harness.errors import UQHarnessError
from uq_harness.evidence.answers import Alternatives, ConditionalLogProbs, Sample, StateGradientNorms
from uq_harness.functional import FloatArray
from uq_harness.functional.statistics import Statistic

if TYPE_CHECKING:
    from uq_harness.evidence.found import Evidence

T_co = TypeVar("T_co", covariant=True)


class Need(Generic[T_co]):
    """Something that a backend gathers about an answer; ``evidence[need]`` is its value, of type ``T_co``.

    Subclasses are frozen dataclasses: equal needs are gathered once, whichever methods declare them.

    Attributes:
        stage: The part of the work that makes it, as in the records' ``cost`` fields: ``answer`` (comes with the greedy
            answer), ``samples``, ``gradients``, ``scoring``, ``nli`` or ``similarity``.
    """

    stage: ClassVar[str]

    @property
    def sample_set(self) -> SampleSet | None:
        """The set of sampled answers that the need is or is about; ``None`` for a need without samples."""
        return None

    def read(self, evidence: Evidence) -> T_co:
        """The value in the evidence.

        Raises:
            KeyError: It was not gathered.
        """
        value: T_co = evidence.values[self]
        return value


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

    def fits(self, n_blocks: int) -> bool:
        """Whether a model of ``n_blocks`` blocks has all that the span names."""
        return "-" not in self.name or int(self.name.partition("-")[2]) < n_blocks

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
class AnswerLogProbs(Need[FloatArray]):
    """Need: log-probability of each token of the greedy answer at temperature 1, in nats, shape ``[tokens]``."""

    stage = "answer"

    def read(self, evidence: Evidence) -> FloatArray:
        """The answer's ``logprobs``."""
        return _known(evidence.answer.logprobs, self)


@dataclass(frozen=True)
class AnswerEntropies(Need[FloatArray]):
    """Need: entropy of the full distribution that each token of the greedy answer was taken from, in nats."""

    stage = "answer"

    def read(self, evidence: Evidence) -> FloatArray:
        """The answer's ``entropies``, shape ``[tokens]``."""
        return _known(evidence.answer.entropies, self)


@dataclass(frozen=True)
class HeadGradient(Need[float]):
    """Need: the gradient of the answer's mean negative log-likelihood with respect to the LM head's matrix.

    Its value is the mean absolute value over the matrix's entries.

    Attributes:
        reweighted: Whether each token's term is multiplied by the entropy of its distribution.
        tied: Whether the matrix is meant in both of its places, as head and as embedding of prompt and answer; only
            models with tied embeddings have such a gradient.
    """

    stage = "gradients"

    reweighted: bool
    tied: bool = False


@dataclass(frozen=True)
class StateGradient(Need[StateGradientNorms]):
    """Need: gradients with respect to the inputs of decoder blocks at the prompt's semantic-preserving token.

    Attributes:
        reweighted: Whether each token's term is multiplied by the entropy of its distribution.
        layers: The blocks whose inputs are meant.
    """

    stage = "gradients"

    reweighted: bool
    layers: LayerSpan


@dataclass(frozen=True)
class StateGradientMap(Need[StateGradientNorms]):
    """Need: gradients with respect to the inputs of decoder blocks at several prompt positions.

    Attributes:
        reweighted: Whether each token's term is multiplied by the entropy of its distribution.
        layers: The blocks whose inputs are meant.
        positions: Prompt positions counted from the end, ``-1`` for the last token.
    """

    stage = "gradients"

    reweighted: bool
    layers: LayerSpan
    positions: tuple[int, ...]


@dataclass(frozen=True)
class ContinuationLogProb(Need[float]):
    """Need: the log-probability that the model gives to a fixed continuation of a raw-text prompt.

    Attributes:
        prefix: Text that every prompt begins with; its keys and values are computed once per run.
        prompt: Makes the rest of the prompt from the question and the greedy answer.
        continuation: The text whose tokens' log-probabilities are summed.
        samples: Sampled answers that the prompt lists with the question; ``None`` for none.
        listed: Makes what the prompt has in the question's place from the question and the samples' texts.
    """

    stage = "scoring"

    prefix: str
    prompt: Callable[[str, str], str]
    continuation: str
    samples: Samples | None = None
    listed: Callable[[str, Sequence[str]], str] | None = None

    @property
    def sample_set(self) -> Samples | None:
        """The samples that the prompt lists."""
        return self.samples

    def question(self, question: str, samples: Iterable[Sample] = ()) -> str:
        """What the prompt has in the question's place."""
        return question if self.listed is None else self.listed(question, [sample.text for sample in samples])


@dataclass(frozen=True)
class Samples(Need[tuple[Sample, ...]]):
    """Need: independent answers drawn from the model.

    The samples are numbered, and the first ones are the same whatever the count, so that needs that differ in nothing
    else share them.

    Attributes:
        count: Number of samples.
        temperature: Divides the logits before the softmax.
        top_p: Smallest mass of the likeliest tokens that are drawn from; 1 for all.
        top_k: Number of the likeliest tokens that are drawn from; 0 for all.
    """

    stage = "samples"

    count: int
    temperature: float
    top_p: float = 1.0
    top_k: int = 0

    @property
    def sample_set(self) -> Samples:
        """Itself."""
        return self


@dataclass(frozen=True)
class DiverseBeams(Need[tuple[Sample, ...]]):
    """Need: answers of diverse beam search with groups of one beam, best first.

    Attributes:
        groups: Number of groups, and so of answers.
        penalty: What an earlier group's use of a token at the same step takes off its log-probability.
    """

    stage = "samples"

    groups: int
    penalty: float

    @property
    def sample_set(self) -> DiverseBeams:
        """Itself."""
        return self


SampleSet = Samples | DiverseBeams


@dataclass(frozen=True)
class _OfSamples(Need[T_co]):
    """A need about a set of sampled answers."""

    samples: SampleSet

    @property
    def sample_set(self) -> SampleSet:
        """The set."""
        return self.samples


@dataclass(frozen=True)
class SampleLogProbs(_OfSamples[tuple[FloatArray, ...]]):
    """Need: log-probability of each token of a set's answers under the model itself, in nats, ``[tokens]`` each."""

    stage = "samples"

    def read(self, evidence: Evidence) -> tuple[FloatArray, ...]:
        """The samples' ``logprobs``."""
        return tuple(_known(sample.logprobs, self) for sample in evidence[self.samples])


@dataclass(frozen=True)
class DrawLogProbs(_OfSamples[tuple[FloatArray, ...]]):
    """Need: log-probability of each token of a set's answers under the law that it was drawn from, ``[tokens]`` each.

    That law is the model's own, divided by the set's temperature and cut off at its top-k and top-p.
    """

    stage = "samples"

    samples: Samples

    def read(self, evidence: Evidence) -> tuple[FloatArray, ...]:
        """The samples' ``sampled_logprobs``."""
        return tuple(_known(sample.sampled_logprobs, self) for sample in evidence[self.samples])


@dataclass(frozen=True)
class SampleStates(_OfSamples[FloatArray]):
    """Need: the model's hidden state at the end of each of a set's answers.

    Its value has the shape ``[n, width]``: the input of the middle block at the last token that was fed back to the
    model, which is the one before the end-of-sequence token, or the prompt's last token where no token was fed back.
    """

    stage = "samples"


@dataclass(frozen=True)
class ComparedContinuationLogProb(_OfSamples[float]):
    """Need: the log-probability that the model gives to a fixed continuation of a prompt made of compared texts.

    The model is asked when the comparisons of the same question have been made. Its value is in nats; ``nan`` where
    there is no prompt, or it does not fit into the context.

    Attributes:
        samples: The sampled answers that are compared.
        prompt: Makes the raw-text prompt from the evidence with its comparisons; ``None`` where there is nothing to
            ask. What it reads, the method declares too.
        continuation: The text whose tokens' log-probabilities are summed.
    """

    stage = "scoring"

    prompt: Callable[[Evidence], str | None]
    continuation: str


# The order of NLI probabilities on the last axis.
ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)


@dataclass(frozen=True)
class PairwiseEntailment(_OfSamples[FloatArray]):
    """Need: NLI probabilities between all ordered pairs of a set's answers, each put behind the question.

    Its value has the shape ``[n, n, 3]`` (premise, hypothesis), with entailment, neutral, contradiction on the last
    axis.
    """

    stage = "nli"


@dataclass(frozen=True)
class AnswerEntailment(_OfSamples[FloatArray]):
    """Need: NLI probabilities between the greedy answer and each of a set's answers, in both directions.

    Its value has the shape ``[n, 2, 3]``, first the greedy answer entailing the sample, then the sample entailing it,
    with entailment, neutral, contradiction on the last axis.
    """

    stage = "nli"


@dataclass(frozen=True)
class PairwiseSimilarity(_OfSamples[FloatArray]):
    """Need: similarity of all pairs of a set's answers, each put behind the question.

    Its value has the shape ``[n, n]`` and is in [0, 1].
    """

    stage = "similarity"


@dataclass(frozen=True)
class AnswerSimilarity(_OfSamples[FloatArray]):
    """Need: similarity of the greedy answer and each of a set's answers, each put behind the question.

    Its value has the shape ``[n]`` and is in [0, 1]: the mean of both directions, and 1 for equal texts, which no model
    is asked about.
    """

    stage = "similarity"


@dataclass(frozen=True)
class TokenRelevance(_OfSamples[tuple[FloatArray, ...]]):
    """Need: how much each token of a set's answers changes their meaning when it is left out.

    Its value is one array ``[tokens]`` a sample, in [0, 1]; special tokens have 0.
    """

    stage = "similarity"


@dataclass(frozen=True)
class RescoredLogProb(_OfSamples[FloatArray]):
    """Need: mean log-probability per token of a set's answers as texts, tokenised again and without the end token.

    Its value has the shape ``[n]``.

    Attributes:
        samples: The set.
        temperature: Divides the logits before the softmax.
    """

    stage = "scoring"

    temperature: float


@dataclass(frozen=True)
class AnswersGivenAnswers(_OfSamples[ConditionalLogProbs]):
    """Need: likelihood of each distinct answer after a prompt that states another one (or itself).

    Answers are made distinct by `functional.merge_by_f1`.

    Attributes:
        samples: The set.
        threshold: Token F1 above which two answers count as one.
        prompt: Makes the user's message from the bare question, the stated answer and the task's own message.
        sampled: Whether the answers' own probabilities are those of the law that they were drawn from.
        most: How many of the distinct answers are kept, the likeliest; ``None`` for all.
    """

    stage = "scoring"

    samples: Samples
    threshold: float
    prompt: Callable[[str, str, str], str]
    sampled: bool = False
    most: int | None = None


@dataclass(frozen=True)
class SelfAttention(Need[FloatArray]):
    """Need: the attention weight that each token of the greedy answer gives to itself when it is fed to the model.

    Its value has the shape ``[layers, heads, tokens - 1]``: the answer's last token is not fed. Layers are decoder
    blocks whose softmax attention sees all earlier tokens.

    Attributes:
        layers: ``middle_third``: those among the blocks ``⌊L/3⌋`` to ``⌈2L/3⌉`` of ``L``; ``middle``: the one of
            these nearest to block ``⌊L/2⌋``.
    """

    stage = "answer"

    layers: Literal["middle_third", "middle"] = "middle_third"


@dataclass(frozen=True)
class AnswerAttention(Need[FloatArray]):
    """Need: the attention that the last token of a raw-text prompt gives to the greedy answer's tokens in it.

    The answer stands in the prompt as the tokens that the model wrote, without special ones. The value has the shape
    ``[layers, tokens]``, the mean of each layer's heads, and special tokens have 0. Layers are all decoder blocks whose
    softmax attention sees all earlier tokens.

    Attributes:
        before: Makes the text before the answer from the question.
        after: The text behind the answer.
    """

    stage = "scoring"

    before: Callable[[str], str]
    after: str


@dataclass(frozen=True)
class VocabularySize(Need[int]):
    """Need: the number of tokens that the model's distribution is over."""

    stage = "answer"


@dataclass(frozen=True)
class TokenStatistic(Need[FloatArray]):
    """Need: a number of the distribution that each token of the greedy answer was taken from, shape ``[tokens]``.

    Attributes:
        statistic: The number; `uq_harness.functional.statistics` has them.
    """

    stage = "answer"

    statistic: Statistic


@dataclass(frozen=True)
class LikeliestTokens(Need[Alternatives]):
    """Need: the likeliest tokens at each token of the greedy answer, with their log-probabilities.

    Attributes:
        count: How many, the answer's own one among them.
    """

    stage = "answer"

    count: int


@dataclass(frozen=True)
class AlternativeEntailment(Need[FloatArray]):
    """Need: NLI probabilities between each token of the greedy answer and the likeliest tokens at its place.

    Its value has the shape ``[tokens, count, 2, 3]``, first the answer's token entailing the alternative, then the
    alternative entailing it, with entailment, neutral, contradiction on the last axis. Tokens are compared as words:
    their texts without white space and punctuation around them.

    Attributes:
        alternatives: The likeliest tokens; a method declares them too.
    """

    stage = "nli"

    alternatives: LikeliestTokens


@dataclass(frozen=True)
class SampleLogits(_OfSamples[tuple[FloatArray, ...]]):
    """Need: logit of each token of a set's answers, before any temperature or cut, ``[tokens]`` each.

    A cap on logits that is part of the model has been applied.
    """

    stage = "samples"

    def read(self, evidence: Evidence) -> tuple[FloatArray, ...]:
        """The samples' ``logits``."""
        return tuple(_known(sample.logits, self) for sample in evidence[self.samples])


def sample_sets(needs: Iterable[Need[Any]]) -> tuple[SampleSet, ...]:
    """The sample sets that some needs are or name, each once.

    >>> ten = Samples(10, 1.0)
    >>> sample_sets([ten, PairwiseEntailment(ten), TokenRelevance(Samples(5, 1.0))])
    (Samples(count=10, temperature=1.0, top_p=1.0, top_k=0), Samples(count=5, temperature=1.0, top_p=1.0, top_k=0))
    """
    return tuple(dict.fromkeys(need.sample_set for need in needs if need.sample_set is not None))


def _known(values: FloatArray | None, need: Need[Any]) -> FloatArray:
    if values is None:
        raise KeyError(need)
    return values


@dataclass(frozen=True)
class ConfidenceReply(Need[str]):
    """Need: what the model replies when the conversation goes on and it is asked how likely its answer is right.

    The conversation is the prompt, the greedy answer as the assistant's turn, and one more turn of the user's. The
    reply is greedy; stop strings do not end it, and thoughts are not part of it: one that is not finished leaves
    nothing. ``…`` at its end says that the limit on its tokens cut it.

    Attributes:
        message: The user's turn.
        max_tokens: Limit on the reply's tokens.
    """

    stage = "scoring"

    message: str
    max_tokens: int


@dataclass(frozen=True)
class UnconditionalLogProbs(Need[FloatArray]):
    """Need: log-probability of each token of the greedy answer without its prompt, in nats, shape ``[tokens]``.

    The model reads the answer's own tokens behind the beginning-of-sequence token alone. Where its tokenizer has no
    such token, nothing predicts the answer's first one, whose entry is ``nan``.
    """

    stage = "scoring"
