"""Memory for large intermediate values."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


class Scratch:
    """Memory that is used again at the next step; not by several threads at a time.

    On a CPU the system hands out fresh memory page by page, which takes longer than the arithmetic in it. A GPU's
    memory is kept by torch already.
    """

    def __init__(self) -> None:
        self._kept: dict[torch.dtype, Tensor] = {}

    def pair(self, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
        """Two tensors of a shape, with anything in them; they last until the next call."""
        if device.type != "cpu":
            return torch.empty(*shape, dtype=dtype, device=device), torch.empty(*shape, dtype=dtype, device=device)
        count = math.prod(shape)
        if dtype not in self._kept or len(self._kept[dtype]) < 2 * count:
            self._kept[dtype] = torch.empty(2 * count, dtype=dtype)
        one, other = self._kept[dtype][: 2 * count].view(2, *shape)
        return one, other
