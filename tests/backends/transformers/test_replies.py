"""Short replies over a prompt's keys and values are those of the model by itself, on every architecture."""

from collections.abc import Sequence

import pytest
import torch
from transformers import PreTrainedModel

from tests.backends.transformers.architectures import ARCHITECTURES, FLOAT32_ONLY, RECURRENT, tiny_model
from tests.backends.transformers.test_texts import shapes_of
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.forward import Prefill
from uq_harness.backends.transformers.replies import Reply, replies
from uq_harness.batching import Room

PROMPTS = [[5, 6, 7, 8, 9, 10, 11, 12], [20, 21, 22], [30, 31, 32, 33, 34], [40], [5, 6, 7, 8, 9]]
GOING_ON = [
    [*PROMPTS[0], 50, 51, 52],
    [*PROMPTS[1][:2], 60, 61, 62, 63, 64, 65, 66],  # the conversation's tokens part from the prompt's before its end
    None,
    [9, 9, 9, 9],  # or at once
    PROMPTS[4],  # nothing is new but the last token, which has to be read
]
LIMIT = 6


def alone(model: PreTrainedModel, ids: Sequence[int], ends: frozenset[int]) -> Reply:
    """The greedy continuation, from passes over all tokens without cache or padding."""
    written: list[int] = []
    while len(written) < LIMIT and not ends.intersection(written[-1:]):
        with torch.no_grad():
            scores = model(torch.tensor([[*ids, *written]]), use_cache=False).logits[0, -1]
        written.append(int(scores.argmax()))
    return tuple(written)


def found(
    model: PreTrainedModel, ends: frozenset[int], order: Sequence[int] = range(len(PROMPTS)), room: Room | None = None
) -> list[Reply]:
    architecture = Architecture.of(model)
    prompts = [PROMPTS[row] for row in order]
    prefill = Prefill.read(architecture, prompts, 0)
    going_on = [GOING_ON[row] for row in order]
    how = {"end_ids": ends, "max_tokens": LIMIT, "pad_id": 0, "room": room or Room(64)}
    return replies(architecture, prefill, prompts, going_on, **how)


@pytest.mark.parametrize("name", [name for name in {**ARCHITECTURES, **RECURRENT} if name not in FLOAT32_ONLY])
def test_equal_those_of_the_model_by_itself(name: str) -> None:
    model = tiny_model(name)
    free = [None if ids is None else alone(model, ids, frozenset()) for ids in GOING_ON]
    assert found(model, frozenset()) == free
    ends = frozenset({one[2] for one in free[:2] if one is not None})
    expected = [None if ids is None else alone(model, ids, ends) for ids in GOING_ON]
    assert any(one is not None and len(one) < LIMIT for one in expected)
    assert found(model, ends) == expected


def test_batch_mates_the_order_and_the_room_change_nothing() -> None:
    model = tiny_model("llama")
    together = found(model, frozenset())
    order = [3, 1, 4, 0, 2]
    assert found(model, frozenset(), order, Room(2)) == [together[row] for row in order]
    assert [found(model, frozenset(), [row])[0] for row in range(len(PROMPTS))] == together


def test_only_what_is_new_goes_through_the_model() -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    prefill = Prefill.read(architecture, PROMPTS[:1], 0)
    with shapes_of(model.model) as shapes:
        replies(
            architecture,
            prefill,
            PROMPTS[:1],
            GOING_ON[:1],
            end_ids=frozenset(),
            max_tokens=LIMIT,
            pad_id=0,
            room=Room(8),
        )
    assert shapes == [(1, 3), *([(1, 1)] * (LIMIT - 1))]
    assert prefill.cache is not None
    assert prefill.cache.get_seq_length() == len(PROMPTS[0])  # as it was


def test_a_reply_of_numbers_that_are_none_is_undefined() -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.lm_head.weight[7] = torch.nan
    assert found(model, frozenset()) == [None] * len(PROMPTS)


def test_memory_that_holds_no_conversation_leaves_it_undefined() -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    prefill = Prefill.read(architecture, PROMPTS, 0)

    def check(module: torch.nn.Module, arguments: tuple, given: dict) -> None:
        if given["input_ids"].numel() > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = model.model.register_forward_pre_hook(check, with_kwargs=True)
    try:
        how = {"end_ids": frozenset(), "max_tokens": LIMIT, "pad_id": 0, "room": Room(64)}
        some = replies(architecture, prefill, PROMPTS, GOING_ON, **how)
    finally:
        hook.remove()
    whole = found(model, frozenset())
    assert some == [whole[0], None, None, whole[3], whole[4]]
