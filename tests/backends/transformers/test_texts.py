"""Texts that the model scores again get the log-probabilities of a pass over the whole sequence, one at a time."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from tests.backends.transformers.architectures import RECURRENT, tiny_model
from tests.backends.transformers.test_gradients import prompts
from tests.support import SHARED, requires_shared
from uq_harness.backends.transformers import teacher_forcing as rescoring
from uq_harness.backends.transformers import teacher_forcing as texts_module
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode
from uq_harness.backends.transformers.forward import Prefill
from uq_harness.backends.transformers.teacher_forcing import conditionals, mean_logprobs, rescore
from uq_harness.evidence import ConditionalLogProbs, Sample

NAMES = ["llama", "mistral_window", "gemma3", "gpt2", "granite_scaled", *RECURRENT]
TEXTS = [["5 6 7", "8", "5 6 7", "", "9 9 9 9 9 9 9"], ["5 6 7"], ["20 21", "8"]]
GOLDEN = json.loads((SHARED / "golden/functional.json").read_text(encoding="utf-8")) if SHARED else {}


def tokenise(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def alone(model: PreTrainedModel, prompt: Sequence[int], tokens: Sequence[int], temperature: float = 1.0) -> np.ndarray:
    """Log-probability of each token, from one pass without cache or padding."""
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *tokens]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    logprobs = (logits.double() / temperature).log_softmax(-1)
    return logprobs[torch.arange(len(tokens)), list(tokens)].numpy()


def stating(question: str, answer: str, message: str) -> str:
    return f"{question} {answer} {message}"


def drawn(*answers: str, logprob: float = -1.0) -> list[Sample]:
    return [Sample(text, (1,), np.array([logprob]), True) for text in answers]


def given(
    model: PreTrainedModel,
    messages: Sequence[tuple[str, str]],
    samples: Sequence[Sequence[Sample]],
    threshold: float = 0.25,
) -> list[ConditionalLogProbs]:
    state = [lambda answer, of=of: tokenise(stating(of[0], answer, of[1])) for of in messages]
    return conditionals(Architecture.of(model), samples, state, tokenise, threshold=threshold, pad_id=0)


@contextmanager
def shapes_of(decoder: nn.Module) -> Iterator[list[tuple[int, ...]]]:
    """Collects rows and columns of each forward pass."""
    seen: list[tuple[int, ...]] = []
    watch = decoder.register_forward_pre_hook(
        lambda _module, _args, kwargs: seen.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    try:
        yield seen
    finally:
        watch.remove()


@pytest.mark.parametrize("name", NAMES)
def test_texts_behind_the_prompts_that_decoding_has_read(name: str) -> None:
    model = tiny_model(name)
    architecture, texts = Architecture.of(model), prompts(3)
    prefill = decode(architecture, texts, end_ids=frozenset({2}), pad_id=0, max_new_tokens=4).prefill
    for temperature in (1.0, 0.1):
        found = mean_logprobs(architecture, prefill, TEXTS, tokenise, temperature=temperature, pad_id=0)
        for prompt, row, answers in zip(texts, found, TEXTS, strict=True):
            for value, answer in zip(row, answers, strict=True):
                expected = alone(model, prompt, tokenise(answer), temperature).mean() if answer else -np.inf
                assert value == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_answers_behind_prompts_that_state_an_answer(name: str) -> None:
    model = tiny_model(name)
    messages = [("3", "4 5 6"), ("7 8", "9"), ("3", "4"), ("11 12 13 14 15 16 17 18", "19")]
    samples = [drawn("30 31 32", "40", "30 31 32", "50 51"), drawn("60", "60"), drawn("70"), drawn("80", "", "81 82")]
    found = given(model, messages, samples)
    assert [one.answers for one in found] == [("30 31 32", "40", "50 51"), ("60",), ("70",), ("80", "", "81 82")]
    for (question, message), one in zip(messages, found, strict=True):
        if len(one.answers) == 1:  # one answer alone tells nothing, and is not read again
            assert one.logprobs.tolist() == [[0.0]]
            continue
        for i, first in enumerate(one.answers):
            prompt = tokenise(stating(question, first, message))
            expected = [alone(model, prompt, tokenise(second)).sum() for second in one.answers]
            assert one.logprobs[i] == pytest.approx(expected, abs=1e-4)


def test_batch_mates_change_nothing() -> None:
    model = tiny_model("llama")
    messages = [("3", "4 5 6"), ("11 12 13 14 15 16 17 18", "19")]
    samples = [drawn("30", "40 41 42"), drawn("80", "81 82 83 84 85")]
    together = given(model, messages, samples)
    for i, one in enumerate(together):
        (single,) = given(model, messages[i : i + 1], samples[i : i + 1])
        assert single.logprobs == pytest.approx(one.logprobs, abs=1e-9)


def test_only_so_many_rows_go_through_the_model_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    messages = [(str(3 + i), "4 5 6") for i in range(5)]
    samples = [drawn("30", "40 41 42", "50")] * 5
    expected = given(model, messages, samples)
    monkeypatch.setattr(rescoring, "ROWS", 7)
    monkeypatch.setattr(texts_module, "ROWS", 7)
    with shapes_of(model.model) as shapes:
        found = given(model, messages, samples)
    for ours, one in zip(found, expected, strict=True):
        assert ours.logprobs == pytest.approx(one.logprobs, abs=1e-9)
    assert max(rows for rows, _ in shapes) <= 7


def test_equal_texts_are_read_once_and_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    prefill = Prefill.read(architecture, prompts(1), 0)
    monkeypatch.setattr(rescoring, "ROWS", 2)
    texts = [["5", "5 6 7 8", "5 6", "5 6 7", "5 6 7"]]
    with shapes_of(model.model) as shapes:
        mean_logprobs(architecture, prefill, texts, tokenise, temperature=1.0, pad_id=0)
    assert shapes == [(2, 3), (2, 1)]


def test_texts_of_one_token_take_no_pass_at_all() -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    prefill = Prefill.read(architecture, prompts(2), 0)
    with shapes_of(model.model) as shapes:
        found = mean_logprobs(architecture, prefill, [["8", "9"], ["20"]], tokenise, temperature=1.0, pad_id=0)
    assert shapes == []
    expected = [
        [alone(model, text, [token])[0] for token in row] for text, row in zip(prompts(2), ([8, 9], [20]), strict=True)
    ]
    assert [row.tolist() for row in found] == [pytest.approx(row, abs=1e-9) for row in expected]


def test_nothing_to_score() -> None:
    architecture = Architecture.of(tiny_model("llama"))
    prefill = Prefill.read(architecture, prompts(1), 0)
    assert rescore(architecture, prefill, [], [], pad_id=0) == []
    assert [len(one) for one in rescore(architecture, prefill, [0, 0], [[], [5]], pad_id=0)] == [0, 1]


@requires_shared
@pytest.mark.parametrize("case", GOLDEN.get("merge_by_f1", []))
def test_golden_answers_are_merged_as_in_the_function(case: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "uq_harness.backends.transformers.teacher_forcing._sums", lambda _a, _p, rows, *_: [0.0] * len(rows)
    )
    inputs = case["inputs"]
    pairs = zip(inputs["texts"], inputs["sequence_logprobs"], strict=True)
    samples = [drawn(text, logprob=logprob)[0] for text, logprob in pairs]
    (found,) = conditionals(None, [samples], [list], list, threshold=inputs["threshold"], pad_id=0)
    assert list(found.answers) == case["expected"]["answers"]
    assert found.probabilities == pytest.approx(np.array(case["expected"]["probabilities"]), abs=1e-9)
