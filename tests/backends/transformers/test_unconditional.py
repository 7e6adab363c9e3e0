"""Answers read behind the beginning-of-sequence token alone, on every architecture."""

import numpy as np
import pytest

from tests.backends.transformers.architectures import ARCHITECTURES, FLOAT32_ONLY, RECURRENT, tiny_model
from tests.backends.transformers.test_texts import alone, shapes_of
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.teacher_forcing import unconditional_logprobs
from uq_harness.batching import Room

BOS = 1
ANSWERS = [[5, 6, 7], [], [8], [9, 9, 9, 9, 9, 9, 9, 9, 2], [5, 2], [5, 6, 7]]


@pytest.mark.parametrize("name", [name for name in {**ARCHITECTURES, **RECURRENT} if name not in FLOAT32_ONLY])
@pytest.mark.parametrize("bos", [BOS, None])
def test_equals_a_pass_of_its_own(name: str, bos: int | None) -> None:
    model = tiny_model(name)
    found = unconditional_logprobs(Architecture.of(model), ANSWERS, bos, pad_id=0)
    for tokens, ours in zip(ANSWERS, found, strict=True):
        assert ours.shape == (len(tokens),)
        if bos is not None:
            assert ours == pytest.approx(alone(model, [bos], tokens) if tokens else [], abs=1e-9)
        elif tokens:
            assert np.isnan(ours[0])
            rest = alone(model, tokens[:1], tokens[1:]) if len(tokens) > 1 else []
            assert ours[1:] == pytest.approx(rest, abs=1e-9)


def test_batch_mates_and_the_room_change_nothing() -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    together = unconditional_logprobs(architecture, ANSWERS, BOS, pad_id=0)
    in_twos = unconditional_logprobs(architecture, ANSWERS[::-1], BOS, pad_id=0, room=Room(2))[::-1]
    for one, other in zip(together, in_twos, strict=True):
        assert one == pytest.approx(other, abs=1e-9)


def test_the_beginning_is_read_once_and_no_more_rows_than_there_is_room_for() -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    with shapes_of(model.model) as shapes:
        unconditional_logprobs(architecture, ANSWERS, BOS, pad_id=0, room=Room(2))
    assert shapes[0] == (1, 1)
    assert max(rows for rows, _ in shapes) == 2


def test_no_answer_has_tokens() -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    with shapes_of(model.model) as shapes:
        found = unconditional_logprobs(architecture, [[], []], BOS, pad_id=0)
    assert [len(one) for one in found] == [0, 0]
    assert shapes == []
