"""The errors at the head, where all gradients start: in float32 they keep the digits of what is all but sure."""

import numpy as np
import pytest
import torch

from tests.backends.transformers.architectures import tiny_model
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.forward import log_softmax_and_entropy
from uq_harness.backends.transformers.head import _together, errors_at_the_head, mean_absolute, weights
from uq_harness.backends.transformers.parts import by_needs
from uq_harness.evidence import HeadGradient, StateGradient
from uq_harness.evidence.needs import LayerSpan


@pytest.fixture
def architecture() -> Architecture:
    return Architecture.of(tiny_model("llama"))


def scores_of_many_kinds() -> torch.Tensor:
    torch.manual_seed(0)
    scores = 6 * torch.randn(6, 300, dtype=torch.float64)
    scores[1, ::3] = -torch.inf
    scores[2, 7] = 40  # all but sure
    scores[3, 7] = 30
    scores[4, [5, 7]] = 50  # two that are equal
    scores[5, 7] = 60
    return scores.float().double()


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-11), (torch.float32, 6e-6)])
@pytest.mark.parametrize("chosen", [[7, 1, 7, 7, 7, 7], [0, 1, 3, 8, 5, 299]])
@pytest.mark.parametrize("rows", [2, 6])
def test_errors_and_entropies(
    architecture: Architecture,
    dtype: torch.dtype,
    rtol: float,
    chosen: list[int],
    rows: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("uq_harness.backends.transformers.forward.ENTRIES", rows * architecture.vocabulary)
    scores = scores_of_many_kinds()
    errors, entropies = errors_at_the_head(architecture, scores.to(dtype), torch.tensor(chosen))
    logprobs, _ = log_softmax_and_entropy(scores)
    expected = logprobs.exp()
    at = torch.arange(len(chosen)), torch.tensor(chosen)
    expected[at] = 0
    expected[at] = -expected.sum(-1)  # p - 1 without the loss of its digits
    assert errors.dtype == dtype
    torch.testing.assert_close(errors.double(), expected, rtol=rtol, atol=1e-40)
    spread = torch.where(logprobs > -torch.inf, logprobs, 0)
    precise = -(logprobs.exp() * spread)
    likeliest = logprobs.argmax(-1)
    every = torch.arange(len(chosen))
    others = precise.index_put((every, likeliest), torch.zeros(len(chosen), dtype=torch.float64)).sum(-1)
    rest = logprobs.exp().index_put((every, likeliest), torch.zeros(len(chosen), dtype=torch.float64)).sum(-1)
    torch.testing.assert_close(entropies, others - (1 - rest) * torch.log1p(-rest), rtol=rtol, atol=0)


@pytest.mark.parametrize("type_", [torch.float16, torch.bfloat16])
def test_autocast_is_for_the_model_alone(architecture: Architecture, type_: torch.dtype) -> None:
    scores, chosen = scores_of_many_kinds().float(), torch.tensor([7, 1, 7, 7, 7, 7])
    expected = errors_at_the_head(architecture, scores, chosen)
    read = torch.randn(6, 32)
    with torch.autocast("cpu", type_):
        found = errors_at_the_head(architecture, scores, chosen)
        size = mean_absolute(found[0], read, torch.ones(6))
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert size == mean_absolute(expected[0], read, torch.ones(6))


def test_what_float32_cannot_hold_is_taken_in_float64(architecture: Architecture) -> None:
    scores = torch.zeros(2, 300)
    scores[0, 7] = 120
    errors, entropies = errors_at_the_head(architecture, scores, torch.tensor([7, 7]))
    assert errors.dtype == torch.float64
    assert errors[0, 7] == pytest.approx(-299 * np.exp(-120), rel=1e-9)
    assert entropies[0] == pytest.approx(299 * np.exp(-120) * 121, rel=1e-9)
    scores[0, torch.arange(300) != 7] = -torch.inf  # nothing at all is left
    errors, entropies = errors_at_the_head(architecture, scores, torch.tensor([7, 7]))
    assert entropies.tolist() == [0, pytest.approx(np.log(300))]
    assert not errors[0].any()


def test_a_soft_cap_has_its_slope() -> None:
    architecture = Architecture.of(tiny_model("gemma2_softcap", torch.float32))
    torch.manual_seed(0)
    linear = (4 * torch.randn(3, architecture.vocabulary, dtype=torch.float64)).requires_grad_()
    chosen = torch.tensor([7, 1, 2])
    loss = torch.nn.functional.cross_entropy(architecture.logits_of(linear), chosen, reduction="sum")
    (expected,) = torch.autograd.grad(loss, linear)
    found, _ = errors_at_the_head(architecture, linear.detach().float(), chosen)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)


def test_the_weights_of_tokens() -> None:
    found = weights(torch.tensor([0.5, 1.5], dtype=torch.float64))
    assert found[False].tolist() == [0.5, 0.5]
    assert found[True].tolist() == [0.25, 0.75]
    assert weights(torch.empty(0, dtype=torch.float64))[True].tolist() == []


def test_answers_share_a_product_as_far_as_their_logits_fit(
    architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = [range(3), range(2), range(9), range(0), range(1, 3), range(4)]
    monkeypatch.setattr("uq_harness.backends.transformers.head.PRODUCT", 5 * architecture.vocabulary)
    assert list(_together(architecture, scored)) == [[0, 1], [2], [3, 4], [5]]
    assert list(_together(architecture, [])) == []
    monkeypatch.setattr(Architecture, "has_dense_head", False)
    assert list(_together(architecture, scored)) == [[0], [1], [2], [3], [4], [5]]


def test_the_way_back_through_the_head_is_for_all_state_gradients() -> None:
    plain, weighted = (StateGradient(reweighted, LayerSpan("top_half")) for reweighted in (False, True))
    found = by_needs({("states", None): 1.0, ("states", True): 2.0}, [HeadGradient(True), plain, weighted])
    assert found == {frozenset([plain, weighted]): 1.0, frozenset([weighted]): 2.0}
