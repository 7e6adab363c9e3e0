"""From settings to services. Wrong settings show here, missing models in ``prepare``."""

from __future__ import annotations

from typing import Any

from uq_harness.similarity.loading import CACHE_SIZE, NLI_ROLE, SIMILARITY_ROLE, Settings
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
    cache_size: int = CACHE_SIZE,
) -> NLI:
    """The NLI service.

    Args:
        model: A sequence classifier with the labels entailment, neutral and contradiction: name on the Hugging Face
            hub, or a folder. ``lexical`` stands for no model: texts entail each other if they are equal after SQuAD
            normalisation, and contradict each other if not; of the other settings only ``cache_size`` is then used.
        batch_size: Pairs in one forward pass; fewer where memory runs out.
        device: ``cpu``, ``cuda`` or ``cuda:1``; None means the GPU if there is one.
        dtype: The weights' type: ``float32``, ``bfloat16`` or ``float16``.
        max_length: Tokens of a pair that are read, at most the model's maximum; None means that maximum. What is too
            long is cut at its beginning, since the answer is at the end.
        cache_size: The most pairs whose results are kept, so that those that come up again do not go through the model
            again; about 210 bytes each. 0 keeps none.

    Raises:
        UQHarnessError: A setting is not allowed.

    >>> build_nli("lexical").probabilities([("Who? Jane Austen", "Who? jane austen."), ("Who? Austen", "Who? Eliot")])
    array([[1., 0., 0.], [0., 0., 1.]])
    """
    settings = Settings(NLI_ROLE, model, batch_size, device, dtype, max_length, cache_size)
    nli = Lexical(equal_or_contradicting) if model == LEXICAL else NeuralPairModel(settings, _load_nli)
    return NLI(nli, settings.cache_size)


def build_similarity(
    model: str = DEFAULT_SIMILARITY,
    batch_size: int = 64,
    device: str | None = None,
    dtype: str = "float32",
    max_length: int | None = None,
    cache_size: int = CACHE_SIZE,
) -> Similarity:
    """The similarity service.

    Args:
        model: A model of sentence-transformers: name on the Hugging Face hub, or a folder. Its files say whether it is
            a cross-encoder with one output and a sigmoid, which reads both texts together, or a bi-encoder, which
            embeds each text: then the similarity is the cosine of two embeddings, 0 where that is negative. ``lexical``
            stands for no model: the similarity is token F1, and of the other settings only ``cache_size`` is used.
        batch_size: Pairs in one forward pass; fewer where memory runs out.
        device: ``cpu``, ``cuda`` or ``cuda:1``; None means the GPU if there is one.
        dtype: The weights' type: ``float32``, ``bfloat16`` or ``float16``.
        max_length: As for `build_nli`.
        cache_size: As for `build_nli`.

    Raises:
        UQHarnessError: A setting is not allowed.

    >>> build_similarity("lexical").scores([("the red dog", "a dog"), ("", "")])
    array([0.66666667, 1. ])
    """
    settings = Settings(SIMILARITY_ROLE, model, batch_size, device, dtype, max_length, cache_size)
    encoder = Lexical(shared_words) if model == LEXICAL else NeuralPairModel(settings, _load_similarity)
    return Similarity(encoder, settings.cache_size)


def _load_nli(settings: Settings) -> Network[Any]:
    from uq_harness.similarity import classifier

    return classifier.load(settings)


def _load_similarity(settings: Settings) -> Network[Any]:
    from uq_harness.similarity import bi_encoder, cross_encoder

    return bi_encoder.load(settings) if bi_encoder.is_bi_encoder(settings.of_network) else cross_encoder.load(settings)
