"""Answers after prompts that state an answer: every token position is read once, with the numbers of passes alone."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from tests.backends.transformers.architectures import ARCHITECTURES, FLOAT32_ONLY, RECURRENT, tiny_model
from tests.backends.transformers.test_texts import alone, shapes_of, tokenise
from tests.support import SHARED, requires_shared
from uq_harness.backends.transformers import token_trees
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.conditionals import conditionals
from uq_harness.backends.transformers.prefixes import Layout
from uq_harness.batching import Room
from uq_harness.evidence import ConditionalLogProbs, Sample

GOLDEN = json.loads((SHARED / "golden/functional.json").read_text(encoding="utf-8")) if SHARED else {}
NAMES = [*ARCHITECTURES, *RECURRENT]
# Models whose blocks take a mask for every token apart.
SHARING = ["llama", "qwen3", "gpt2", "opt", "gpt_neox"]
MESSAGES = [("3", "4 5 6"), ("7 8", "9"), ("3", "4"), ("11 12 13 14 15 16 17 18", "19")]
SAMPLES = [
    ("30 31 32", "40", "30 31 32", "50 51", "30 33 34 35 36 37 38"),
    ("60", "60"),
    ("70",),
    ("80", "", "81 82", "81 83 84 85 86 87 88"),
]


def stating(question: str, answer: str, message: str) -> str:
    return f"{question} {answer} {message}"


def drawn(*answers: str, logprob: float = -1.0) -> list[Sample]:
    return [Sample(text, (1,), np.array([logprob]), True) for text in answers]


def given(
    model: PreTrainedModel | Architecture,
    messages: Sequence[tuple[str, str]] = MESSAGES,
    samples: Sequence[Sequence[str]] = SAMPLES,
    *,
    size: int = 1000,
    layout: Layout = "auto",
    most: int | None = None,
    max_length: int | None = None,
) -> list[ConditionalLogProbs]:
    state = [lambda answer, of=of: tokenise(stating(of[0], answer, of[1])) for of in messages]
    return conditionals(
        model if isinstance(model, Architecture) else Architecture.of(model),
        [drawn(*one) for one in samples],
        state,
        tokenise,
        threshold=0.25,
        pad_id=0,
        most=most,
        max_length=max_length,
        room=Room(size),
        layout=layout,
    )


def expected(model: PreTrainedModel, question: str, message: str, answers: Sequence[str]) -> np.ndarray:
    return np.array(
        [
            [alone(model, tokenise(stating(question, first, message)), tokenise(second)).sum() for second in answers]
            for first in answers
        ]
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NAMES)
def test_each_answer_behind_each_prompt_has_its_own_likelihood(name: str, dtype: torch.dtype) -> None:
    if dtype == torch.float64 and name in FLOAT32_ONLY:
        pytest.skip("float64 and padding give NaN in this attention")
    model = tiny_model(name, dtype)
    found = given(model)
    assert [len(one.answers) for one in found] == [4, 1, 1, 4]
    for (question, message), one in zip(MESSAGES, found, strict=True):
        if len(one.answers) == 1:  # one answer alone tells nothing, and is not read again
            assert one.logprobs.tolist() == [[0.0]]
        else:
            right = expected(model, question, message, one.answers)
            assert one.logprobs == pytest.approx(right, abs=1e-9 if dtype == torch.float64 else 1e-4)


@pytest.mark.parametrize("name", SHARING)
def test_no_token_position_is_read_twice(name: str) -> None:
    """One question alone has no padding: the tokens fed are the beginnings that differ."""
    model = tiny_model(name)
    (of,), (answers,) = MESSAGES[:1], SAMPLES[:1]
    distinct = list(dict.fromkeys(answers))
    stated = [tokenise(stating(of[0], one, of[1])) for one in distinct]
    fed = [tokenise(one)[:-1] for one in distinct]
    positions = {tuple(prompt[:end]) for prompt in stated for end in range(1, len(prompt) + 1)}
    positions |= {(*prompt, *text[:end]) for prompt in stated for text in fed for end in range(1, len(text) + 1)}
    architecture = Architecture.of(model)
    with shapes_of(architecture.decoder) as shapes:
        given(architecture, [of], [answers])
    probe, *passes = shapes
    assert probe == (1, 1)  # whether keys and values can be shared
    assert len(passes) == 3
    assert sum(rows * columns for rows, columns in passes) == len(positions)


def test_equal_prompts_and_equal_answers_go_once() -> None:
    model = tiny_model("llama")
    architecture, state = Architecture.of(model), [lambda _: [3, 4, 5]]
    samples = [drawn("30 31", "40 41", "50 51")]
    with shapes_of(model.model) as shapes:
        (found,) = conditionals(architecture, samples, state, lambda _: [8, 9], threshold=0.25, pad_id=0)
    assert shapes[1:] == [(1, 2), (1, 1), (1, 1)]
    assert found.logprobs == pytest.approx(np.full((3, 3), alone(model, [3, 4, 5], [8, 9]).sum()), abs=1e-9)


def test_answers_of_equal_tokens_behind_prompts_that_differ_and_the_other_way_round() -> None:
    model = tiny_model("llama")
    prompts = {"40": [3, 40], "50 51": [3, 50], "60": [3, 50], "70": [3, 70]}
    texts = {"40": [8, 9], "50 51": [11], "60": [12, 13], "70": [8, 9]}
    samples = [drawn(*prompts)]
    (found,) = conditionals(
        Architecture.of(model), samples, [prompts.__getitem__], texts.__getitem__, threshold=0.25, pad_id=0
    )
    expected = [[alone(model, prompts[one], texts[other]).sum() for other in found.answers] for one in found.answers]
    assert found.answers == tuple(prompts)
    assert found.logprobs == pytest.approx(np.array(expected), abs=1e-9)


@pytest.mark.parametrize("name", ["llama", "gemma3", "lfm2"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_less_room_changes_nothing(name: str, size: int) -> None:
    model = tiny_model(name)
    for found, one in zip(given(model, size=size), given(model), strict=True):
        assert found.logprobs == pytest.approx(one.logprobs, abs=1e-9)


@pytest.mark.parametrize("name", ["llama", "gpt2", "lfm2"])
def test_answers_beyond_the_context_get_no_likelihood(name: str, caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model(name)
    whole = given(model)
    assert not caplog.records
    undefined = 0
    for of, found, right in zip(MESSAGES, given(model, max_length=11), whole, strict=True):
        length = {one: len(tokenise(one)) for one in found.answers}
        prompts = {one: len(tokenise(stating(of[0], one, of[1]))) for one in found.answers}
        fits = np.array([[prompts[one] + length[other] <= 11 for other in found.answers] for one in found.answers])
        assert found.probabilities == pytest.approx(right.probabilities)
        if len(found.answers) > 1:
            blank = np.array([not length[other] for other in found.answers])  # nothing is read for it
            undefined += int((~fits & ~blank).sum())
            expected = np.where(fits | blank, right.logprobs, np.nan)
            assert found.logprobs == pytest.approx(expected, abs=1e-9, nan_ok=True)
    assert 0 < undefined < sum(one.logprobs.size for one in whole)
    assert f"{undefined} answers do not fit into the context" in caplog.text


def test_prompts_of_which_nothing_may_be_shared() -> None:
    model = tiny_model("llama")
    for found, one in zip(given(model, layout="copied"), given(model), strict=True):
        assert found.logprobs == pytest.approx(one.logprobs, abs=1e-9)


def test_prompts_that_begin_with_the_answer() -> None:
    model = tiny_model("llama")
    messages = [("", "4 5 6"), ("7", "8")]
    found = given(model, messages, SAMPLES[:1] + SAMPLES[3:])
    for (question, message), one in zip(messages, found, strict=True):
        assert one.logprobs == pytest.approx(expected(model, question, message, one.answers), abs=1e-9)


def test_answers_too_many_for_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    right = given(model)
    for limit in ("NODES", "MOST_NODES"):
        monkeypatch.setattr(token_trees, limit, 4)
    for found, one in zip(given(model), right, strict=True):
        assert found.logprobs == pytest.approx(one.logprobs, abs=1e-9)


def test_a_row_has_as_many_tokens_as_it_copies_up_to_a_limit() -> None:
    sequences = [[100 * number + place for place in range(60)] for number in range(10)]
    assert [len(list(token_trees.in_rows(sequences, behind))) for behind in (5, 120, 250, 2000)] == [10, 5, 3, 3]


def test_batch_mates_change_nothing() -> None:
    model = tiny_model("llama")
    for i, one in enumerate(given(model)):
        (single,) = given(model, MESSAGES[i : i + 1], SAMPLES[i : i + 1])
        assert single.logprobs == pytest.approx(one.logprobs, abs=1e-9)


def test_only_the_likeliest_answers_are_read() -> None:
    model = tiny_model("llama")
    samples = [[*drawn("30 31", "40", logprob=-3.0), *drawn("50 51", logprob=-1.0), *drawn("60", logprob=-2.0)]]
    state = [lambda answer: tokenise(stating("3", answer, "4"))]
    (found,) = conditionals(Architecture.of(model), samples, state, tokenise, threshold=0.25, pad_id=0, most=2)
    assert found.answers == ("50 51", "60")
    assert found.probabilities == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])
    assert found.logprobs == pytest.approx(expected(model, "3", "4", found.answers), abs=1e-9)


@requires_shared
@pytest.mark.parametrize("case", GOLDEN.get("merge_by_f1", []))
def test_golden_answers_are_merged_as_in_the_function(case: dict) -> None:
    inputs = case["inputs"]
    pairs = zip(inputs["texts"], inputs["sequence_logprobs"], strict=True)
    samples = [drawn(text, logprob=logprob)[0] for text, logprob in pairs]
    (found,) = conditionals(
        Architecture.of(tiny_model("llama")),
        [samples],
        [lambda _: [5, 6]],
        lambda _: [7],
        threshold=inputs["threshold"],
        pad_id=0,
    )
    assert list(found.answers) == case["expected"]["answers"]
    assert found.probabilities == pytest.approx(np.array(case["expected"]["probabilities"]), abs=1e-9)
