"""The attention to an answer in a grading prompt is that of eager attention's maps, whatever shares the batch."""

import logging
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedModel

from tests.backends.transformers.architectures import ARCHITECTURES, FLOAT32_ONLY, RECURRENT, tiny_model
from tests.backends.transformers.test_second_pass import as_given, made_prompts, stop_criteria, tokenizer
from tests.backends.transformers.test_self_attention import WINDOWED
from tests.backends.transformers.test_texts import shapes_of
from uq_harness.backends.transformers.answer_attention import AnswerInPrompt, answer_attention
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.second_pass import SecondPass
from uq_harness.backends.transformers.self_attention import ReadableBlocks, SelfAttentionReader
from uq_harness.batching import Room
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import AnswerAttention, AnswerLogProbs
from uq_harness.evidence.backend import gather_all
from uq_harness.functional import FloatArray

NEED = AnswerAttention(before=lambda question: f"1 2 {question}", after=" 3 4 5")
SPECIAL = frozenset({0, 2})
# Of answers of no token, of special ones alone, and of some in the midst.
ANSWERS = [[5, 6, 7], [], [8], [2], [9, 9, 0, 9, 9, 9, 9, 9, 9, 2], [5, 2], [11, 12, 13, 14, 15, 16, 17, 18]]
QUESTIONS = ["20", "21 22", "23", "24", "25 26 27 28 29 30 31 32", "33", "34 35 36"]


def encode(text: str, special: bool) -> list[int]:
    return [*([1] if special else []), *map(int, text.split())]


def made() -> list[AnswerInPrompt]:
    pairs = zip(QUESTIONS, ANSWERS, strict=True)
    return [AnswerInPrompt.of(NEED, question, answer, encode, SPECIAL) for question, answer in pairs]


def reader_of(architecture: Architecture) -> SelfAttentionReader:
    found = ReadableBlocks.find(architecture, 128, range(architecture.n_blocks))
    assert isinstance(found, ReadableBlocks), found
    return found.reader(architecture)


def read(architecture: Architecture, prompts: Sequence[AnswerInPrompt], room: int = 64) -> list[FloatArray | None]:
    return answer_attention(architecture, reader_of(architecture), prompts, max_length=128, pad_id=0, room=Room(room))


def eager(model: PreTrainedModel, prompt: AnswerInPrompt, blocks: Sequence[int]) -> np.ndarray:
    """The mean over heads of each block's map, in the last row, at the answer's places; 0 for special tokens."""
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            maps = model(torch.tensor([prompt.ids]), output_attentions=True).attentions
    finally:
        model.set_attn_implementation(before)
    if len(maps) < model.config.num_hidden_layers:  # blocks without attention have no map
        blocks = [model.config.layer_types[:block].count("full_attention") for block in blocks]
    found = np.zeros((len(blocks), len(prompt.shown)))
    for row, block in enumerate(blocks):
        found[row, prompt.shown] = maps[block][0].double().mean(0)[-1, prompt.start : prompt.start + sum(prompt.shown)]
    return found


def test_the_answer_stands_in_the_prompt_as_its_own_tokens() -> None:
    whole, special = AnswerInPrompt.of(NEED, "20", [5, 2, 6], encode, SPECIAL), made()[3]
    assert whole == AnswerInPrompt([1, 1, 2, 20, 5, 6, 3, 4, 5], 4, [True, False, True])
    assert [whole.ids[place] for place in whole.places] == [5, 6]
    assert (special.ids, special.shown) == ([1, 1, 2, 24, 3, 4, 5], [False])


@pytest.mark.parametrize("switched", [False, True], ids=["as_loaded", "eager"])
@pytest.mark.parametrize("name", [name for name in [*ARCHITECTURES, *RECURRENT] if name not in WINDOWED])
def test_equals_eager_maps(name: str, switched: bool) -> None:
    model = tiny_model(name, torch.float32 if name in FLOAT32_ONLY else torch.float64)
    if switched:
        model.set_attn_implementation("eager")
    architecture = Architecture.of(model)
    blocks = reader_of(architecture).blocks
    assert {"gemma2_softcap": (1, 3), "lfm2": (1, 3)}.get(name, (0, 1, 2, 3, 4)) == blocks
    for prompt, found in zip(made(), read(architecture, made()), strict=True):
        assert found is not None
        np.testing.assert_allclose(found, eager(model, prompt, blocks), rtol=0, atol=1e-5)
        assert ((found > 0) == prompt.shown).all()


def test_heads_of_a_16_bit_model_are_averaged_in_more_digits() -> None:
    model = tiny_model("llama", torch.bfloat16)
    model.set_attn_implementation("eager")
    architecture = Architecture.of(model)
    for prompt in made():
        (found,) = read(architecture, [prompt])
        np.testing.assert_allclose(found, eager(model, prompt, range(5)), rtol=0, atol=1e-7)


@pytest.mark.parametrize("name", ["llama", "gpt2", "lfm2"])
def test_neither_the_batch_nor_the_order_matters(name: str) -> None:
    architecture = Architecture.of(tiny_model(name))
    alone = [read(architecture, [prompt])[0] for prompt in made()]
    order = np.random.default_rng(1).permutation(len(alone)).tolist()
    for numbers, room in ((range(len(alone)), 2), (range(len(alone)), 64), (order, 3)):
        for number, found in zip(numbers, read(architecture, [made()[i] for i in numbers], room), strict=True):
            np.testing.assert_allclose(found, alone[number], rtol=0, atol=1e-9)


class Softmaxes(TorchDispatchMode):
    """The shapes of what a softmax is taken of."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "softmax" in str(func):
            self.shapes.append(tuple(args[0].shape))
        return func(*args, **(kwargs or {}))


def test_weights_are_made_for_the_last_token_alone() -> None:
    architecture = Architecture.of(tiny_model("llama"))
    with shapes_of(architecture.decoder) as passes, Softmaxes() as seen:
        reader = reader_of(architecture)
        passes.clear()
        seen.shapes.clear()
        answer_attention(architecture, reader, made(), max_length=128, pad_id=0, room=Room(64))
    longest = max(len(prompt.ids) for prompt in made())
    assert passes == [(5, longest)]  # of the answers that have a token to show, in one pass
    assert seen.shapes == [(5, 4, 1, longest)] * 5


def test_prompts_of_like_lengths_share_a_pass_and_memory_that_runs_out_shrinks_the_batch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    architecture = Architecture.of(tiny_model("llama"))
    expected, reader, whole = read(architecture, made()), reader_of(architecture), architecture.decoder.forward
    lengths: list[int] = []

    def forward(*args, input_ids, **kwargs):
        if len(input_ids) > 2 or input_ids.shape[1] > 15:
            raise torch.OutOfMemoryError("out of memory")
        lengths.append(input_ids.shape[1])
        return whole(*args, input_ids=input_ids, **kwargs)

    monkeypatch.setattr(architecture.decoder, "forward", forward)
    with caplog.at_level(logging.WARNING):
        found = answer_attention(architecture, reader, made(), max_length=128, pad_id=0, room=Room(4))
    assert lengths == sorted(lengths, reverse=True)
    assert [one is None for one in found] == [len(prompt.ids) > 15 for prompt in made()]
    assert "out of memory" in caplog.text
    for one, other in zip(found, expected, strict=True):
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("max_length", "too_long"), [(12, 2), (17, 1), (16, 2)])
def test_a_prompt_that_does_not_fit_has_no_weights(
    max_length: int, too_long: int, caplog: pytest.LogCaptureFixture
) -> None:
    architecture = Architecture.of(tiny_model("llama"))
    how = {"max_length": max_length, "pad_id": 0, "room": Room(64)}
    with caplog.at_level(logging.WARNING):
        found = answer_attention(architecture, reader_of(architecture), made(), **how)
    assert [one is None for one in found] == [len(prompt.ids) > max_length for prompt in made()]
    assert f"{too_long} grading prompts do not fit" in caplog.text


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("name", ["llama", "gemma2_softcap", "lfm2"])
def test_a_second_pass_gives_the_same(name: str, thinking: bool) -> None:
    model = tiny_model(name, torch.float32 if name in FLOAT32_ONLY else torch.float64)
    needs = [AnswerLogProbs(), NEED]
    found = []
    for kind in (TransformersBackend, SecondPass):
        backend = kind(model, tokenizer(), max_length=128, pad_id=0)
        backend.prepare(needs)
        given = as_given(made_prompts(), found[0], needs) if found else made_prompts()
        found.append(gather_all(backend, given, stop_criteria(thinking)))
    blocks = reader_of(Architecture.of(model)).blocks
    for one, other in zip(*found, strict=True):
        ids = [int(word) for word in f"1 2 {one.question}".split()]
        answer = list(one.answer.token_ids)
        stated = AnswerInPrompt(
            [*ids, *(token for token in answer if token not in SPECIAL), 3, 4, 5],
            len(ids),
            [token not in SPECIAL for token in answer],
        )
        np.testing.assert_allclose(one[NEED], eager(model, stated, blocks), rtol=0, atol=1e-5)
        np.testing.assert_allclose(other[NEED], one[NEED], rtol=0, atol=1e-5)
        assert one.cost["scored_texts"] == other.cost["scored_texts"] == 1


@pytest.mark.parametrize("name", WINDOWED)
def test_windowed_blocks_are_not_read(name: str) -> None:
    backend = TransformersBackend(tiny_model(name), tokenizer(), max_length=128, pad_id=0)
    assert "windowed or linear" in (backend.missing(NEED) or "")
    with pytest.raises(UQHarnessError, match="in any block"):
        backend.prepare([NEED])


def test_a_window_as_wide_as_the_context_hides_nothing() -> None:
    backend = TransformersBackend(tiny_model("mistral_wide_window"), tokenizer(), max_length=64, pad_id=0)
    assert backend.missing(NEED) is None
