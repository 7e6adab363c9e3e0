"""Arguments of vLLM that depend on what it runs on."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def on_this_platform(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``vllm``; on a CPU, prompts are read whole unless the user says otherwise.

    A seeded request whose prompt is read in parts ends vLLM's engine there: it would set a generator of random numbers
    back, which only those of GPUs can do.
    """
    on_cpu = bool(import_module("vllm.platforms").current_platform.is_cpu())
    return {**({"enable_chunked_prefill": False} if on_cpu else {}), **arguments}
