"""Attention weights of chosen tokens, to themselves or to others, read while the model's own attention runs.

Eager attention returns its weights. With sdpa, which has none to return, the chosen blocks go through a wrapper of the
same function, which sees queries and keys and makes the softmax of the wanted rows at one place.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, PreTrainedConfig
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from uq_harness.backends.transformers.architecture import Architecture, block_output
from uq_harness.backends.transformers.forward import states
from uq_harness.evidence import SelfAttention

# Scores of queries and keys in memory at a time; on a CPU few.
ENTRIES = 2**22
ENTRIES_ON_GPU = 2**27
_OBSERVED = "uq_harness_sdpa"
_WAY_OUT = "load the model with another attention (attn_implementation=sdpa or eager), or leave the method out"
_this_thread = threading.local()


@dataclass
class Reading:
    """One pass through the decoder: whose weights are wanted, and those that have been seen.

    Attributes:
        rows: Rows of the pass; ``None`` for all.
        places: For each of the rows, places among the new tokens, ``[rows, places]``; ``None`` for the last one.
        columns: For each of the rows, the columns whose weights are wanted from its one place, ``[rows, columns]``, as
            the mean of the heads; ``None`` for each place's own column.
        compares: Whether what the weights make of the values is compared with what attention has made of them.
        seen: Of each block that has run, ``[1, rows, heads, places]``, unless it was fed one token; or, of columns,
            ``[1, rows, columns]``.
        fits: Of each block that has been compared, whether the two are the same.
    """

    rows: Tensor | None = None
    places: Tensor | None = None
    columns: Tensor | None = None
    compares: bool = False
    seen: list[Tensor] = field(default_factory=list)
    fits: list[bool] = field(default_factory=list)
    _one_token: list[tuple[Tensor, Tensor | None, float]] = field(default_factory=list)

    def weights(self) -> Tensor | None:
        """The weights of all blocks on the first one's device; ``None`` if no pass was made.

        They are ``[rows, blocks, heads, places]``, or, of columns, ``[rows, blocks, columns]``.
        """
        seen = self.seen or [
            _weigh(torch.stack([products for products, _, _ in run]), self._of_rows(run[0][1]), run[0][2])[..., -1]
            for _, some in groupby(self._one_token, key=lambda one: (id(one[1]), one[2], one[0].device))
            for run in [list(some)]
        ]
        if not seen:
            return None
        return torch.cat([one.to(seen[0].device) for one in seen]).transpose(0, 1)

    def see_states(
        self, query: Tensor, key: Tensor, mask: Tensor | None, scaling: float | None, value: Tensor, output: Tensor
    ) -> None:
        """Takes the weights from what attention has taken and given.

        Args:
            query: ``[rows, heads, new, width]``.
            key: ``[rows, key heads, columns, width]``.
            mask: What is seen, or what is added, ``[rows or 1, heads or 1, new, columns]``.
            scaling: Factor of the products; that of the width where absent.
            value: As ``key``; read where weights are compared.
            output: What attention made of the values, ``[rows, new, heads, width]``; likewise.
        """
        columns, new = key.shape[2], query.shape[2]
        if self.rows is not None:
            rows = self.rows.to(query.device)
            query, key = query.index_select(0, rows), key.index_select(0, rows)
        scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
        if new == 1 and self.columns is None:
            # the usual step: the blocks' products wait for each other, since small operations take longest
            self._one_token.append((_products(query, key), mask, scaling))
            return
        places = self._places(query)
        at = places[:, None, :, None]
        query = query.take_along_dim(at, 2)
        mask = self._of_rows(mask)
        mask = None if mask is None else mask.expand(len(places), -1, -1, -1).take_along_dim(at, 2)
        entries = ENTRIES if query.device.type == "cpu" else ENTRIES_ON_GPU
        step = max(1, entries // (len(query) * query.shape[1] * columns))
        found = []
        for start in range(0, places.shape[1], step):
            part = slice(start, start + step)
            own = places[:, part] + (columns - new)
            if mask is not None:
                visible = mask[:, :, part]
            else:  # the model leaves causality to attention
                visible = torch.arange(columns, device=own.device) <= own[:, None, :, None]
            weights = _weigh(_products(query[:, :, part], key), visible, scaling)
            found.append(self._taken(weights, own))
            if self.compares:
                self._compare(weights, value, output.take_along_dim(places[:, part, None, None], 1))
        self.seen.append(torch.cat(found, -1)[None])

    def see_weights(self, weights: Tensor) -> None:
        """Takes them from all weights, ``[rows, heads, new, columns]``."""
        new, columns = weights.shape[2:]
        if self.rows is not None:
            weights = weights.index_select(0, self.rows.to(weights.device))
        places = self._places(weights)
        weights = weights.take_along_dim(places[:, None, :, None], 2)
        self.seen.append(self._taken(weights, places + (columns - new))[None])

    def _taken(self, weights: Tensor, own: Tensor) -> Tensor:
        """Of weights ``[rows, heads, places, columns]`` those that are wanted; ``own`` are the places' own columns."""
        if self.columns is None:
            return weights.gather(-1, own[:, None, :, None].expand(-1, weights.shape[1], -1, -1))[..., 0]
        mean = weights[:, :, 0].mean(1, dtype=torch.promote_types(weights.dtype, torch.float32))
        return mean.gather(-1, self.columns.to(weights.device))

    def _compare(self, weights: Tensor, value: Tensor, output: Tensor) -> None:
        found = weights @ value.repeat_interleave(weights.shape[1] // value.shape[1], 1).to(weights.dtype)
        difference = (found.transpose(1, 2) - output).abs().max() / output.abs().max()
        self.fits.append(bool(difference < (1e-4 if output.dtype in (torch.float32, torch.float64) else 5e-2)))

    def _of_rows(self, mask: Tensor | None) -> Tensor | None:
        if mask is None or self.rows is None or len(mask) == 1:
            return mask
        return mask.index_select(0, self.rows.to(mask.device))

    def _places(self, values: Tensor) -> Tensor:
        if self.places is None:
            return torch.full((len(values), 1), values.shape[2] - 1, device=values.device)
        return self.places.to(values.device)


def _products(query: Tensor, key: Tensor) -> Tensor:
    """Products of queries and keys, ``[rows, heads, places, columns]``; several heads may share a key head.

    Args:
        query: ``[rows, heads, places, width]``.
        key: ``[rows, key heads, columns, width]``.
    """
    rows, heads, places, width = query.shape
    return (query.reshape(rows, key.shape[1], -1, width) @ key.mT).view(rows, heads, places, -1)


def _weigh(products: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    """The softmax over the last axis, in float32 at least.

    Args:
        products: ``[..., rows, heads, places, columns]``.
        mask: What is seen, or what is added, ``[rows or 1, heads or 1, places, columns or more]``.
        scaling: Factor of the products.
    """
    scores = products.to(torch.promote_types(products.dtype, torch.float32)) * scaling
    if mask is not None:
        mask = mask[..., : scores.shape[-1]]
        scores = scores.masked_fill_(~mask, -torch.inf) if mask.dtype == torch.bool else scores.add_(mask)
    return scores.softmax(-1)


def _observed_sdpa(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> Any:
    output = ALL_ATTENTION_FUNCTIONS["sdpa"](module, query, key, value, attention_mask, **kwargs)
    reading: Reading | None = getattr(_this_thread, "reading", None)
    if reading is not None:
        reading.see_states(query, key, attention_mask, kwargs.get("scaling"), value, output[0])
    return output


AttentionInterface.register(_OBSERVED, _observed_sdpa)


class SelfAttentionReader:
    """Reads the weights of some blocks.

    Args:
        architecture: The model.
        blocks: Numbers of the blocks, in order.
        modules: Where eager attention gives its weights, a module of each block; ``None`` with sdpa.

    Attributes:
        blocks: Numbers of the blocks.
    """

    def __init__(
        self, architecture: Architecture, blocks: Sequence[int], modules: Sequence[nn.Module] | None = None
    ) -> None:
        self.blocks = tuple(blocks)
        self._modules = modules
        self._observed: list[tuple[nn.Module, PreTrainedConfig]] = []
        twins: dict[int, PreTrainedConfig] = {}
        for part in (part for block in blocks for part in architecture.blocks[block].modules()):
            config = part.__dict__.get("config")
            if modules is None and isinstance(config, PreTrainedConfig):
                self._observed.append((part, twins.setdefault(id(config), _observed_twin(config))))

    @contextmanager
    def read(
        self,
        rows: Tensor | None = None,
        places: Tensor | None = None,
        columns: Tensor | None = None,
        compares: bool = False,
    ) -> Iterator[Reading]:
        """Reads the weights in the passes of this thread for a while; see `Reading`."""
        reading = Reading(rows, places, columns, compares)
        if self._modules is not None:
            with ExitStack() as stack:
                for module in self._modules:
                    stack.enter_context(block_output(module, partial(_see, reading)))
                yield reading
            return
        before = [part.config for part, _ in self._observed]
        _this_thread.reading = reading
        try:
            for part, twin in self._observed:
                part.__dict__["config"] = twin
            yield reading
        finally:
            _this_thread.reading = None
            for (part, _), config in zip(self._observed, before, strict=True):
                part.__dict__["config"] = config


def _observed_twin(config: PreTrainedConfig) -> PreTrainedConfig:
    """The same configuration with the wrapper of sdpa; the model's own, which masks are made by, stays as it is."""
    twin = copy.copy(config)
    twin._attn_implementation_internal = _OBSERVED
    return twin


def _weights_of(output: Any) -> Tensor | None:
    """The attention weights among what a module returns, by their shape, ``[rows, heads, new, columns]``."""
    parts = output if isinstance(output, tuple) else (output,)
    return next((one for one in parts if isinstance(one, Tensor) and one.ndim == 4), None)


def _see(reading: Reading, output: Any) -> None:
    weights = _weights_of(output)
    assert weights is not None
    reading.see_weights(weights)


def middle_third(n_blocks: int) -> range:
    """The blocks ``⌊L/3⌋ .. ⌈2L/3⌉`` that a model of ``L`` blocks has.

    >>> middle_third(30)
    range(10, 21)
    >>> middle_third(2)
    range(0, 2)
    """
    return range(n_blocks // 3, min(n_blocks, -(-2 * n_blocks // 3) + 1))


def full_attention(config: PreTrainedConfig, n_blocks: int, max_length: int) -> list[bool]:
    """For each block, whether it attends to all earlier tokens of texts up to a length."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None)
    if kinds is None:
        kinds = ["sliding_attention" if window else "full_attention"] * n_blocks
        kinds = ["chunked_attention"] * n_blocks if getattr(config, "attention_chunk_size", None) else kinds
    wide = window is not None and window >= max_length
    full = ("full_attention", "global", "attention", *(("sliding_attention",) if wide else ()))
    return [kind in full for kind in kinds]


@dataclass(frozen=True)
class ReadableBlocks:
    """Blocks of a model whose weights can be read.

    Attributes:
        blocks: Their numbers, in order.
        middle: The one of them nearest to the middle, the earlier of two.
        heads: Number of attention heads in each.
        modules: Where eager attention gives the weights of each; ``None`` with sdpa.
    """

    blocks: tuple[int, ...]
    middle: int
    heads: int
    modules: dict[int, nn.Module] | None

    def of(self, need: SelfAttention) -> tuple[int, ...]:
        """The blocks that a need means, of those in the middle third."""
        return self.blocks if need.layers == "middle_third" else (self.middle,)

    def reader(self, architecture: Architecture, needs: Sequence[SelfAttention] | None = None) -> SelfAttentionReader:
        """What reads the weights that some needs mean, or those of all the blocks."""
        blocks = self.blocks if needs is None else sorted({block for need in needs for block in self.of(need)})
        modules = None if self.modules is None else [self.modules[block] for block in blocks]
        return SelfAttentionReader(architecture, blocks, modules)

    @classmethod
    @torch.no_grad()
    def find(
        cls, architecture: Architecture, max_length: int, candidates: Sequence[int] | None = None
    ) -> ReadableBlocks | str:
        """Finds the blocks; with sdpa, compares what the weights make of a few tokens with what attention does.

        Args:
            architecture: The model.
            max_length: Its context in tokens; a window as wide hides nothing.
            candidates: The blocks to look at; `middle_third` where absent.

        Returns:
            The blocks; or in words why there are none.
        """
        config = architecture.model.config.get_text_config(decoder=True)
        full = full_attention(config, architecture.n_blocks, max_length)
        where = "the middle third of the blocks" if candidates is None else "any block"
        candidates = middle_third(architecture.n_blocks) if candidates is None else candidates
        wanted = [block for block in candidates if full[block]]
        if not wanted:
            return (
                f"attention to all earlier tokens in {where}: it is windowed or linear there, for which the method is "
                "not defined"
            )
        if architecture.attention not in ("sdpa", "eager"):
            return f"attention weights, which {architecture.attention} attention does not give: {_WAY_OUT}"
        modules = None
        if architecture.attention == "eager":
            seen = _modules_with_weights(architecture, wanted)
            modules, heads = {block: seen[block][0] for block in seen}, {block: seen[block][1] for block in seen}
        else:
            heads = _heads_through_sdpa(architecture, wanted)
        if len(set(heads.values())) != 1:
            name = type(architecture.model).__name__
            return f"attention weights, which {name} with {architecture.attention} attention does not give: {_WAY_OUT}"
        middle = min(heads, key=lambda block: abs(block - architecture.n_blocks // 2))
        return cls(tuple(heads), middle, next(iter(heads.values())), modules)


_TOKENS = 6


def _feed(architecture: Architecture) -> None:
    """Two short texts of different lengths, the second with two places of padding."""
    ids = torch.arange(2 * _TOKENS, device=architecture.input_device).view(2, _TOKENS) % architecture.vocabulary
    mask = torch.ones_like(ids)
    mask[1, :2] = 0
    states(architecture, ids, mask, use_cache=False)


def _modules_with_weights(architecture: Architecture, blocks: Sequence[int]) -> dict[int, tuple[nn.Module, int]]:
    """For each block that has one, the module that returns its attention's weights, and the number of heads."""
    found: dict[int, tuple[nn.Module, int]] = {}

    def see(block: int, module: nn.Module, output: Any) -> None:
        weights = _weights_of(output)
        if block in found or weights is None or len(weights) != 2 or weights.shape[2:] != (_TOKENS, _TOKENS):
            return
        first = weights[0].float()
        if not first.triu(1).any() and bool((first >= 0).all()) and bool((first.sum(-1) < 1 + 1e-2).all()):
            found[block] = module, weights.shape[1]

    with ExitStack() as stack:
        for block in blocks:
            for module in architecture.blocks[block].modules():
                stack.enter_context(block_output(module, partial(see, block, module)))
        _feed(architecture)
    return dict(sorted(found.items()))


def _heads_through_sdpa(architecture: Architecture, blocks: Sequence[int]) -> dict[int, int]:
    """For each block whose attention is transformers' sdpa function, and no more than that, its number of heads."""
    found = {}
    for block in blocks:
        places = torch.arange(2, _TOKENS).repeat(2, 1)
        with SelfAttentionReader(architecture, [block]).read(places=places, compares=True) as reading:
            _feed(architecture)
        if reading.fits == [True]:
            found[block] = reading.seen[0].shape[2]
    return found
