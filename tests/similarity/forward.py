"""Watching a network's forward passes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def rows_of(module: torch.nn.Module, fail_above: int | None = None) -> Iterator[list[tuple[int, int]]]:
    """Collects rows and columns of each forward pass; passes with more rows than ``fail_above`` run out of memory."""
    seen: list[tuple[int, int]] = []
    forward = module.forward

    def note(*args: Any, **kwargs: Any) -> Any:
        rows, columns = kwargs["input_ids"].shape
        if fail_above is not None and rows > fail_above:
            raise torch.OutOfMemoryError
        seen.append((rows, columns))
        return forward(*args, **kwargs)

    module.forward = note  # not a hook: sentence-transformers calls the method itself
    try:
        yield seen
    finally:
        del module.forward
