"""The gradient of a matrix that is head and embedding at once equals autograd's on every tied architecture."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from tests.backends.transformers.architectures import tiny_model
from tests.backends.transformers.test_gradients import prompts
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode
from uq_harness.backends.transformers.decoded import Decoded
from uq_harness.backends.transformers.tied import tied_gradients, what_is_not_tied

BOTH = (False, True)
TIED = ["llama_tied", "gemma", "gemma3", "gpt2", "opt", "cohere_scaled", "gemma2_softcap"]


def plain(model: PreTrainedModel, prompt: Sequence[int], answer: Sequence[int], weighted: bool) -> float:
    """From the definition: the gradient with respect to the one matrix, dense, by autograd."""
    ids = torch.tensor([[*prompt, *answer]])
    weight = model.get_output_embeddings().weight
    weight.requires_grad_(True)
    logprobs = model(ids).logits[0, len(prompt) - 1 : -1].double().log_softmax(-1)
    entropy = -(logprobs.exp() * logprobs).sum(-1).detach()
    taken = logprobs.gather(-1, torch.tensor(answer)[:, None])[:, 0]
    (gradient,) = torch.autograd.grad(-((entropy if weighted else 1) * taken).mean(), weight)
    return float(gradient.double().abs().mean())


def answers(model: PreTrainedModel, texts: list[list[int]]) -> Decoded:
    return decode(Architecture.of(model), texts, end_ids=frozenset({2}), pad_id=0, max_new_tokens=7)


def found(model: PreTrainedModel, decoded: Decoded) -> list[dict[bool, float]]:
    return tied_gradients(Architecture.of(model), decoded, [range(n) for n in decoded.lengths], BOTH)


@pytest.mark.parametrize("name", TIED)
def test_equals_plain_autograd(name: str) -> None:
    model = tiny_model(name, torch.float32 if name == "gemma2_softcap" else torch.float64)
    assert what_is_not_tied(Architecture.of(model)) is None
    decoded = answers(model, prompts())
    rtol = 1e-3 if name == "gemma2_softcap" else 1e-5
    for row, (ours, prompt) in enumerate(zip(found(model, decoded), prompts(), strict=True)):
        answer = decoded.token_ids[row, : decoded.lengths[row]].tolist()
        for weighted in BOTH:
            assert ours[weighted] == pytest.approx(plain(model, prompt, answer, weighted), rel=rtol)


def test_the_padding_tokens_row_has_no_gradient_of_the_embedding() -> None:
    model = tiny_model("llama_tied")
    model.get_input_embeddings().padding_idx = prompts()[0][0]
    decoded = answers(model, prompts()[:1])
    answer = decoded.token_ids[0, : decoded.lengths[0]].tolist()
    assert found(model, decoded)[0][True] == pytest.approx(plain(model, prompts()[0], answer, True), rel=1e-5)


def test_only_the_tokens_that_count_are_in_the_loss() -> None:
    """Thinking before the answer is part of what is read, and not of the loss."""
    model = tiny_model("llama_tied")
    decoded = answers(model, prompts()[:1])
    tokens = decoded.token_ids[0, : decoded.lengths[0]].tolist()
    ours = tied_gradients(Architecture.of(model), decoded, [range(2, 5)], BOTH)[0]
    for weighted in BOTH:
        expected = plain(model, [*prompts()[0], *tokens[:2]], tokens[2:5], weighted)
        assert ours[weighted] == pytest.approx(expected, rel=1e-5)


def test_batch_mates_change_nothing_in_float32() -> None:
    model = tiny_model("llama_tied", torch.float32)
    together = found(model, answers(model, prompts()))
    alone = [found(model, answers(model, [prompt]))[0] for prompt in prompts()]
    for weighted in BOTH:
        np.testing.assert_allclose([one[weighted] for one in together], [one[weighted] for one in alone], rtol=1e-4)


def test_it_leaves_the_model_as_it_was() -> None:
    model = tiny_model("llama_tied")
    model.requires_grad_(True)
    found(model, answers(model, prompts()[:1]))
    assert not model.get_input_embeddings().sparse
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_an_answer_without_tokens_has_none() -> None:
    model = tiny_model("llama_tied")
    decoded = answers(model, prompts()[:1])
    assert np.isnan(tied_gradients(Architecture.of(model), decoded, [range(0)], BOTH)[0][True])


def test_a_model_with_two_matrices_is_refused() -> None:
    what = what_is_not_tied(Architecture.of(tiny_model("llama")))
    assert what is not None
    assert what.endswith("has two (tie_word_embeddings is false): use head_gradient=head")
