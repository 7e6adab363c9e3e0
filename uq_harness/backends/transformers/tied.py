"""The gradient of a matrix that is LM head and embedding at once, as autograd has it where a model ties the two.

The head's part is a product of what decoding has computed already. The embedding's part takes a backward pass through
the whole model, and reaches only the rows of the prompt's and the answer's tokens; so both parts are added in these
rows, and everywhere else the head's part is summed a block of the vocabulary at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from uq_harness.backends.transformers.architecture import Architecture, of_this_thread
from uq_harness.backends.transformers.decoded import Decoded
from uq_harness.backends.transformers.forward import in_float64, states
from uq_harness.backends.transformers.head import (
    errors_at_the_head,
    head_input_gradients,
    mean_absolute,
    scaled,
    weights,
)


def what_is_not_tied(architecture: Architecture) -> str | None:
    """Why head and embedding are not one matrix whose gradient can be taken, and the way out; ``None`` if they are."""
    name, embedding = type(architecture.model).__name__, architecture.model.get_input_embeddings()
    kind = type(embedding).__name__
    if getattr(embedding, "weight", None) is not architecture.head.weight:
        return (
            f"head_gradient=tied is for models whose embedding and LM head are one matrix, and {name} of this "
            "checkpoint has two (tie_word_embeddings is false): use head_gradient=head"
        )
    if not isinstance(embedding, nn.Embedding) or not architecture.has_dense_head:
        return (
            f"head_gradient=tied needs a plain embedding, and this {name} has a {kind} of "
            f"{architecture.head.weight.dtype}: load it unquantised, or use head_gradient=head"
        )
    if architecture.head.weight.device.type == "meta":
        return (
            f"head_gradient=tied needs the embedding in memory, and this {name}'s is offloaded: give it more memory, "
            "or use head_gradient=head"
        )
    if _factor(embedding) is None:
        return (
            f"head_gradient=tied needs an embedding that gives rows of its matrix, and this {name}'s {kind} does more "
            "to them: use head_gradient=head"
        )
    return None


@torch.no_grad()
def _factor(embedding: nn.Embedding) -> float | None:
    """What the embedding multiplies the rows of its matrix by, such as Gemma 3's scale; ``None`` where it does more."""
    ids = torch.arange(min(8, embedding.num_embeddings), device=embedding.weight.device)
    rows, given = in_float64(embedding.weight[ids]), in_float64(embedding(ids))
    factor = float((rows * given).sum() / rows.square().sum())
    return factor if torch.allclose(given, factor * rows, rtol=1e-2, atol=1e-6) else None


def tied_gradients(
    architecture: Architecture, decoded: Decoded, scored: list[range], weightings: Collection[bool]
) -> list[dict[bool, float]]:
    """Mean absolute value of the tied matrix's gradient, for each answer and weighting (true: by entropy).

    One example at a time, so no example depends on its batch.

    Args:
        architecture: The model; see `what_is_not_tied`.
        decoded: The answers.
        scored: For each answer the range of its tokens that count.
        weightings: The weightings that are wanted.
    """
    return [_one(architecture, decoded, row, tokens, weightings) for row, tokens in enumerate(scored)]


def _one(
    architecture: Architecture, decoded: Decoded, row: int, tokens: range, weightings: Collection[bool]
) -> dict[bool, float]:
    part = slice(tokens.start, tokens.stop)
    if not len(tokens):  # an answer without tokens has no gradient
        return dict.fromkeys(weightings, float("nan"))
    head_input = decoded.head_states[row, part].detach().requires_grad_(True)
    with torch.enable_grad():
        linear = architecture.head(head_input)
    errors, entropies = errors_at_the_head(architecture, linear.detach(), decoded.token_ids[row, part])
    loss = weights(entropies)
    start = head_input_gradients(linear, head_input, errors.clone())
    at_head_input = {weighted: scaled(*start, loss[weighted]) for weighted in weightings}
    del linear
    prompt = decoded.prompt_ids[row][decoded.prompt_mask[row].bool()]
    fed = torch.cat([prompt, decoded.token_ids[row, : tokens.stop - 1]])  # the last token predicts nothing
    first = len(prompt) - 1 + tokens.start
    embedding = architecture.model.get_input_embeddings()
    factor = _factor(embedding)
    assert factor is not None
    found: dict[bool, float] = {}
    with _graph_from(embedding) as given, torch.enable_grad():
        read = states(architecture, fed[None], torch.ones_like(fed[None]), use_cache=False)[0][0, first:]
    for i, (weighted, (first_flow, scale)) in enumerate(at_head_input.items()):
        (flow,) = torch.autograd.grad(
            read, given[0], first_flow.to(read.device, read.dtype), retain_graph=i + 1 < len(at_head_input)
        )
        of_tokens = in_float64(flow[0]) * (scale * factor)
        if embedding.padding_idx is not None:  # autograd gives its row no gradient
            of_tokens[fed.to(of_tokens.device) == embedding.padding_idx] = 0
        found[weighted] = _mean_of_both(errors, head_input.detach(), loss[weighted], fed, of_tokens)
    return found


def _mean_of_both(error: Tensor, read: Tensor, weight: Tensor, tokens: Tensor, of_tokens: Tensor) -> float:
    """Mean absolute value of the head's gradient plus the embedding's.

    Args:
        error: What each token's loss makes of the head's output, ``[tokens, vocabulary]``.
        read: What the head has read, ``[tokens, width]``.
        weight: The tokens' weights in the loss, ``[tokens]``.
        tokens: The tokens that were fed, ``[fed]``.
        of_tokens: The loss's gradient with respect to each of their embeddings, float64, ``[fed, width]``.
    """
    rows, where = tokens.to(of_tokens.device).unique(return_inverse=True)
    embedding = of_tokens.new_zeros(len(rows), of_tokens.shape[1]).index_add_(0, where, of_tokens)
    at = rows.to(error.device)
    weighted = in_float64(read).to(of_tokens.device) * weight.to(of_tokens.device)[:, None]
    head = in_float64(error[:, at]).to(of_tokens.device).T @ weighted
    both = (head + embedding).abs().sum()
    elsewhere = mean_absolute(error.index_fill(1, at, 0), read, weight)
    return elsewhere + float(both) / (error.shape[1] * read.shape[1])


@contextmanager
def _graph_from(embedding: nn.Embedding) -> Iterator[list[Tensor]]:
    """Lets the graph of a pass in this thread begin at what the embedding gives, which is put into the list."""
    given: list[Tensor] = []

    def begin(args: Any, output: Tensor) -> Tensor:
        given.append(output.detach().requires_grad_(True))
        return given[-1]

    handle = embedding.register_forward_hook(of_this_thread(begin))
    try:
        yield given
    finally:
        handle.remove()
