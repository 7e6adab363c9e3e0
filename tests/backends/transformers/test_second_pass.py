"""Answers that are given and read once leave behind what decoding them leaves behind, on every architecture."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.backends.transformers.architectures import ARCHITECTURES, FLOAT32_ONLY, RECURRENT, VOCABULARY, tiny_model
from tests.backends.transformers.test_gradients import prompts as token_prompts
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.second_pass import GivenAnswer, GivenPrompt, SecondPass, counted_tokens
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    Alternatives,
    Answer,
    AnswersGivenAnswers,
    ConditionalLogProbs,
    ContinuationLogProb,
    DrawLogProbs,
    Evidence,
    Need,
    RescoredLogProb,
    Sample,
    SampleLogits,
    Samples,
    SampleStates,
    StateGradientNorms,
)
from uq_harness.evidence.backend import gather_all
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.evidence.sets import SampleSets
from uq_harness.methods import all_methods, build_methods

METHODS = build_methods(
    [name for name in all_methods() if name != "p_true"],  # its own prompt is too long for these models
    {"entropy_samples": 4, "eigenscore_samples": 4, "density_beams": 4},
)
NEEDS = [
    *dict.fromkeys(need for method in METHODS for need in method.needs() if need.stage not in ("nli", "similarity")),
    ContinuationLogProb("1 2 3 ", prompt=lambda question, answer: f"{question} {answer}", continuation=" 4"),
]
END, STOP = 2, 7
FOUR = Samples(4, 1.0)


def tokenizer() -> PreTrainedTokenizerFast:
    """One word a token."""
    words = {str(number): number for number in range(VOCABULARY)}
    made = Tokenizer(models.WordLevel(words, unk_token="0"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="0", pad_token="0", eos_token=str(END))


def read(tokens: list[int], thinking: bool) -> tuple[str, range]:
    """Text up to a stop token, behind a thought of two tokens."""
    start = min(2, len(tokens)) if thinking else 0
    stop = next((at for at in range(start, len(tokens)) if tokens[at] == STOP), len(tokens))
    return " ".join(map(str, tokens[start:stop])), range(start, stop)


def stop_criteria(thinking: bool = False) -> StopCriteria:
    return StopCriteria(frozenset({END}), 9, partial(read, thinking=thinking), stops=lambda tokens: STOP in tokens)


def made_prompts() -> list[Prompt]:
    words = tokenizer()
    return [
        Prompt(
            f"{number} 4",
            f"{number} 4",
            ids,
            (-1, -2, -3)[number % 3],
            lambda message: words(f"5 6 {message}")["input_ids"],
            "x",
        )
        for number, ids in enumerate(token_prompts())
    ]


def given(one: Answer | Sample, known: bool = True) -> GivenAnswer:
    assert one.token_ids is not None
    return GivenAnswer(
        one.text, one.token_ids, one.emitted_ids or one.token_ids, one.logprobs if known else None, bool(one.complete)
    )


def as_given(prompts: Sequence[Prompt], found: Sequence[Evidence], needs: Sequence[Need], known: bool = True) -> list:
    sets = SampleSets.of(needs)
    return [
        GivenPrompt(
            **vars(prompt),
            answer=given(evidence.answer),
            drawn={one: [given(sample, known) for sample in evidence[one]] for one in sets.samplers},
        )
        for prompt, evidence in zip(prompts, found, strict=True)
    ]


def values(value) -> list[np.ndarray]:
    """The numbers of a need's value."""
    if isinstance(value, StateGradientNorms):
        return [value.absolute, value.squared]
    if isinstance(value, Alternatives):
        return [value.token_ids, value.logprobs]
    if isinstance(value, ConditionalLogProbs):
        return [value.probabilities, value.logprobs]
    if isinstance(value, tuple) and value and isinstance(value[0], Sample):
        return [np.asarray(sample.token_ids) for sample in value] + [np.asarray(sample.logprobs) for sample in value]
    return [np.asarray(one) for one in value] if isinstance(value, tuple) else [np.asarray(value)]


def assert_same(found: Sequence[Evidence], expected: Sequence[Evidence], needs: Sequence[Need], rtol: float) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.answer.text == other.answer.text
        assert one.answer.token_ids == other.answer.token_ids
        assert one.undefined == other.undefined
        for need in needs:
            if need in other.undefined:
                continue
            for ours, theirs in zip(values(one[need]), values(other[need]), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol, 1e-8, err_msg=str(need))


def decoded_and_read(
    name: str, needs: Sequence[Need], *, thinking: bool = False, size: int = 3, known: bool = True
) -> tuple[list[Evidence], list[Evidence], float]:
    low = name in FLOAT32_ONLY
    model = tiny_model(name, torch.float32 if low else torch.float64)
    how = {"max_length": 128, "pad_id": 0}
    direct, second = TransformersBackend(model, tokenizer(), **how), SecondPass(model, tokenizer(), **how)
    needs = [need for need in needs if direct.missing(need) is None]
    direct.prepare(needs)
    second.prepare(needs)
    prompts = made_prompts()
    expected = gather_all(direct, prompts, stop_criteria(thinking))
    assert any(one.answer.emitted_ids for one in expected) or not thinking
    found: dict[int, Evidence] = {}
    for rows, some in second.gather(as_given(prompts, expected, needs, known), stop_criteria(), size):
        found |= zip(rows, some, strict=True)
    return [found[row] for row in range(len(prompts))], expected, 2e-3 if low else 1e-5


@pytest.mark.parametrize("name", [*ARCHITECTURES, *RECURRENT])
def test_all_evidence_is_that_of_decoding(name: str) -> None:
    """Also where keys and values cannot be shared, windows slide, and logits are capped or scaled."""
    found, expected, rtol = decoded_and_read(name, NEEDS)
    assert_same(found, expected, [need for need in NEEDS if need in expected[0].values], rtol)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.answer.logprobs, other.answer.logprobs, rtol, 1e-8)
        np.testing.assert_allclose(one.answer.entropies, other.answer.entropies, rtol, 1e-8)
        assert one.cost["row_steps"] > 0


@pytest.mark.parametrize("size", [1, 8])
@pytest.mark.parametrize("name", ["llama", "mistral_window", "lfm2"])
def test_thinking_stop_strings_and_the_batch_change_nothing(name: str, size: int) -> None:
    found, expected, rtol = decoded_and_read(name, NEEDS, thinking=True, size=size)
    assert_same(found, expected, [need for need in NEEDS if need in expected[0].values], rtol)


def test_log_probabilities_of_samples_are_computed_where_they_are_not_told() -> None:
    one_by_one = Samples(4, 0.7, top_p=0.9, top_k=20)
    needs = [*NEEDS, one_by_one, DrawLogProbs(one_by_one)]
    found, expected, rtol = decoded_and_read("qwen2", needs, known=False)
    assert_same(found, expected, [need for need in needs if need in expected[0].values], rtol)
    assert_same(found, expected, [DrawLogProbs(one_by_one)], rtol)


def test_gradients_of_a_tied_matrix() -> None:
    needs = [need for method in build_methods("exgrad+paragrad", {"head_gradient": "tied"}) for need in method.needs()]
    found, expected, rtol = decoded_and_read("llama_tied", needs)
    assert_same(found, expected, needs, rtol)


def test_an_answer_without_tokens_has_undefined_scores_and_no_error() -> None:
    model = tiny_model("llama")
    second = SecondPass(model, tokenizer(), max_length=128, pad_id=0)
    methods = build_methods("default", {})
    second.prepare([need for method in methods for need in method.needs()])
    prompts = [GivenPrompt(**vars(prompt), answer=GivenAnswer("", (), ())) for prompt in made_prompts()[:2]]
    found = gather_all(second, prompts, stop_criteria())
    for one in found:
        scores = {method.name: method.score(one) for method in methods}
        assert all(np.isnan(score) for score in scores.values())


def test_a_sample_without_tokens_is_read_as_one() -> None:
    """As an engine tells one that does not tell the token that ends an answer: its state is the prompt's last one."""
    needs = (FOUR, DrawLogProbs(FOUR), SampleLogits(FOUR), SampleStates(FOUR))
    found, _, _ = decoded_and_read("llama", needs)
    prompts = as_given(made_prompts(), found, needs)
    empty = [replace(one, drawn={FOUR: [*one.drawn[FOUR][:3], GivenAnswer("", (), ())]}) for one in prompts]
    ended = [replace(one, drawn={FOUR: [*one.drawn[FOUR][:3], GivenAnswer("", (END,), (END,))]}) for one in prompts]
    second = SecondPass(tiny_model("llama", torch.float64), tokenizer(), max_length=128, pad_id=0)
    second.prepare(needs)
    for one, other in zip(*(gather_all(second, some, stop_criteria()) for some in (empty, ended)), strict=True):
        assert [len(values[3]) for values in (one[needs[1]], one[needs[2]])] == [0, 0]
        assert one[needs[3]].shape == other[needs[3]].shape
        np.testing.assert_allclose(one[needs[3]], other[needs[3]], 1e-6)


def test_memory_that_runs_out_shrinks_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _, _ = decoded_and_read("llama", NEEDS)
    whole = SecondPass._forced

    def forced(self, numbers, prompts, samplers):
        if len(numbers) > 1:
            raise torch.OutOfMemoryError("out of memory")
        return whole(self, numbers, prompts, samplers)

    monkeypatch.setattr(SecondPass, "_forced", forced)
    found, _, rtol = decoded_and_read("llama", NEEDS)
    assert_same(found, expected, [need for need in NEEDS if need in expected[0].values], rtol)


def test_samples_that_memory_does_not_hold_are_undefined(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(SecondPass, "_read_samples", full)
    found, expected, _ = decoded_and_read("llama", NEEDS)
    eigenscore = next(need for need in NEEDS if type(need).__name__ == "SampleStates")
    for one, other in zip(found, expected, strict=True):
        assert eigenscore in one.undefined
        np.testing.assert_allclose(one.answer.logprobs, other.answer.logprobs, 1e-5)


@pytest.mark.parametrize(
    ("told", "expected"), [([-0.5], range(0, 1)), ([-0.2], range(2, 3)), (None, range(2, 3)), ([np.nan], range(2, 3))]
)
def test_an_answer_that_stands_twice_among_the_tokens_is_found_by_its_log_probabilities(told, expected) -> None:
    answer = GivenAnswer("a", (5,), (5, 9, 5), None if told is None else np.array(told))
    assert counted_tokens(answer, np.array([-0.5, -1.0, -0.25])) == expected


def test_a_prompt_without_the_semantic_position_s_tokens_is_refused() -> None:
    from uq_harness.evidence import LayerSpan, StateGradientMap

    second = SecondPass(tiny_model("llama"), tokenizer(), max_length=128, pad_id=0)
    second.prepare([StateGradientMap(False, LayerSpan("all"), (-40,))])
    prompts = [replace(GivenPrompt(**vars(made_prompts()[0])), answer=GivenAnswer("5", (5,), (5,)))]
    with pytest.raises(UQHarnessError, match="last 40 tokens"):
        gather_all(second, prompts, stop_criteria())


def test_texts_that_outgrow_the_context_when_they_are_tokenised_again_are_undefined() -> None:
    """Eight tokens for a text that was written as one would stand behind the last position of the model."""
    second = SecondPass(tiny_model("gpt2"), tokenizer(), max_length=16, pad_id=0)
    needs = [one for one in NEEDS if isinstance(one, RescoredLogProb | AnswersGivenAnswers)]
    assert len({type(one) for one in needs}) == 2
    second.prepare(needs)
    long = GivenAnswer("5 6 7 8 9 10 11 12", (5,), (5,), np.array([-0.5]))
    short = GivenAnswer("8", (8,), (8,), np.array([-1.5]))
    prompt = replace(made_prompts()[0], token_ids=[3] * 9, restate=lambda _: [3] * 9)
    drawn = {one: [long, short] for one in SampleSets.of(needs).samplers}
    (found,) = gather_all(second, [GivenPrompt(**vars(prompt), answer=short, drawn=drawn)], stop_criteria())
    for need in needs:
        value = found[need]
        if isinstance(need, AnswersGivenAnswers):
            assert value.answers == (long.text, short.text)
            value = value.logprobs[0]
        assert np.isnan(value).tolist() == [True, False]
