"""Finds layers that pass no gradient: kernels without a backward pass answer well, and make every gradient wrong."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from uq_harness.backends.transformers.architecture import Architecture, block_input, leaf_of, of_this_thread
from uq_harness.backends.transformers.forward import left_pad, states
from uq_harness.batching import is_out_of_memory

# Factors on what flows back, so that a 16-bit gradient neither overflows nor gets lost with all of them.
FACTORS = (1.0, 2.0**-12, 2.0**10)
# How far an input is moved, as a share of itself, to see whether the output depends on it.
NUDGE = 0.25


@dataclass(frozen=True)
class _Call:
    """One call of a module: what it was given, and its first floating output."""

    name: str
    module: nn.Module
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    given: Tensor
    returned: Tensor


def what_blocks_gradients(architecture: Architecture, prompt: list[int], pad_id: int, first_block: int) -> str | None:
    """Which layer of the blocks, from a given one on, or of the head passes no gradient; ``None`` where all do.

    Every module's own gradient is looked at, since those of other paths, such as the residual stream's, would hide
    one that is missing.

    Args:
        architecture: The model.
        prompt: Token ids to read.
        pad_id: Token that fills the padding.
        first_block: The lowest block whose input gradients are taken at.
    """
    if any(parameter.is_inference() for parameter in architecture.model.parameters()):
        return "its weights were made inside torch.inference_mode(): load it outside, where autograd can use them"
    modules = {
        f"{name or 'whole'} of block {first_block + number}": module
        for number, block in enumerate(architecture.blocks[first_block:])
        for name, module in block.named_modules()
    } | {"LM head": architecture.head}
    calls: list[_Call] = []
    running: list[str] = []
    ids, mask = left_pad([prompt], pad_id, architecture.input_device)
    try:
        with torch.no_grad(), ExitStack() as stack:  # until the graph begins
            stack.enter_context(block_input(architecture.blocks[first_block], leaf_of))
            for name, module in modules.items():
                _record(stack, name, module, calls, running)
            read = states(architecture, ids, mask, use_cache=False)[0]
            architecture.head(leaf_of(read[:, -1:]))
    except Exception as error:
        if is_out_of_memory(error):
            raise
        name = running[-1] if running else "LM head"
        return _blocked(modules[name]._get_name(), name, f"cannot run with gradients ({_brief(error)})")
    for call in calls:
        why = _flaw(call)
        if why is not None and _depends(call):
            return _blocked(call.module._get_name(), call.name, why)
    return None


def _blocked(layer: str, name: str, why: str) -> str:
    return f"its layer {layer} ({name}) {why}"


def _record(stack: ExitStack, name: str, module: nn.Module, calls: list[_Call], running: list[str]) -> None:
    """Notes the calls of a module that are given a state with a gradient, innermost modules first."""

    def enter(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        running.append(name)

    def leave(args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        running.pop()
        given = _first_tensor([*args, *kwargs.values()], lambda one: one.requires_grad)
        returned = _first_tensor(output if isinstance(output, tuple | list) else [output])
        if (
            given is not None
            and returned is not None
            and torch.isfinite(given).all()
            and torch.isfinite(returned).all()
        ):
            calls.append(_Call(name, module, args, kwargs, given, returned))

    stack.callback(module.register_forward_pre_hook(of_this_thread(enter), with_kwargs=True).remove)
    stack.callback(module.register_forward_hook(of_this_thread(leave), with_kwargs=True).remove)


def _first_tensor(values: Any, condition: Callable[[Tensor], bool] = lambda one: True) -> Tensor | None:
    return next((v for v in values if isinstance(v, Tensor) and v.is_floating_point() and condition(v)), None)


def _flaw(call: _Call) -> str | None:
    """What is wrong with the gradient of a module's output with respect to its input, if anything is."""
    if not call.returned.requires_grad:
        return "returns its output without a graph"
    wave = torch.arange(call.returned.numel(), device=call.returned.device).cos().view_as(call.returned)
    flaw = None
    for factor in FACTORS:
        try:
            (gradient,) = torch.autograd.grad(
                call.returned, call.given, (wave * factor).to(call.returned.dtype), retain_graph=True, allow_unused=True
            )
        except Exception as error:
            if is_out_of_memory(error):
                raise
            return f"has no backward pass ({_brief(error)})"
        if gradient is None:
            return "returns its output without a graph"
        if not torch.isfinite(gradient).all():
            flaw = "gives a gradient that is not finite"
        elif not gradient.any():
            flaw = "gives a gradient of zeros"
        else:
            return None
    return flaw


@torch.no_grad()
def _depends(call: _Call) -> bool:
    """Whether a module's output depends on the input that it was given at all; that of rotary angles does not."""
    wave = torch.arange(call.given.numel(), device=call.given.device).cos().view_as(call.given)
    moved = call.given * (1 + NUDGE * wave).to(call.given.dtype)

    def run(value: Tensor) -> Tensor | None:
        put = [value if one is call.given else one for one in call.arguments]
        named = {name: value if one is call.given else one for name, one in call.keywords.items()}
        output = call.module(*put, **named)
        return _first_tensor(output if isinstance(output, tuple | list) else [output])

    before, after = run(call.given), run(moved)
    return before is None or after is None or not torch.equal(before, after)


def _brief(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
