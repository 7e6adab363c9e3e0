"""Texts of like length share a pass, and a long one pads no others."""

import pytest

from tests.backends.transformers.architectures import tiny_model
from uq_harness.backends.transformers import teacher_forcing
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.forward import Prefill
from uq_harness.backends.transformers.passes import MOST_PADDING, TOKENS, alike, in_passes, padding_worth_a_pass
from uq_harness.backends.transformers.teacher_forcing import rescore


def test_passes_hold_everything_once_the_widest_first() -> None:
    shapes = [(1, 5), (2, 40), (1, 6), (1, 41), (3, 5)]
    passes = list(alike(shapes, tokens=200, padding=4))
    assert passes == [[3, 1], [2, 0, 4]]
    assert list(alike(shapes, tokens=10, padding=4)) == [[3], [1], [2], [0], [4]]
    assert list(alike([], tokens=10, padding=4)) == []


def test_a_pass_has_a_largest_number_of_items_and_little_padding() -> None:
    lengths = [3, 900, 5, 4, 900, 5, 3, 20]
    architecture = Architecture.of(tiny_model("llama"))
    passes = list(in_passes([(1, n) for n in lengths], architecture, most=3))
    assert sorted(number for part in passes for number in part) == list(range(len(lengths)))
    assert [lengths[number] for part in passes for number in part] == sorted(lengths, reverse=True)
    for part in passes:
        width = max(lengths[number] for number in part)
        assert len(part) <= 3
        assert sum(width - lengths[number] for number in part) <= padding_worth_a_pass(architecture)
        assert len(part) * width <= TOKENS


def test_a_long_text_does_not_pad_the_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = Architecture.of(tiny_model("llama"))
    fed: list[int] = []
    follow = teacher_forcing.follow

    def counted(architecture, prefill, rows, tokens, pad_id, watch=()):
        fed.append(len(tokens) * max(map(len, tokens)))
        return follow(architecture, prefill, rows, tokens, pad_id, watch)

    monkeypatch.setattr(teacher_forcing, "follow", counted)
    prefill = Prefill.read(architecture, [[7, 8, 9]], 0)
    texts = [[5, 6, 7]] * 9 + [[5 + number % 20 for number in range(300)]]
    found = rescore(architecture, prefill, [0] * 10, texts, pad_id=0)
    assert [len(one) for one in found] == [3] * 9 + [300]
    assert sum(fed) <= sum(map(len, texts)) + padding_worth_a_pass(architecture)
    (alone,) = rescore(architecture, prefill, [0], texts[-1:], pad_id=0)
    assert found[-1] == pytest.approx(alone, abs=1e-9)
    assert found[0] == pytest.approx(alone[:3], abs=1e-9)


def test_a_small_model_takes_more_padding_for_a_pass_than_a_large_one() -> None:
    small, large = (Architecture.of(tiny_model("llama")) for _ in range(2))
    large.__dict__["weights_of_block"] = 7 * 10**6
    assert padding_worth_a_pass(small) == MOST_PADDING
    assert padding_worth_a_pass(large) == 10
