"""What both kinds of network share when they are loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from uq_harness.errors import UQHarnessError
from uq_harness.hub import brief, local_folder, not_cached, why_unreachable
from uq_harness.similarity.settings import Settings

T = TypeVar("T")


def fetch(settings: Settings, load: Callable[[str, bool], T]) -> T:
    """Loads from a folder, the hub, or its cache where the hub cannot be asked.

    Args:
        settings: The model.
        load: Takes the folder or name, and whether only the cache may be used.

    Raises:
        UQHarnessError: The model is not there, or broken.
    """
    try:
        folder = local_folder(settings.model)
    except FileNotFoundError as error:
        raise settings.cannot_load(error) from error
    unreachable = None if folder else why_unreachable(settings.model)
    try:
        return load(folder or settings.model, unreachable is not None)
    except Exception as error:  # broken and missing files raise all sorts of errors, and the ways out are the same
        raise settings.cannot_load(error if unreachable is None else not_cached(unreachable)) from error


def place(settings: Settings, network: Any) -> Any:
    """Moves the network to its device, and gives the device.

    Raises:
        UQHarnessError: The device cannot be used.
    """
    import torch

    try:
        device = torch.device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        network.to(device)
    except (RuntimeError, AssertionError) as error:  # no such device, no CUDA in this torch, or no memory left
        raise UQHarnessError(
            f"the {settings.role.name} cannot use {settings.role.prefix}_device={settings.device!r}: {brief(error)}. "
            'Use "cpu", "cuda" or "cuda:1", or leave it out for the GPU where there is one'
        ) from error
    return device


def unify_dtype(settings: Settings, network: Any) -> None:
    """Gives all weights the type that was asked for.

    transformers leaves some of DeBERTa's biases in float32, and then cannot multiply them.
    """
    import torch

    if not getattr(network, "_keep_in_fp32_modules", None):
        network.to(getattr(torch, settings.dtype))


def check_tokenizer(settings: Settings, tokenizer: Any, config: Any) -> None:
    """Raises unless the tokenizer can pad, and has no tokens that the model does not know."""
    if tokenizer is None or tokenizer.pad_token_id is None:
        raise settings.cannot_load("its tokenizer has no padding token")
    if len(tokenizer) > config.vocab_size:
        raise settings.cannot_load(f"its tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}")


def limit_length(settings: Settings, tokenizer: Any, network: Any) -> int:
    """Sets the tokenizer to cut pairs to what is read of them, at the beginning, and gives that length.

    Raises:
        UQHarnessError: The limit asked for is beyond the model's, or leaves no room for the texts.
    """
    longest = min(tokenizer.model_max_length, *_positions(network))
    wanted = settings.max_length or longest
    room = wanted - tokenizer.num_special_tokens_to_add(pair=True)
    if wanted > longest or room < 2:
        raise settings.refuse("max_length", f"at most {longest}, the model's maximum, and room for both texts")
    tokenizer.model_max_length = wanted
    # The texts begin with the question and end with the answer, which is what is compared.
    tokenizer.truncation_side = "left"
    return int(wanted)


def _positions(network: Any) -> list[int]:
    """Numbers of positions that the network can read, as far as it says."""
    limits = [1_000_000]  # tokenizers that know no limit give 1e30
    configured = getattr(network.config, "max_position_embeddings", None) or 0
    if configured > 0:
        limits.append(configured)
    for name, module in network.named_modules():
        # RoBERTa and its kin count positions from behind the padding index.
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            limits.append(module.num_embeddings - module.padding_idx - 1)
    return limits
