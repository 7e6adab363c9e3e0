"""Similarity with a cross-encoder of sentence-transformers."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray
from uq_harness.hub import brief, fetch
from uq_harness.similarity.classifier import text_lengths
from uq_harness.similarity.loading import Settings, check_tokenizer, limit_length, place, unify_dtype
from uq_harness.similarity.memory import Pair
from uq_harness.similarity.neural import PairNetwork


class CrossEncoderNetwork(PairNetwork):
    """A cross-encoder with one output between 0 and 1.

    Args:
        encoder: A ``sentence_transformers.CrossEncoder`` on its device.
        max_length: The most tokens of a pair that it reads.
    """

    kind = "cross-encoder"

    def __init__(self, encoder: Any, max_length: int) -> None:
        self.encoder, self.max_length = encoder, max_length

    @property
    def on_cpu(self) -> bool:
        """Whether the encoder is on the processor."""
        return str(self.encoder.device) == "cpu"

    def text_lengths(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, without special tokens."""
        return text_lengths(self.encoder.tokenizer, texts)

    @property
    def special_tokens(self) -> int:
        """Number of special tokens around a pair."""
        return int(self.encoder.tokenizer.num_special_tokens_to_add(pair=True))

    def forward(self, pairs: Sequence[Pair]) -> FloatArray:
        """The similarities, shape ``[pairs, 1]``."""
        scores = self.encoder.predict([list(pair) for pair in pairs], batch_size=len(pairs), show_progress_bar=False)
        return np.asarray(scores, dtype=np.float64).reshape(-1, 1)


def load(settings: Settings) -> CrossEncoderNetwork:
    """Loads a cross-encoder, once a process for the same settings.

    Raises:
        UQHarnessError: sentence-transformers, model or device cannot be had, or the model gives no similarity between
            0 and 1.
    """
    return _load(settings.of_network)


@functools.cache
def _load(settings: Settings) -> CrossEncoderNetwork:
    cross_encoder = sentence_transformers(settings).CrossEncoder
    read = functools.partial(_read, cross_encoder, dtype=settings.dtype)
    encoder = fetch(settings.model, read, settings.cannot_load)
    _check(settings, encoder)
    check_tokenizer(settings, encoder.tokenizer, encoder.model.config)
    unify_dtype(settings, encoder.model)
    max_length = limit_length(settings, encoder.tokenizer, encoder.model)
    place(settings, encoder.eval())
    return CrossEncoderNetwork(encoder, max_length)


def sentence_transformers(settings: Settings) -> Any:
    """The package.

    Raises:
        UQHarnessError: It is not there.
    """
    try:
        import sentence_transformers as package
    except ImportError as error:
        raise UQHarnessError(
            f"the {settings.role.name} cannot import sentence_transformers ({brief(error)}): "
            f"pip install sentence-transformers, or compare words with {settings.role.prefix}_model=lexical"
        ) from error
    return package


def _read(cross_encoder: Any, source: str, only_cached: bool, dtype: str) -> Any:
    import torch

    return cross_encoder(
        source, device="cpu", local_files_only=only_cached, model_kwargs={"dtype": getattr(torch, dtype)}
    )


def _check(settings: Settings, encoder: Any) -> None:
    import torch

    kind = type(encoder.model).__name__
    if kind.endswith("ForSequenceClassification") and kind not in (encoder.model.config.architectures or []):
        raise settings.cannot_load(
            "it was saved without a trained classifier, which makes a cross-encoder, and without modules.json, which "
            "makes a bi-encoder"
        )
    if encoder.num_labels != 1:
        raise settings.cannot_load(f"it has {encoder.num_labels} outputs, and a similarity is one")
    if not isinstance(encoder.activation_fn, torch.nn.Sigmoid):
        activation = type(encoder.activation_fn).__name__
        raise settings.cannot_load(f"its output goes through {activation}, and only a sigmoid's is between 0 and 1")
