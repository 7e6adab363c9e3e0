"""The weight that fed tokens give to themselves is that of eager attention's maps, however answers are decoded."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from tests.backends.transformers.architectures import (
    ARCHITECTURES,
    FLOAT32_ONLY,
    RECURRENT,
    VOCABULARY,
    tiny_model,
)
from tests.backends.transformers.test_gradients import prompts
from tests.backends.transformers.test_refill import MANY_ENDS, texts
from tests.backends.transformers.test_sampling import SAMPLERS, OpaqueDecoder
from tests.backends.transformers.test_second_pass import as_given, made_prompts, stop_criteria, tokenizer
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.decode import decode, decode_stream
from uq_harness.backends.transformers.second_pass import SecondPass
from uq_harness.backends.transformers.self_attention import ReadableBlocks, SelfAttentionReader, full_attention
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import SelfAttention, VocabularySize
from uq_harness.evidence.backend import gather_all

WINDOWED = ("mistral_window", "mistral_wide_window", "gemma3")  # gemma3 has five windowed blocks before a full one
HOW = {"end_ids": frozenset({2}), "pad_id": 0, "max_new_tokens": 8}


def of(architecture: Architecture) -> SelfAttentionReader:
    readable = ReadableBlocks.find(architecture, 128)
    assert isinstance(readable, ReadableBlocks), readable
    return readable.reader(architecture, [SelfAttention()])


def eager_maps(model: PreTrainedModel, prompt: list[int], answer: list[int], blocks: tuple[int, ...]) -> torch.Tensor:
    """Of each block the diagonal of its map, ``[blocks, heads, tokens - 1]``."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            maps = model(torch.tensor([prompt + answer[:-1]]), output_attentions=True).attentions
    finally:
        model.set_attn_implementation(before)
    if len(maps) < model.config.num_hidden_layers:  # blocks without attention have no map
        kinds = model.config.layer_types
        blocks = tuple(kinds[:block].count("full_attention") for block in blocks)
    return torch.stack([maps[block][0].diagonal(dim1=-2, dim2=-1)[:, len(prompt) :] for block in blocks])


@pytest.mark.parametrize("layout", ["copied", "tree"])
@pytest.mark.parametrize("name", [name for name in [*ARCHITECTURES, *RECURRENT] if name not in WINDOWED])
def test_equals_eager_maps(name: str, layout: str) -> None:
    model = tiny_model(name, torch.float32 if name in FLOAT32_ONLY else torch.float64)
    architecture = Architecture.of(model)
    reader = of(architecture)
    given = prompts()[:1] if name in RECURRENT else prompts()
    found = decode(architecture, given, samplers=SAMPLERS, reader=reader, layout=layout, **HOW)
    assert max(found.lengths) > 2
    for row, prompt in enumerate(given):
        answer = found.token_ids[row, : found.lengths[row]].tolist()
        if len(answer) < 2:
            assert found.self_attention[row] is None
            continue
        expected = eager_maps(model, prompt, answer, reader.blocks)
        torch.testing.assert_close(found.self_attention[row], expected, rtol=0, atol=1e-5, check_dtype=False)


def test_an_attention_sink_takes_its_share() -> None:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "gpt_oss",
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=16,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        num_local_experts=2,
        num_experts_per_tok=1,
        sliding_window=6,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for block in model.model.layers:
        torch.nn.init.normal_(block.self_attn.sinks)
    architecture = Architecture.of(model)
    reader = of(architecture)
    assert reader.blocks == (1, 3)
    found = decode(architecture, prompts(), reader=reader, **HOW)
    for row, prompt in enumerate(prompts()):
        answer = found.token_ids[row, : found.lengths[row]].tolist()
        torch.testing.assert_close(
            found.self_attention[row], eager_maps(model, prompt, answer, reader.blocks), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("layout", ["copied", "tree", "read again"])
@pytest.mark.parametrize("name", ["llama", "gpt2", "gptj"])
def test_does_not_depend_on_what_shares_the_batch(name: str, layout: str) -> None:
    architecture = Architecture.of(tiny_model(name))
    reader = of(architecture)
    if layout == "read again":
        architecture, layout = replace(architecture, decoder=OpaqueDecoder(architecture.decoder)), "auto"
    work = partial(decode_stream, architecture, samplers=SAMPLERS, layout=layout, reader=reader, **MANY_ENDS)
    alone = {prompt.number: prompt for batch in work(texts(), size=1) for prompt in batch}
    assert any(prompt.self_attention is not None for prompt in alone.values())
    order = np.random.default_rng(1).permutation(len(texts())).tolist()
    shuffled = [texts()[number] for number in order]
    for given, numbers, size in ((texts(), range(14), 5), (texts(), range(14), 64), (shuffled, order, 8)):
        for prompt in (prompt for batch in work(given, size=size) for prompt in batch):
            expected = alone[numbers[prompt.number]].self_attention
            if expected is None:
                assert prompt.self_attention is None
            else:
                torch.testing.assert_close(prompt.self_attention, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("name", ["llama", "gemma2_softcap", "gpt2"])
def test_a_second_pass_gives_the_same(name: str, thinking: bool) -> None:
    model = tiny_model(name, torch.float32 if name in FLOAT32_ONLY else torch.float64)
    needs = [SelfAttention(), SelfAttention("middle"), VocabularySize()]
    stop = stop_criteria(thinking)
    found = []
    for kind in (TransformersBackend, SecondPass):
        backend = kind(model, tokenizer(), max_length=128, pad_id=0)
        backend.prepare(needs)
        given = as_given(made_prompts(), found[0], needs) if found else made_prompts()
        found.append(gather_all(backend, given, stop))
    for one, other in zip(*found, strict=True):
        weights = one[SelfAttention()]
        assert weights.shape[-1] == max(0, len(one.answer.token_ids) - 1)
        np.testing.assert_allclose(other[SelfAttention()], weights, rtol=0, atol=1e-5)
        assert one[SelfAttention("middle")].shape == (1, *weights.shape[1:])
        assert one[VocabularySize()] == VOCABULARY
        if thinking and weights.size:  # the first two tokens are a thought, and do not count
            emitted = list(one.answer.emitted_ids)
            blocks = of(Architecture.of(model)).blocks
            expected = eager_maps(model, list(one.prompt_ids), emitted, blocks)[..., 2 : 2 + weights.shape[-1]]
            np.testing.assert_allclose(weights, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", WINDOWED)
def test_windowed_blocks_are_not_read(name: str) -> None:
    backend = TransformersBackend(tiny_model(name), tokenizer(), max_length=128, pad_id=0)
    assert "windowed or linear" in (backend.missing(SelfAttention()) or "")
    with pytest.raises(UQHarnessError, match="windowed or linear"):
        backend.prepare([SelfAttention()])


def test_a_window_as_wide_as_the_context_hides_nothing() -> None:
    backend = TransformersBackend(tiny_model("mistral_wide_window"), tokenizer(), max_length=64, pad_id=0)
    assert backend.missing(SelfAttention()) is None
    assert full_attention(tiny_model("mistral_window").config, 5, 64) == [False] * 5


def test_attention_that_is_not_the_common_function_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")

    def other(module, query, key, value, mask, **kwargs):
        output = torch.nn.functional.scaled_dot_product_attention(query * 2, key, value, mask, enable_gqa=True)
        return output.transpose(1, 2), None

    monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._global_mapping, "sdpa", other)
    assert "does not give" in ReadableBlocks.find(Architecture.of(model), 128)


def test_leaves_the_model_as_it_was() -> None:
    model = tiny_model("llama")
    configurations = [module.config for module in model.modules() if hasattr(module, "config")]
    decode(Architecture.of(model), prompts(), reader=of(Architecture.of(model)), **HOW)
    assert all(
        module.config is config
        for module, config in zip((m for m in model.modules() if hasattr(m, "config")), configurations, strict=True)
    )
    assert model.config._attn_implementation == "sdpa"
