"""Loads a model and its tokenizer by name, as ``uq-hf`` does, for use outside lm_eval's runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.answering.model_arguments import explained, read_model_arguments, read_pretrained
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError, one_of

# lm_eval's own choice, which becomes the CPU where there is no GPU; HFLM's, plain cuda, fails there.
DEVICE = "cuda:0"
# Arguments of ``uq-hf`` that have a meaning in runs of lm_eval alone.
_OF_RUNS = (
    "logits_cache",
    "max_batch_size",
    "mixed_precision_dtype",
    "prefix_token_id",
    "save_samples",
    "softmax_dtype",
    "truncation",
)


def load_pretrained(
    pretrained: str, arguments: Mapping[str, Any], own: Sequence[str]
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A decoder-only model in evaluation mode on its device, and its tokenizer.

    Args:
        pretrained: A name on the hub, a folder, or ``demo``.
        arguments: Arguments of lm_eval's ``hf`` that load a model: ``device``, ``dtype``, ``revision``, ``peft``, …;
            what ``hf`` does not know goes to the model's class.
        own: Names of further arguments that the caller takes, for hints.

    Raises:
        UQHarnessError: It cannot be loaded, is not decoder-only, an argument is unknown or not allowed, or this
            machine does not have the device.
    """
    if not isinstance(read_pretrained(pretrained), str):
        raise UQHarnessError(
            "the model is loaded already: give it with its tokenizer, UncertaintyModel(model, tokenizer)"
        )
    of_runs = next((name for name in arguments if name in _OF_RUNS), None)
    if of_runs is not None:
        raise UQHarnessError(f"{of_runs} is an argument of runs of lm_eval alone: leave it out")
    place = str(MODEL_DIR) if pretrained == "demo" else read_pretrained(pretrained)
    read = read_model_arguments({"device": DEVICE, **arguments})
    if "device" in arguments:
        read["device"] = _read_device(arguments["device"])
    with explained(pretrained, arguments, own):
        loaded = HFLM(place, **read)
    if loaded.backend != "causal":
        raise UQHarnessError(
            f"uncertainty scores need a decoder-only model, and {pretrained} is of type {loaded.backend}"
        )
    # the model is not shared: graphs need not keep what weights' gradients take
    model: PreTrainedModel = loaded.model.requires_grad_(False)
    return model, loaded.tokenizer


def _read_device(device: Any) -> str:
    """The device as ``hf`` knows it, which takes another one where it knows none of that name.

    Raises:
        UQHarnessError: It is no device, or this machine does not have it.
    """
    if device is None:
        return DEVICE
    name = str(device)
    there = ["cpu", *(["mps", "mps:0"] if torch.backends.mps.is_available() else [])]
    for kind in ("cuda", "xpu", "npu", "hpu"):
        backend = getattr(torch, kind, None)
        if backend is not None and backend.is_available():
            there += [kind, *(f"{kind}:{number}" for number in range(backend.device_count()))]
    if name not in there:
        raise UQHarnessError(f"device={name!r} is not allowed: this machine has {one_of(there)}")
    return f"{name}:0" if name in ("xpu", "npu", "hpu") else name
