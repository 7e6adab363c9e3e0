"""Prompts that wait take the place of answers that have ended, and nothing else changes by it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.backends.transformers.architectures import tiny_model
from tests.backends.transformers.test_gradients import prompts
from tests.backends.transformers.test_sampling import SAMPLERS, OpaqueDecoder, assert_same
from uq_harness.backends.transformers import decode as decoding
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode, decode_stream
from uq_harness.backends.transformers.decoded import Decoded, DecodedPrompt
from uq_harness.backends.transformers.forward import Prefill

HOW = {"end_ids": frozenset({2, 5, 9, 11}), "pad_id": 0, "max_new_tokens": 8, "captured_block": 3, "captured_from": -4}
MANY_ENDS = {**HOW, "end_ids": frozenset(range(0, 96, 3))}  # room is made while other answers grow


def texts(count: int = 14) -> list[list[int]]:
    """Prompts of different lengths, longest first."""
    rng = np.random.default_rng(3)
    return sorted((rng.integers(12, 96, size=n).tolist() for n in rng.integers(5, 25, size=count)), key=len)[::-1]


def assert_same_prompt(one: DecodedPrompt, other: DecodedPrompt) -> None:
    assert one.greedy.token_ids == other.greedy.token_ids
    assert one.greedy.ended == other.greedy.ended
    assert one.row_steps == other.row_steps
    assert_same(one.samples, other.samples)
    for ours, theirs in ((one.head_states, other.head_states), (one.middle_states[-4:], other.middle_states[-4:])):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layout", ["copied", "tree", "read again"])
@pytest.mark.parametrize("name", ["llama", "mistral_window", "gemma3", "gpt2"])
def test_answers_are_those_of_prompts_decoded_alone(name: str, layout: str) -> None:
    architecture = Architecture.of(tiny_model(name))
    if layout == "read again":
        architecture, layout = replace(architecture, decoder=OpaqueDecoder(architecture.decoder)), "auto"
    batches = list(decode_stream(architecture, texts(), size=5, samplers=SAMPLERS, layout=layout, **MANY_ENDS))
    found = {prompt.number: prompt for batch in batches for prompt in batch}
    assert sorted(found) == list(range(14))
    for number, text in enumerate(texts()):
        ((alone,),) = decode_stream(architecture, [text], size=1, samplers=SAMPLERS, layout="copied", **MANY_ENDS)
        assert_same_prompt(found[number], DecodedPrompt(**{**vars(alone), "number": number}))


def test_longer_prompts_may_join_shorter_ones_that_do_not_fill_the_window() -> None:
    architecture = Architecture.of(tiny_model("mistral_window"))
    given = [texts()[0][:n] for n in (1, 2, 3, 2, 14, 9, 17)]
    found = {
        p.number: p
        for batch in decode_stream(architecture, given, size=2, samplers=SAMPLERS, **MANY_ENDS)
        for p in batch
    }
    for number, text in enumerate(given):
        ((alone,),) = decode_stream(architecture, [text], size=1, samplers=SAMPLERS, layout="copied", **MANY_ENDS)
        assert found[number].greedy.token_ids == alone.greedy.token_ids
        assert_same(found[number].samples, alone.samples)


def test_a_long_answer_does_not_hold_the_others_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """All answers end at once but the first one's, which goes on to the limit."""
    architecture = Architecture.of(tiny_model("llama"))
    stubborn = decode(architecture, texts()[:1], end_ids=frozenset(), pad_id=0, max_new_tokens=8).token_ids[0].tolist()
    ends = frozenset(range(96)) - set(stubborn)
    read, reads = Prefill.read.__func__, []
    monkeypatch.setattr(
        Prefill, "read", classmethod(lambda cls, a, some, *rest: reads.append(len(some)) or read(cls, a, some, *rest))
    )
    order = [
        prompt.number
        for batch in decode_stream(architecture, texts(), size=4, **{**HOW, "end_ids": ends})
        for prompt in batch
    ]
    assert order.index(0) > 4
    assert max(reads) == 4
    assert reads[0] == 4
    assert sum(reads) == 14


def test_never_more_answers_grow_than_a_batch_has(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture, live = Architecture.of(tiny_model("llama")), []
    choose = decoding.NextToken.choose
    monkeypatch.setattr(
        decoding.NextToken,
        "choose",
        lambda self, architecture, states, sequences: (
            live.append(sequences.live.sum()) or choose(self, architecture, states, sequences)
        ),
    )
    list(decode_stream(architecture, texts(), size=5, samplers=SAMPLERS, **HOW))
    width = 1 + sum(getattr(sampler, "count", 0) or sampler.groups for sampler in SAMPLERS)
    assert max(live) == 5 * width


def test_a_batch_of_prompts_from_different_times_is_the_batch_decoded_together() -> None:
    architecture = Architecture.of(tiny_model("mistral_window"))
    found = [p for batch in decode_stream(architecture, texts(), size=3, **HOW) for p in batch]
    picked = [found[i] for i in (12, 3, 7)]
    ours = Decoded.of(picked, 0, architecture.input_device)
    together = decode(architecture, [texts()[prompt.number] for prompt in picked], **HOW)
    assert torch.equal(ours.prompt_ids, together.prompt_ids)
    assert torch.equal(ours.token_ids, together.token_ids)
    assert ours.first_column == together.first_column
    for field in ("logprobs", "entropies", "head_states", "middle_states"):
        torch.testing.assert_close(getattr(ours, field), getattr(together, field), rtol=0, atol=1e-5)
    real = together.prompt_mask.bool()
    for mine, theirs in zip(ours.prompt_cache.layers, together.prompt_cache.layers, strict=True):
        columns = theirs.keys.shape[-2]
        assert mine.keys.shape == theirs.keys.shape
        seen = real[:, -columns:, None]
        torch.testing.assert_close(mine.keys.movedim(1, 2)[seen[..., 0]], theirs.keys.movedim(1, 2)[seen[..., 0]])


def test_prompts_of_a_batch_of_one_go_one_at_a_time() -> None:
    architecture = Architecture.of(tiny_model("llama"))
    batches = list(decode_stream(architecture, prompts(4), size=1, samplers=SAMPLERS, **HOW))
    assert [[prompt.number for prompt in batch] for batch in batches] == [[0], [1], [2], [3]]
