"""Similarity with a bi-encoder of sentence-transformers: the cosine of two sentences' embeddings."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.functional import FloatArray
from uq_harness.hub import fetch
from uq_harness.similarity.classifier import text_lengths
from uq_harness.similarity.cross_encoder import sentence_transformers
from uq_harness.similarity.loading import Settings, check_tokenizer, limit_length, place, unify_dtype
from uq_harness.similarity.memory import Pair
from uq_harness.similarity.neural import Network


class BiEncoderNetwork(Network[str]):
    """A sentence encoder: reads each text alone, and compares the embeddings.

    Args:
        encoder: A ``sentence_transformers.SentenceTransformer`` on its device.
        max_length: The most tokens of a text that it reads.
    """

    kind = "bi-encoder"
    reads = "text"

    def __init__(self, encoder: Any, max_length: int) -> None:
        self.encoder, self.max_length = encoder, max_length

    @property
    def on_cpu(self) -> bool:
        """Whether the encoder is on the processor."""
        return str(self.encoder.device) == "cpu"

    def items(self, pairs: Sequence[Pair]) -> list[str]:
        """The distinct texts of the pairs."""
        return list(dict.fromkeys(text for pair in pairs for text in pair))

    def lengths(self, items: Sequence[str]) -> list[int]:
        """Number of tokens of each text, with the prompt that the model's files put before texts."""
        prompt = self.encoder.prompts.get(self.encoder.default_prompt_name) or ""
        special = int(self.encoder.tokenizer.num_special_tokens_to_add(pair=False))
        return [length + special for length in text_lengths(self.encoder.tokenizer, [prompt + text for text in items])]

    def forward(self, items: Sequence[str]) -> FloatArray:
        """The texts' embeddings, shape ``[texts, width]``."""
        found = self.encoder.encode(list(items), batch_size=len(items), show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(found, dtype=np.float64)

    def combine(self, pairs: Sequence[Pair], rows: Mapping[str, FloatArray]) -> FloatArray:
        """The cosines, shape ``[pairs, 1]``; 0 where they are negative, ``nan`` where an embedding is zero."""
        first, second = (np.stack([rows[pair[side]] for pair in pairs]) for side in (0, 1))
        with np.errstate(invalid="ignore"):
            norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
            cosines = np.einsum("ij,ij->i", first, second) / norms
        same = np.array([one == other for one, other in pairs])
        cosines[same & ~np.isnan(cosines)] = 1.0  # rounding apart
        return np.asarray(np.clip(cosines, 0.0, 1.0)[:, np.newaxis], dtype=np.float64)


@functools.cache
def is_bi_encoder(settings: Settings) -> bool:
    """Whether a model's files say that it embeds sentences: ``modules.json``, and no other type in its configuration.

    Later releases of sentence-transformers give cross-encoders a ``modules.json`` too, and say the type beside it.

    Raises:
        UQHarnessError: sentence-transformers or the model cannot be had.
    """
    load_file_path = sentence_transformers(settings).util.load_file_path

    def read(source: str, only_cached: bool) -> bool:
        if load_file_path(source, "modules.json", local_files_only=only_cached) is None:
            return False
        file = load_file_path(source, "config_sentence_transformers.json", local_files_only=only_cached)
        said = {} if file is None else json.loads(Path(file).read_text(encoding="utf-8"))
        return bool(said.get("model_type", "SentenceTransformer") == "SentenceTransformer")

    return fetch(settings.model, read, settings.cannot_load)


def load(settings: Settings) -> BiEncoderNetwork:
    """Loads a bi-encoder, once a process for the same settings.

    Raises:
        UQHarnessError: sentence-transformers, model or device cannot be had.
    """
    return _load(settings.of_network)


@functools.cache
def _load(settings: Settings) -> BiEncoderNetwork:
    import torch

    def read(source: str, only_cached: bool) -> Any:
        return sentence_transformers(settings).SentenceTransformer(
            source,
            device="cpu",
            local_files_only=only_cached,
            model_kwargs={"dtype": getattr(torch, settings.dtype)},
        )

    encoder = fetch(settings.model, read, settings.cannot_load)
    network = getattr(encoder[0], "auto_model", None)
    if network is None:
        raise settings.cannot_load(f"it begins with {type(encoder[0]).__name__}, and not with a transformer")
    check_tokenizer(settings, encoder.tokenizer, network.config)
    for module in encoder:
        unify_dtype(settings, getattr(module, "auto_model", module))
    if encoder.max_seq_length is not None:
        encoder.tokenizer.model_max_length = min(encoder.tokenizer.model_max_length, encoder.max_seq_length)
    max_length = limit_length(settings, encoder.tokenizer, network, texts=1)
    encoder.max_seq_length = max_length
    place(settings, encoder.eval())
    return BiEncoderNetwork(encoder, max_length)
