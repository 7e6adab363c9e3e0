"""Finds the parts of a decoder-only transformer that the engine works with, whatever the architecture calls them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from uq_harness.errors import UQHarnessError


@dataclass(frozen=True)
class Anatomy:
    """The parts of a causal language model.

    Attributes:
        model: The whole model, ids to logits.
        decoder: The model without its LM head, ids to the states that the head reads.
        blocks: The transformer blocks in order.
        head: The LM head, a linear map from states to logits.
        logit_scale: Factor that the model puts on the head's output.
        logit_softcap: ``cap`` where the model bends logits to ``cap * tanh(logits / cap)``, else ``None``.
        blocks_return_tuples: Whether a block returns a tuple that begins with the hidden state, not the state alone.
    """

    model: PreTrainedModel
    decoder: nn.Module
    blocks: nn.ModuleList
    head: nn.Linear
    logit_scale: float
    logit_softcap: float | None
    blocks_return_tuples: bool

    @classmethod
    def of(cls, model: PreTrainedModel) -> Anatomy:
        """Finds the parts.

        Raises:
            UQHarnessError: The model has no stack of blocks or no linear head.
        """
        config = model.config.get_text_config(decoder=True)
        decoder, head = model.get_decoder(), model.get_output_embeddings()
        count = config.num_hidden_layers
        stacks = [m for m in decoder.modules() if isinstance(m, nn.ModuleList) and len(m) == count] if decoder else []
        if not stacks or head is None or getattr(head, "weight", None) is None:
            raise UQHarnessError(
                f"{type(model).__name__} is no decoder-only transformer that uq-hf understands: it needs one list of "
                f"{count} blocks and a linear LM head; use `--model hf` for results without uncertainty"
            )
        scale = getattr(config, "logit_scale", None) or 1.0  # Cohere
        scale /= getattr(config, "logits_scaling", None) or 1.0  # Granite
        softcap = getattr(config, "final_logit_softcapping", None)
        anatomy = cls(model, decoder, stacks[0], head, float(scale), softcap, blocks_return_tuples=False)
        return replace(anatomy, blocks_return_tuples=anatomy._probe())

    @torch.no_grad()
    def _probe(self) -> bool:
        """Feeds one token: checks that head and logits are as found, and says whether blocks return tuples."""
        returned: list[Any] = []
        handle = self.blocks[0].register_forward_hook(lambda module, args, output: returned.append(output))
        try:
            ids = torch.zeros(1, 1, dtype=torch.long, device=self.input_device)
            read = self.decoder(input_ids=ids)[0]
            found, true = self.bend(self.head(read)).double(), self.model(input_ids=ids).logits.double()
        finally:
            handle.remove()
        finite = torch.isfinite(true)
        if not torch.allclose(found.to(true.device)[finite], true[finite], rtol=1e-2, atol=1e-2):
            raise UQHarnessError(
                f"{type(self.model).__name__} does more to its logits than a linear head, a scale and a soft cap, so "
                "uq-hf cannot take gradients of it; use `--model hf` for results without uncertainty"
            )
        return isinstance(returned[0], tuple)

    @property
    def attention(self) -> str:
        """The implementation of attention that the model uses, as transformers calls it."""
        name: str = self.model.config.get_text_config(decoder=True)._attn_implementation
        return name

    @property
    def n_blocks(self) -> int:
        """Number of transformer blocks."""
        return len(self.blocks)

    @property
    def input_device(self) -> torch.device:
        """Where token ids have to lie, also when the model is spread over devices or partly offloaded."""
        embedding = self.model.get_input_embeddings()
        device: torch.device = embedding.weight.device
        if device.type == "meta":  # accelerate fetches the weights when they are used
            device = torch.device(embedding._hf_hook.execution_device)
        return device

    @cached_property
    def _parameters(self) -> frozenset[str]:
        return frozenset(inspect.signature(self.decoder.forward).parameters)

    def accepts(self, name: str) -> bool:
        """Whether the decoder's forward pass takes an argument of that name."""
        return name in self._parameters

    @property
    def cache_argument(self) -> str | None:
        """What the decoder calls its key-value cache; ``None`` where it has none."""
        names = ("cache", "past_key_values")  # transformers from 5.24 on, and before
        return next((name for name in names if self.accepts(name)), None)

    def bend(self, linear: Tensor) -> Tensor:
        """Logits from the head's linear output."""
        logits = linear * self.logit_scale if self.logit_scale != 1 else linear
        cap = self.logit_softcap
        return torch.tanh(logits / cap) * cap if cap else logits

    def slope(self, logits: Tensor) -> Tensor | float:
        """Derivative of the logits with respect to the head's linear output, entry by entry."""
        cap = self.logit_softcap
        return self.logit_scale * (1 - (logits / cap) ** 2) if cap else self.logit_scale


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Spares the backward pass the gradients of the weights, and restores their flags afterwards."""
    trainable = [p for p in model.parameters() if p.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


@contextmanager
def block_input(block: nn.Module, replace: Any) -> Iterator[None]:
    """Passes every hidden state entering ``block`` through ``replace`` (state in, state out) for a while."""

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (replace(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": replace(kwargs["hidden_states"])}

    handle = block.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
