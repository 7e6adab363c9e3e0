"""From settings to services. Wrong settings show here, missing models in ``prepare``."""

from __future__ import annotations

from uq_harness.similarity.loading import NLI_ROLE, SIMILARITY_ROLE, Settings
from uq_harness.similarity.neural import Network, NeuralPairModel
from uq_harness.similarity.services import LEXICAL, NLI, Lexical, Similarity, equal_or_contradicting, shared_words

DEFAULT_NLI = "microsoft/deberta-large-mnli"
DEFAULT_SIMILARITY = "cross-encoder/stsb-roberta-large"


def build_nli(
    model: str = DEFAULT_NLI,
    batch_size: int = 64,
    device: str | None = None,
    dtype: str = "float32",
    max_length: int | None = None,
) -> NLI:
    """The NLI service.

    Args:
        model: A sequence classifier with the labels entailment, neutral and contradiction: name on the Hugging Face
            hub, or a folder. ``lexical`` stands for no model: texts entail each other if they are equal after SQuAD
            normalisation, and contradict each other if not; the other settings are then not used.
        batch_size: Pairs in one forward pass; fewer where memory runs out.
        device: ``cpu``, ``cuda`` or ``cuda:1``; None means the GPU if there is one.
        dtype: The weights' type: ``float32``, ``bfloat16`` or ``float16``.
        max_length: Tokens of a pair that are read, at most the model's maximum; None means that maximum. What is too
            long is cut at its beginning, since the answer is at the end.

    Raises:
        UQHarnessError: A setting is not allowed.

    >>> build_nli("lexical").probabilities([("Who? Jane Austen", "Who? jane austen."), ("Who? Austen", "Who? Eliot")])
    array([[1., 0., 0.], [0., 0., 1.]])
    """
    settings = Settings(NLI_ROLE, model, batch_size, device, dtype, max_length)
    return NLI(Lexical(equal_or_contradicting) if model == LEXICAL else NeuralPairModel(settings, _load_nli))


def build_similarity(
    model: str = DEFAULT_SIMILARITY,
    batch_size: int = 64,
    device: str | None = None,
    dtype: str = "float32",
    max_length: int | None = None,
) -> Similarity:
    """The similarity service.

    Args:
        model: A cross-encoder of sentence-transformers with one output and a sigmoid: name on the Hugging Face hub, or
            a folder. ``lexical`` stands for no model: the similarity is token F1, and the other settings are not used.
        batch_size: Pairs in one forward pass; fewer where memory runs out.
        device: ``cpu``, ``cuda`` or ``cuda:1``; None means the GPU if there is one.
        dtype: The weights' type: ``float32``, ``bfloat16`` or ``float16``.
        max_length: As for `build_nli`.

    Raises:
        UQHarnessError: A setting is not allowed.

    >>> build_similarity("lexical").scores([("the red dog", "a dog"), ("", "")])
    array([0.66666667, 1. ])
    """
    settings = Settings(SIMILARITY_ROLE, model, batch_size, device, dtype, max_length)
    return Similarity(Lexical(shared_words) if model == LEXICAL else NeuralPairModel(settings, _load_cross_encoder))


def _load_nli(settings: Settings) -> Network:
    from uq_harness.similarity import classifier as _classifier

    return _classifier.load(settings)


def _load_cross_encoder(settings: Settings) -> Network:
    from uq_harness.similarity import cross_encoder as _cross_encoder

    return _cross_encoder.load(settings)
