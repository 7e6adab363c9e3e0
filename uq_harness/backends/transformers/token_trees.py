"""Token sequences that share their beginnings, read by the model in one row: every token sees its own ancestors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.forward import as_attention_takes_it, states
from uq_harness.backends.transformers.sequences import BoolArray, IntArray

# Tokens of a row: with more they see too much of each other, and another row is cheaper. Another row also copies the
# keys and values of what it stands behind, so it has as many tokens at least, up to a limit.
NODES, MOST_NODES = 2**6, 2**8


@dataclass(frozen=True)
class TokenTree:
    """Sequences whose equal beginnings are there once.

    Attributes:
        tokens: Token of each node, parents before their children.
        parents: Number of the node before each node, ``-1`` for the first ones.
        paths: For each sequence the numbers of its nodes.

    >>> tree = TokenTree.of([[5, 6], [5, 7, 8], [5, 6]])
    >>> tree.tokens, tree.parents, tree.paths
    ([5, 6, 7, 8], [-1, 0, 0, 2], [[0, 1], [0, 2, 3], [0, 1]])
    """

    tokens: list[int]
    parents: list[int]
    paths: list[list[int]]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> TokenTree:
        """The tree of some sequences."""
        tree, known = cls([], [], []), dict[tuple[int, int], int]()
        for sequence in sequences:
            node, path = -1, list[int]()
            for token in sequence:
                if (node, token) not in known:
                    known[node, token] = len(tree.tokens)
                    tree.tokens.append(token)
                    tree.parents.append(node)
                node = known[node, token]
                path.append(node)
            tree.paths.append(path)
        return tree

    def __len__(self) -> int:
        """Number of nodes."""
        return len(self.tokens)

    @cached_property
    def sees(self) -> BoolArray:
        """Whether a node is, or stands behind, another one, ``[nodes, nodes]``."""
        sees = np.eye(len(self), dtype=np.bool_)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                sees[node] |= sees[parent]
        return sees

    @cached_property
    def depths(self) -> IntArray:
        """Number of nodes before each node on its path, ``[nodes]``."""
        return np.asarray(self.sees.sum(1) - 1, dtype=np.int64)


def in_rows(sequences: Sequence[Sequence[int]], behind: int) -> Iterator[tuple[list[int], TokenTree]]:
    """Divides sequences among trees of bounded size, those with equal beginnings side by side.

    Args:
        sequences: Token ids.
        behind: Number of tokens that they stand behind.

    Yields:
        Numbers of the sequences in a tree, and the tree.
    """
    nodes = max(NODES, min(behind, MOST_NODES))
    part: list[int] = []
    count = 0
    for number in sorted(range(len(sequences)), key=lambda number: list(sequences[number])):
        if part and count + len(sequences[number]) > nodes:
            yield part, TokenTree.of([sequences[one] for one in part])
            part, count = [], 0
        part.append(number)
        count += len(sequences[number])
    if part:
        yield part, TokenTree.of([sequences[one] for one in part])


def read_trees(
    architecture: Architecture,
    cache: DynamicCache,
    seen: Tensor,
    trees: Sequence[TokenTree],
    dtype: torch.dtype,
    pad_id: int,
) -> tuple[Tensor, Any]:
    """Reads trees behind what the model has read.

    Args:
        architecture: The model; its attention takes a mask for every token apart (`prefixes.may_share`).
        cache: What it has read, a row for each tree; it grows by the nodes' columns.
        seen: Which columns of the cache hold tokens of each row, ``[trees, columns]``.
        trees: The trees.
        dtype: Type of the model's states.
        pad_id: Token that fills the padding.

    Returns:
        The states that the head reads at each node, ``[trees, most nodes, width]``, and the cache.
    """
    device = seen.device
    width = max(map(len, trees))
    ids = np.full((len(trees), width), pad_id, dtype=np.int64)
    depths, real = np.zeros_like(ids), np.zeros(ids.shape, dtype=np.bool_)
    own = np.tile(np.eye(width, dtype=np.bool_), (len(trees), 1, 1))  # padding sees itself: a softmax needs something
    for row, tree in enumerate(trees):
        count = len(tree)
        ids[row, :count], depths[row, :count], real[row, :count] = tree.tokens, tree.depths, True
        own[row, :count, :count] = tree.sees
    mask = torch.cat(
        [seen[:, None] & torch.as_tensor(real, device=device)[:, :, None], torch.as_tensor(own, device=device)], 2
    )
    return states(
        architecture,
        torch.as_tensor(ids, device=device),
        as_attention_takes_it(architecture, mask[:, None], dtype),
        cache,
        position_ids=seen.sum(1)[:, None] + torch.as_tensor(depths, device=device),
    )
