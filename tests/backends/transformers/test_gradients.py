"""The fast gradient pass equals plain autograd on every architecture, whatever shares the batch."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.backends.transformers.architectures import ARCHITECTURES, FLOAT32_ONLY, RECURRENT, VOCABULARY, tiny_model
from tests.support import SHARED, requires_shared
from uq_harness.backends.transformers import decode as decoding
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decoded import Decoded
from uq_harness.backends.transformers.gradients import Gradients, gradients
from uq_harness.backends.transformers.head import Request
from uq_harness.backends.transformers.in_range import in_range, known
from uq_harness.backends.transformers.reference import reference_gradients

BOTH = frozenset({True, False})


def prompts(count: int = 5) -> list[list[int]]:
    """Random prompts of 9 tokens and more, each longer than the one before."""
    generator = np.random.default_rng(0)
    return [generator.integers(3, VOCABULARY, 9 + 2 * i).tolist() for i in range(count)]


def decode(
    architecture: Architecture, texts: list[list[int]], block: int, position: int = -4, steps: int = 7
) -> Decoded:
    return decoding.decode(
        architecture,
        texts,
        end_ids=frozenset({2}),
        pad_id=0,
        max_new_tokens=steps,
        captured_block=block,
        captured_from=position,
    )


def score(way, architecture: Architecture, decoded: Decoded, request: Request, position: int = -4) -> list[Gradients]:
    columns = np.full((len(decoded.lengths), 1), decoded.prompt_ids.shape[1] + position)
    return way(architecture, decoded, [range(n) for n in decoded.lengths], columns, request)


def assert_close(found: list[Gradients], expected: list[Gradients], rtol: float) -> None:
    for ours, plain in zip(found, expected, strict=True):
        for weighted in BOTH:
            np.testing.assert_allclose(ours.head[weighted], plain.head[weighted], rtol)
            np.testing.assert_allclose(ours.states[weighted].absolute, plain.states[weighted].absolute, rtol)
            np.testing.assert_allclose(ours.states[weighted].squared, plain.states[weighted].squared, 2 * rtol)


@pytest.mark.parametrize("first_block", [0, 3])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_equals_plain_autograd(name: str, first_block: int) -> None:
    dtype = torch.float32 if name in FLOAT32_ONLY else torch.float64
    architecture = Architecture.of(tiny_model(name, dtype))
    decoded = decode(architecture, prompts(), first_block)
    request = Request(BOTH, BOTH, first_block)
    # some models take norms and rotary angles in float32, whatever the weights' dtype
    rtol = 1e-5 if dtype == torch.float64 else 1e-3
    assert_close(
        score(gradients, architecture, decoded, request),
        score(reference_gradients, architecture, decoded, request),
        rtol,
    )


@pytest.mark.parametrize("name", ["llama", "llama_tied", "qwen3", "gemma", "gpt2", "gpt_neox", "phi"])
@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float32, 2e-3), (torch.bfloat16, 0.25)])
def test_lower_precision_stays_near_float64(name: str, dtype: torch.dtype, rtol: float) -> None:
    request = Request(BOTH, BOTH, 3)
    exact, low = Architecture.of(tiny_model(name)), Architecture.of(tiny_model(name, dtype))
    decoded = decode(low, prompts(), 3)
    same_answers = Decoded(**{**vars(decode(exact, prompts(), 3)), "token_ids": decoded.token_ids})
    same_answers.lengths = decoded.lengths
    found = score(gradients, low, decoded, request)
    plain = score(reference_gradients, exact, same_answers, request)
    for weighted in BOTH:
        np.testing.assert_allclose([g.head[weighted] for g in found], [g.head[weighted] for g in plain], rtol)
        ours, theirs = ([g.states[weighted].absolute.mean() for g in gs] for gs in (found, plain))
        np.testing.assert_allclose(ours, theirs, rtol)


@pytest.mark.parametrize("name", ["llama", "mistral_window", "gpt2"])
def test_batch_mates_and_padding_change_nothing(name: str) -> None:
    architecture, request = Architecture.of(tiny_model(name)), Request(BOTH, BOTH, 3)
    together = score(gradients, architecture, decode(architecture, prompts(), 3), request)
    alone = [score(gradients, architecture, decode(architecture, [text], 3), request)[0] for text in prompts()]
    assert_close(together, alone, 1e-5)


def test_each_answer_has_its_own_column() -> None:
    architecture, request = Architecture.of(tiny_model("qwen3")), Request(BOTH, BOTH, 3)
    positions = [-1, -4, -2, -3, -4]
    decoded = decode(architecture, prompts(), 3)
    columns = decoded.prompt_ids.shape[1] + np.array(positions)[:, None]
    scored = [range(n) for n in decoded.lengths]
    assert_close(
        gradients(architecture, decoded, scored, columns, request),
        reference_gradients(architecture, decoded, scored, columns, request),
        1e-5,
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_several_columns_come_from_one_pass(name: str) -> None:
    """The map over layers and positions equals plain autograd, also at the prompt's very end."""
    dtype = torch.float32 if name in FLOAT32_ONLY else torch.float64
    architecture, request = Architecture.of(tiny_model(name, dtype)), Request(BOTH, BOTH, 0)
    decoded = decode(architecture, prompts(), 0, position=-6)
    columns = np.tile(decoded.prompt_ids.shape[1] + np.array([-3, -6, -5, -4, -3, -2, -1]), (5, 1))
    scored = [range(n) for n in decoded.lengths]
    found = gradients(architecture, decoded, scored, columns, request)
    assert found[0].states[True].absolute.shape == (5, 7)
    rtol = 1e-5 if dtype == torch.float64 else 1e-3
    assert_close(found, reference_gradients(architecture, decoded, scored, columns, request), rtol)


def test_a_column_has_the_same_gradient_alone_and_among_others() -> None:
    architecture, request = Architecture.of(tiny_model("llama")), Request(BOTH, BOTH, 2)
    wide, narrow = decode(architecture, prompts(), 2, position=-6), decode(architecture, prompts(), 2, position=-3)
    scored = [range(n) for n in wide.lengths]
    end = wide.prompt_ids.shape[1]
    among = gradients(architecture, wide, scored, np.tile(end + np.array([-6, -3, -1]), (5, 1)), request)
    alone = gradients(architecture, narrow, scored, np.full((5, 1), end - 3), request)
    for many, one in zip(among, alone, strict=True):
        for weighted in BOTH:
            np.testing.assert_allclose(many.states[weighted].absolute[:, 1:2], one.states[weighted].absolute, 1e-9)


def test_tokens_that_do_not_count_are_context_only() -> None:
    architecture, request = Architecture.of(tiny_model("llama")), Request(BOTH, BOTH, 3)
    decoded = decode(architecture, prompts(), 3)
    columns = np.full((5, 1), decoded.prompt_ids.shape[1] - 4)
    scored = [range(2, n - 1) for n in decoded.lengths]
    assert_close(
        gradients(architecture, decoded, scored, columns, request),
        reference_gradients(architecture, decoded, scored, columns, request),
        1e-5,
    )


def test_an_answer_without_tokens_has_no_gradient() -> None:
    architecture = Architecture.of(tiny_model("llama"))
    decoded = decode(architecture, prompts(2), 3)
    columns = np.full((2, 1), decoded.prompt_ids.shape[1] - 4)
    empty, other = gradients(architecture, decoded, [range(0), range(3)], columns, Request(BOTH, BOTH, 3))
    assert np.isnan(empty.head[True])
    assert np.isnan(empty.states[True].absolute).all()
    assert np.isfinite(other.head[True])
    assert np.isfinite(other.states[True].absolute).all()


def test_float16_does_not_underflow_on_sure_answers() -> None:
    """Gradients of a sure answer are below float16's smallest number; the scaled backward pass keeps them."""
    model = tiny_model("llama", torch.float32)
    with torch.no_grad():
        model.lm_head.weight.mul_(200)
    sure = Architecture.of(model)
    exact = score(gradients, sure, decode(sure, prompts(2), 3), Request(BOTH, BOTH, 3))
    assert exact[0].states[True].absolute.mean() < 1e-5
    half = Architecture.of(model.to(torch.float16))
    found = score(gradients, half, decode(half, prompts(2), 3), Request(BOTH, BOTH, 3))
    assert all(g.states[True].absolute.min() > 0 for g in found)


@requires_shared
@pytest.mark.parametrize("way", [gradients, reference_gradients])
def test_float16_keeps_gradients_that_a_large_state_makes_tiny(way) -> None:
    """One matrix 30,000 times as large: the norms behind it divide gradients below float16's smallest number."""
    found = {}
    for dtype in (torch.float32, torch.float16):
        model = AutoModelForCausalLM.from_pretrained(SHARED / "models/qa-small", dtype=dtype)
        with torch.no_grad():
            model.model.layers[2].mlp.down_proj.weight.mul_(30_000)
        architecture = Architecture.of(model)
        decoded = decode(architecture, prompts(3), 3)
        found[dtype] = decoded.token_ids.tolist(), score(way, architecture, decoded, Request(BOTH, BOTH, 3))
    (tokens, exact), (same_tokens, half) = found.values()
    assert tokens == same_tokens
    assert max(one.states[False].absolute.max() for one in exact) < 2**-24  # float16's smallest number
    assert_close(half, exact, 0.05)


def test_a_gradient_that_got_lost_is_nan_and_one_that_is_none_is_zero() -> None:
    """Levels from the lowest up. A sliding window keeps the upper ones from a position."""
    levels = np.array([[0.5, 0.0, 0.0, 0.0, np.inf], [0.25, 0.5, 0.25, 0.0, 0.5], [0.0, 0.5, 0.0, 0.0, 0.5]])
    expected = [[0.5, np.nan, np.nan, np.nan, np.nan], [0.25, 0.5, 0.25, np.nan, 0.5], [0.0, 0.5, 0.0, np.nan, 0.5]]
    np.testing.assert_array_equal(known(levels), expected)


def test_a_row_that_overflows_is_taken_again_with_a_smaller_factor() -> None:
    sizes = np.array([[3.0, 2.0e5, np.nan], [9.0, 4.0e10, np.nan]])[:, :, None, None]

    def backward(factor: float) -> np.ndarray:
        scaled = sizes * np.array([factor, factor**2])[:, None, None, None]
        return np.where(scaled[0] * 1.0 > 65504, np.inf, scaled)

    np.testing.assert_allclose(in_range(backward), sizes)


def test_weights_keep_their_flags_and_get_no_gradients() -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    score(gradients, architecture, decode(architecture, prompts(2), 3), Request(BOTH, BOTH, 3))
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any("forward" in block.__dict__ for block in architecture.blocks)


@pytest.mark.parametrize("name", RECURRENT)
def test_models_that_are_not_only_attention_decode_without_a_shared_cache(name: str) -> None:
    architecture = Architecture.of(tiny_model(name))
    assert decode(architecture, prompts(2), 3).prompt_cache is None


def test_blocks_that_accelerate_has_wrapped_work_and_keep_their_wrapping() -> None:
    """A model spread over devices has a forward function of its own on every block."""
    from accelerate.hooks import AlignDevicesHook, add_hook_to_module

    expected = Architecture.of(tiny_model("llama"))
    model = tiny_model("llama")
    for block in model.model.layers:
        add_hook_to_module(block, AlignDevicesHook(execution_device="cpu", io_same_device=True))
    wrapped = [block.forward for block in model.model.layers]
    architecture, request = Architecture.of(model), Request(BOTH, BOTH, 3)
    assert_close(
        score(gradients, architecture, decode(architecture, prompts(), 3), request),
        score(reference_gradients, expected, decode(expected, prompts(), 3), request),
        1e-5,
    )
    assert [block.forward for block in model.model.layers] == wrapped
