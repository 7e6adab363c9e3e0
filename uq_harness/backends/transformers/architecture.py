"""Finds the parts of a decoder-only transformer that the engine works with, whatever the architecture calls them."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from uq_harness.errors import UQHarnessError

# Has transformers hand keys and values that several heads share to torch as they are. Where there is a mask it copies
# them for every head otherwise, which on a CPU takes longer than the attention itself.
_GROUPED_KEYS = "TRANSFORMERS_SDPA_FORCE_GQA"


@dataclass(frozen=True)
class Architecture:
    """The parts of a causal language model.

    Attributes:
        model: The whole model, ids to logits.
        decoder: The model without its LM head, ids to the states that the head reads.
        blocks: The transformer blocks in order.
        head: The LM head, a linear map from states to logits.
        logit_scale: Factor that the model puts on the head's output.
        logit_softcap: ``cap`` where the model caps logits at ``cap * tanh(logits / cap)``, else ``None``.
        blocks_return_tuples: Whether a block returns a tuple that begins with the hidden state, not the state alone.
        vocabulary: Number of logits.
    """

    model: PreTrainedModel
    decoder: nn.Module
    blocks: nn.ModuleList
    head: nn.Linear
    logit_scale: float
    logit_softcap: float | None
    blocks_return_tuples: bool
    vocabulary: int

    @classmethod
    def of(cls, model: PreTrainedModel) -> Architecture:
        """Finds the parts; on a CPU, also lets transformers' attention take keys as they are (`_GROUPED_KEYS`).

        Raises:
            UQHarnessError: The model has no stack of blocks or no linear head.
        """
        config = model.config.get_text_config(decoder=True)
        decoder, head = model.get_decoder(), model.get_output_embeddings()
        count = config.num_hidden_layers
        stacks = [m for m in decoder.modules() if isinstance(m, nn.ModuleList) and len(m) == count] if decoder else []
        if not stacks or head is None or getattr(head, "weight", None) is None:
            raise UQHarnessError(
                f"{type(model).__name__} is not a decoder-only transformer that uq-hf understands: it needs one list "
                f"of {count} blocks and a linear LM head; use `--model hf` for results without uncertainty"
            )
        scale = getattr(config, "logit_scale", None) or 1.0  # Cohere
        scale /= getattr(config, "logits_scaling", None) or 1.0  # Granite
        softcap = getattr(config, "final_logit_softcapping", None)
        architecture = cls(
            model, decoder, stacks[0], head, float(scale), softcap, blocks_return_tuples=False, vocabulary=0
        )
        # The variable holds for the whole process, and on other devices transformers knows better.
        if architecture.input_device.type == "cpu" and not torch.accelerator.is_available():
            os.environ.setdefault(_GROUPED_KEYS, "1")
        return architecture._probe()

    @torch.no_grad()
    def _probe(self) -> Architecture:
        """Feeds one token: checks that head and logits are as found, and sees what blocks and head return."""
        returned: list[Any] = []
        with block_output(self.blocks[0], returned.append):
            ids = torch.zeros(1, 1, dtype=torch.long, device=self.input_device)
            read = self.decoder(input_ids=ids)[0]
            scores = (self.logits_of(self.head(read)), self.model(input_ids=ids).logits)
        found, true = (one.cpu().double() for one in scores)  # not every device knows float64
        finite = torch.isfinite(true)
        if not torch.allclose(found[finite], true[finite], rtol=1e-2, atol=1e-2):
            raise UQHarnessError(
                f"{type(self.model).__name__} does more to its logits than a linear head, a scale and a soft cap, so "
                "uq-hf cannot take gradients of it; use `--model hf` for results without uncertainty"
            )
        return replace(self, blocks_return_tuples=isinstance(returned[0], tuple), vocabulary=found.shape[-1])

    @property
    def has_dense_head(self) -> bool:
        """Whether the head is a plain matrix of floats, whose gradient is a product of what it reads and its error."""
        return is_dense(self.head)

    @cached_property
    def rounding_layer(self) -> str | None:
        """The type of the decoder's quantised layers, which may round by what shares a pass, if it has any."""
        return next((layer._get_name() for layer in self.decoder.modules() if not is_dense(layer)), None)

    @property
    def attention(self) -> str:
        """The implementation of attention that the model uses, as transformers calls it."""
        name: str = self.model.config.get_text_config(decoder=True)._attn_implementation
        return name

    @property
    def n_blocks(self) -> int:
        """Number of transformer blocks."""
        return len(self.blocks)

    @cached_property
    def weights_of_block(self) -> int:
        """Mean number of a block's weights, also of those that a quantised layer keeps as buffers; at least one."""
        weights = [*self.blocks.parameters(), *self.blocks.buffers()]
        return max(1, sum(one.numel() for one in weights) // self.n_blocks)

    @property
    def input_device(self) -> torch.device:
        """Where token ids must be, also when the model is spread over devices or partly offloaded."""
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

    def logits_of(self, linear: Tensor) -> Tensor:
        """Logits from the head's linear output."""
        logits = linear * self.logit_scale if self.logit_scale != 1 else linear
        cap = self.logit_softcap
        return torch.tanh(logits / cap) * cap if cap else logits

    def logit_slope(self, logits: Tensor) -> Tensor | float:
        """Derivative of the logits with respect to the head's linear output, entry by entry."""
        cap = self.logit_softcap
        return self.logit_scale * (1 - (logits / cap) ** 2) if cap else self.logit_scale


def is_dense(layer: nn.Module) -> bool:
    """Whether a layer's weight, if it has one, is a tensor of floats: quantised ones are packed, or made when used."""
    weight = getattr(layer, "weight", None)
    return weight is None or (isinstance(weight, Tensor) and weight.is_floating_point())


def of_this_thread(act: Callable[..., Any]) -> Callable[..., Any]:
    """A module's hook that acts in the thread that registers it alone.

    Modules are shared: another thread may run the model at any time, also while the hook is being registered or
    removed, when torch does not yet, or no longer, know that the hook takes keyword arguments.
    """
    owner = threading.get_ident()

    def hook(module: nn.Module, *arguments: Any) -> Any:
        return act(*arguments) if threading.get_ident() == owner else None

    return hook


@contextmanager
def block_input(block: nn.Module, replace: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Passes every hidden state entering ``block`` in this thread through ``replace`` for a while."""

    def act(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        if args:
            return (replace(args[0]), *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": replace(kwargs["hidden_states"])}

    handle = block.register_forward_pre_hook(of_this_thread(act), with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def leaf_of(state: Tensor) -> Tensor:
    """The state as the beginning of a graph; what has led to it needs none, and may know nothing of gradients."""
    torch.set_grad_enabled(True)
    return state.detach().requires_grad_(True)


@contextmanager
def block_output(block: nn.Module, see: Callable[[Any], None]) -> Iterator[None]:
    """Shows ``see`` whatever ``block`` returns in this thread for a while."""
    handle = block.register_forward_hook(of_this_thread(lambda args, output: see(output)))
    try:
        yield
    finally:
        handle.remove()
