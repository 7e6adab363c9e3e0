"""What a user may set about an auxiliary model, and what both kinds of network share when they are loaded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from uq_harness.errors import UQHarnessError, one_of
from uq_harness.hub import brief, check_vocabulary, to_device

# Pairs whose results are kept, about 21 MB.
CACHE_SIZE = 100_000
DTYPES = ["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Role:
    """What an auxiliary model is there for.

    Attributes:
        name: How messages call it.
        prefix: What the names of its model arguments begin with.
    """

    name: str
    prefix: str


NLI_ROLE = Role("NLI model", "nli")
SIMILARITY_ROLE = Role("similarity model", "similarity")


@dataclass(frozen=True)
class Settings:
    """An auxiliary model and how it is run.

    Attributes:
        role: What it is there for.
        model: Name on the hub, or a folder.
        batch_size: The largest number of pairs in a forward pass.
        device: A torch device; None means the GPU if there is one.
        dtype: The weights' type.
        max_length: Tokens of a pair that are read; None means the model's own maximum.
        cache_size: The most pairs whose results are kept.

    Raises:
        UQHarnessError: A value is not allowed.
    """

    role: Role
    model: str
    batch_size: int
    device: str | None
    dtype: str
    max_length: int | None
    cache_size: int = CACHE_SIZE

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model:
            raise self.refuse("model", "a name on the Hugging Face hub, a folder, or lexical")
        if self.dtype not in DTYPES:
            raise self.refuse("dtype", one_of(DTYPES))
        if self.device is not None and (not isinstance(self.device, str) or not self.device):
            raise self.refuse("device", "cpu, cuda or cuda:1, or leave it out for the GPU where there is one")
        if not _is_count(self.batch_size):
            raise self.refuse("batch_size", "a whole number from 1 on")
        if not _is_count(self.cache_size) and (self.cache_size != 0 or isinstance(self.cache_size, bool)):
            raise self.refuse("cache_size", "a whole number of pairs, 0 to keep none")
        if self.max_length is not None and not _is_count(self.max_length):
            raise self.refuse("max_length", "a whole number from 1 on, or leave it out for the model's maximum")

    def refuse(self, setting: str, allowed: str) -> UQHarnessError:
        """The error about a setting's value."""
        return UQHarnessError(f"{self.role.prefix}_{setting}={getattr(self, setting)!r} is not allowed: use {allowed}")

    def cannot_load(self, reason: object) -> UQHarnessError:
        """The error about a model that cannot be used, with the ways out."""
        option = f"{self.role.prefix}_model"
        return UQHarnessError(
            f"cannot use the {self.role.name} {self.model!r}: {brief(reason)}. Give another one or a local folder with "
            f"{option}=/path, or compare words without any model with {option}=lexical"
        )

    @property
    def of_network(self) -> Settings:
        """The same for all settings that make the same network: not how many pairs it takes, or are kept."""
        return replace(self, batch_size=1, cache_size=0)

    def describe(self) -> dict[str, Any]:
        """The settings of the network by their names."""
        names = ("model", "batch_size", "device", "dtype", "max_length")
        return {name: getattr(self, name) for name in names}


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def place(settings: Settings, network: Any) -> Any:
    """Moves the network to its device, and gives the device.

    Raises:
        UQHarnessError: The device cannot be used.
    """
    role = settings.role
    return to_device(network, settings.device, f"the {role.name}", f"{role.prefix}_device")


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
    check_vocabulary(tokenizer, config, settings.cannot_load)


def limit_length(settings: Settings, tokenizer: Any, network: Any, texts: int = 2) -> int:
    """Sets the tokenizer to cut texts to what is read of them, at the beginning, and gives that length.

    Args:
        settings: With the limit asked for.
        tokenizer: The tokenizer.
        network: What reads its tokens.
        texts: Number of texts that are read together: 2 for pairs.

    Raises:
        UQHarnessError: The limit asked for is beyond the model's, or leaves no space for the texts.
    """
    longest = min(tokenizer.model_max_length, *_positions(network))
    wanted = settings.max_length or longest
    room = wanted - tokenizer.num_special_tokens_to_add(pair=texts == 2)
    if wanted > longest or room < texts:
        space = "both texts" if texts == 2 else "a text"
        raise settings.refuse("max_length", f"at most {longest}, the model's maximum, and space for {space}")
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
