"""BEM's inputs: token ids of both layouts, and what is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.correctness.golden import CASES, vocabulary
from tests.correctness.models import save_bert
from tests.support import requires_shared
from uq_harness.correctness.base import Triple
from uq_harness.correctness.bem import pytorch, scoring, tfhub
from uq_harness.correctness.bem.scoring import Parts, fit, join
from uq_harness.correctness.bem.wordpiece import WordPiece, words


def golden(truncated):
    cases = [case for case in CASES if (case["tf"]["truncation"] != "none") in truncated]
    return pytest.mark.parametrize("case", cases, ids=[case["note"] for case in cases])


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    return pytorch.load(save_bert(tmp_path_factory.mktemp("bem"), vocabulary()), "cpu", "float32")


class Original(tfhub.TensorFlowBem):
    """The TensorFlow layout without TensorFlow."""

    def __init__(self):
        self.tokenizer = WordPiece(vocabulary())


def sequences(model, case):
    triple = Triple(case["question"], case["candidate"], case["reference"])
    return model.sequences(fit(scoring._encode(model, [triple])[0], 512))


@requires_shared
@golden(truncated=[False, True])
def test_tensorflow_layout_has_the_golden_ids(case):
    ids, segments = sequences(Original(), case)
    assert ids == case["tf"]["input_ids"]
    assert segments == case["tf"]["segment_ids"]


@requires_shared
@golden(truncated=[False])
def test_torch_layout_has_the_golden_ids_where_nothing_is_cut(port, case):
    ids, segments = sequences(port, case)
    assert ids == case["torch"]["input_ids"]
    assert segments == case["torch"]["token_type_ids"]


@requires_shared
@golden(truncated=[True])
def test_torch_layout_is_cut_like_the_tensorflow_layout(port, case):
    """The golden torch ids of these cases come from a truncation that removes separators."""
    ids, segments = sequences(port, case)
    assert ids == case["tf"]["input_ids"]
    assert segments == [min(segment, 1) for segment in case["tf"]["segment_ids"]]
    assert ids.count(102) == 3


@given(st.lists(st.integers(0, 700), min_size=3, max_size=3))
def test_every_part_keeps_something_and_nothing_is_cut_in_vain(lengths):
    whole = Parts(*((mark,) * length for mark, length in zip((1, 2, 3), lengths, strict=True)))
    kept = fit(whole, 512)
    assert kept.length == min(whole.length, 508)
    assert all(bool(after) == bool(before) for after, before in zip(kept, whole, strict=True))
    assert fit(kept, 512) == kept


def test_what_is_cut_is_the_right_end():
    candidate, reference, question = tuple(range(100)), tuple(range(1000, 1600)), tuple(range(2000, 2600))
    kept = fit(Parts(candidate, reference, question), 512)
    assert kept.candidate == candidate[:32]
    assert kept.question == question[-64:]
    assert kept.reference == reference[: 508 - 32 - 64]


def test_segments_follow_the_parts():
    assert join(Parts((5,), (), (6, 6)), 1, 2, (0, 1, 2)) == ([1, 5, 2, 2, 6, 6, 2], [0, 0, 0, 1, 2, 2, 2])


def test_words_are_cut_into_the_longest_pieces():
    tokenize = WordPiece(["[UNK]", "play", "##ing", "##in", "##g", "p", "。"])
    assert tokenize("Playing pg") == (1, 2, 5, 4)
    assert tokenize("play。xyz") == (1, 6, 0)
    assert tokenize("p" * 101) == (0,)


def test_words_of_mixed_scripts():
    assert list(words("北京 Ａ\u00adb\tc\x00d $5 [unused7]")) == ["北", "京", "ab", "c", "d", "$", "5", "[unused7]"]
