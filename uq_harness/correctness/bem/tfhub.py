"""BEM on TensorFlow: the SavedModel of the paper's authors from TensorFlow Hub, or a folder."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.correctness.bem.scoring import BemModel, Ids, Parts, Sequences, cannot_load, join
from uq_harness.correctness.bem.wordpiece import WordPiece
from uq_harness.errors import UQHarnessError
from uq_harness.files import user_path
from uq_harness.hub import brief, local_folder, not_cached, why_unreachable

VOCABULARY = "google-bert/bert-base-uncased"
MAX_LENGTH = 512
EQUIVALENT = 1


class TensorFlowBem(BemModel):
    """A SavedModel that takes ``input_ids`` and ``segment_ids``, int64 of shape [batch, 512], and gives logits."""

    max_length = MAX_LENGTH

    def __init__(self, model: Any, tokenizer: WordPiece, device: str | None) -> None:
        self.model, self.tokenizer, self.device = model, tokenizer, device

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids as TensorFlow Text makes them."""
        return [self.tokenizer(text) for text in texts]

    def sequences(self, parts: Parts) -> Sequences:
        """The input in the original's layout: segments 0, 1 and 2."""
        ids = self.tokenizer.ids
        return join(parts, ids["[CLS]"], ids["[SEP]"], segments=(0, 1, 2))

    def probabilities(self, batch: Sequence[Parts]) -> list[float]:
        """``softmax(logits)[1]``, each input padded with zeros to 512: whether the model masks them is not known."""
        import tensorflow

        ids, segments = np.zeros((2, len(batch), MAX_LENGTH), dtype=np.int64)
        for row, parts in enumerate(batch):
            sequences = self.sequences(parts)
            ids[row, : len(sequences.ids)], segments[row, : len(sequences.ids)] = sequences
        with tensorflow.device(self.device):
            inputs = {"input_ids": tensorflow.constant(ids), "segment_ids": tensorflow.constant(segments)}
            logits = np.asarray(self.model(inputs), dtype=np.float64)
        odds = np.exp(logits - logits.max(-1, keepdims=True))
        values: list[float] = (odds[:, EQUIVALENT] / odds.sum(-1)).tolist()
        return values


@functools.cache
def load(model: str, device: str | None, vocabulary: str | None) -> TensorFlowBem:
    """Loads a SavedModel and its vocabulary, once a process for the same settings.

    Args:
        model: Handle on TensorFlow Hub, or a folder with a ``saved_model.pb``.
        device: ``cpu``, ``cuda`` or ``cuda:1``; None means the GPU if there is one.
        vocabulary: Path of a ``vocab.txt``; None means that of the model's folder, else that of bert-base-uncased.

    Raises:
        UQHarnessError: TensorFlow, model, vocabulary or device cannot be had, or the model cannot be called like BEM.
    """
    tensorflow = _import_tensorflow()
    _share_gpus(tensorflow)
    place = _device(tensorflow, device)
    folder = _folder(model)
    tokenizer = WordPiece(_read_vocabulary(vocabulary or _find_vocabulary(folder)))
    try:
        with tensorflow.device(place):
            saved = tensorflow.saved_model.load(folder)
    except Exception as error:  # broken and missing files raise all sorts of errors, and the ways out are the same
        raise cannot_load(model, error) from error
    loaded = TensorFlowBem(saved, tokenizer, place)
    _try_out(model, loaded)
    return loaded


def _try_out(model: str, loaded: TensorFlowBem) -> None:
    """Calls the model once, so that one with other inputs or outputs shows now."""
    try:
        loaded.probabilities([Parts((), (), ())])
    except Exception as error:
        raise cannot_load(model, f"it does not take BEM's inputs ({brief(error)})") from error


def _import_tensorflow() -> Any:
    try:
        import tensorflow
    except ImportError as error:
        raise _missing_package("tensorflow", error) from error
    return tensorflow


def _missing_package(name: str, error: ImportError) -> UQHarnessError:
    return UQHarnessError(
        f"the BEM judge with backend='tfhub' cannot import {name} ({brief(error)}): "
        'in the folder of uq-harness\'s source: pip install ".[tfhub]", or use the default backend, torch'
    )


def _share_gpus(tensorflow: Any) -> None:
    """Lets TensorFlow take GPU memory as it needs it; by default it takes all, and torch has none left."""
    for gpu in tensorflow.config.list_physical_devices("GPU"):
        try:
            tensorflow.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # TensorFlow was in use before, and its user has chosen
            return


def _device(tensorflow: Any, name: str | None) -> str | None:
    if name is None:
        return None
    kind, _, index = name.partition(":")
    place = f"{ {'cuda': 'GPU', 'gpu': 'GPU', 'cpu': 'CPU'}.get(kind, kind) }:{index or 0}"
    known = [device.name.removeprefix("/physical_device:") for device in tensorflow.config.list_physical_devices()]
    if place not in known:
        raise UQHarnessError(
            f"the BEM judge cannot use device={name!r} with TensorFlow, which sees {', '.join(known)}: "
            'use "cpu", "cuda" or "cuda:1", or leave it out for the GPU where there is one'
        )
    return f"/{place}"


def _folder(model: str) -> str:
    try:
        return local_folder(model) or _download(model)
    except FileNotFoundError as error:
        raise cannot_load(model, error) from error


def _download(handle: str) -> str:
    """The folder where tensorflow-hub keeps a model, downloaded if need be (TFHUB_CACHE_DIR says where)."""
    try:
        import tensorflow_hub
    except ImportError as error:
        raise _missing_package("tensorflow_hub", error) from error
    try:
        return str(tensorflow_hub.resolve(handle))
    except Exception as error:  # network, file system or handle
        raise cannot_load(handle, error) from error


def _find_vocabulary(folder: str) -> Path:
    in_folder = sorted((Path(folder) / "assets").glob("*vocab*.txt"))
    return in_folder[0] if in_folder else _download_vocabulary()


def _download_vocabulary() -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    cached = try_to_load_from_cache(VOCABULARY, "vocab.txt")
    if isinstance(cached, str):
        return Path(cached)
    if unreachable := why_unreachable(VOCABULARY):
        raise UQHarnessError(
            f"the BEM judge needs the vocabulary of bert-base-uncased: {not_cached(unreachable)}. "
            'Give its file with --metadata \'{"correctness": {"name": "bem", "backend": "tfhub", "vocab": '
            "\"/path/vocab.txt\"}}', or put it into the model's folder as assets/vocab.txt"
        )
    return Path(hf_hub_download(VOCABULARY, "vocab.txt"))


def _read_vocabulary(path: str | Path) -> list[str]:
    try:
        # Not splitlines(), which also splits at the vocabulary's exotic line separators.
        tokens = user_path(path, "vocabulary").read_text(encoding="utf-8").rstrip("\n").split("\n")
    except (OSError, UnicodeError) as error:
        raise UQHarnessError(f"the BEM judge cannot read the vocabulary {str(path)!r}: {brief(error)}") from error
    missing = [token for token in ("[UNK]", "[CLS]", "[SEP]") if token not in tokens]
    if missing:
        raise UQHarnessError(f"{str(path)!r} is not a BERT vocabulary: {', '.join(missing)} missing")
    return tokens
