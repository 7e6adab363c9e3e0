"""Texts that the model scores again get the log-probabilities of a pass over the whole sequence, one at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from tests.backends.transformers.architectures import RECURRENT, tiny_model
from tests.backends.transformers.test_gradients import prompts
from uq_harness.backends.transformers import teacher_forcing as rescoring
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode
from uq_harness.backends.transformers.forward import Prefill
from uq_harness.backends.transformers.teacher_forcing import mean_logprobs, rescore

NAMES = ["llama", "mistral_window", "gemma3", "gpt2", "granite_scaled", *RECURRENT]
TEXTS = [["5 6 7", "8", "5 6 7", "", "9 9 9 9 9 9 9"], ["5 6 7"], ["20 21", "8"]]


def tokenise(text: str) -> list[int]:
    return [int(word) for word in text.split()]


def alone(model: PreTrainedModel, prompt: Sequence[int], tokens: Sequence[int], temperature: float = 1.0) -> np.ndarray:
    """Log-probability of each token, from one pass without cache or padding."""
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *tokens]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    logprobs = (logits.double() / temperature).log_softmax(-1)
    return logprobs[torch.arange(len(tokens)), list(tokens)].numpy()


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
        found, read = mean_logprobs(architecture, prefill, TEXTS, tokenise, temperature=temperature, pad_id=0)
        assert read == [len(set(row) - {""}) for row in TEXTS]
        for prompt, row, answers in zip(texts, found, TEXTS, strict=True):
            for value, answer in zip(row, answers, strict=True):
                expected = alone(model, prompt, tokenise(answer), temperature).mean() if answer else -np.inf
                assert value == pytest.approx(expected, abs=1e-4)


def test_equal_texts_are_read_once_and_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    prefill = Prefill.read(architecture, prompts(1), 0)
    monkeypatch.setattr(rescoring, "ROWS", 2)
    texts = [["5", "5 6 7 8", "5 6", "5 6 7", "5 6 7"]]
    with shapes_of(model.model) as shapes:
        mean_logprobs(architecture, prefill, texts, tokenise, temperature=1.0, pad_id=0)
    assert shapes == [(2, 3), (2, 1)]


def test_a_text_that_begins_a_known_answer_is_not_read() -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    prefill = Prefill.read(architecture, prompts(2), 0)
    texts = [["5 6 7", "5 6", "5 7", ""], ["5 6 7", ""]]
    known = np.array([-1.0, -2.0, -6.0, -100.0])
    how = {"temperature": 0.1, "pad_id": 0}
    with shapes_of(model.model) as shapes:
        found, read = mean_logprobs(architecture, prefill, texts, tokenise, told=[[((5, 6, 7, 2), known)], []], **how)
    assert shapes == [(2, 2)]  # "5 7" of the first prompt, "5 6 7" of the second, but their last tokens
    assert read == [1, 1]
    whole, _ = mean_logprobs(architecture, prefill, texts, tokenise, **how)
    assert found[0].tolist() == [-3.0, -1.5, pytest.approx(whole[0][2]), -np.inf]
    assert found[1].tolist() == [pytest.approx(whole[1][0]), -np.inf]


def test_texts_of_one_token_take_no_pass_at_all() -> None:
    model = tiny_model("llama")
    architecture = Architecture.of(model)
    prefill = Prefill.read(architecture, prompts(2), 0)
    with shapes_of(model.model) as shapes:
        found, _ = mean_logprobs(architecture, prefill, [["8", "9"], ["20"]], tokenise, temperature=1.0, pad_id=0)
    assert shapes == []
    expected = [
        [alone(model, text, [token])[0] for token in row] for text, row in zip(prompts(2), ([8, 9], [20]), strict=True)
    ]
    assert [row.tolist() for row in found] == [pytest.approx(row, abs=1e-9) for row in expected]


def test_texts_beyond_the_context_get_no_score(caplog: pytest.LogCaptureFixture) -> None:
    architecture, texts = Architecture.of(tiny_model("gpt2")), prompts(3)
    prefill = Prefill.read(architecture, texts, 0)
    how = {"temperature": 1.0, "pad_id": 0}
    whole, _ = mean_logprobs(architecture, prefill, TEXTS, tokenise, **how)
    assert not caplog.records
    max_length = len(texts[0]) + 3
    for prompt, row, found, right in zip(
        texts,
        TEXTS,
        mean_logprobs(architecture, prefill, TEXTS, tokenise, max_length=max_length, **how)[0],
        whole,
        strict=True,
    ):
        fits = np.array([len(prompt) + len(tokenise(one)) <= max_length for one in row])
        assert found == pytest.approx(np.where(fits, right, np.nan), abs=1e-9, nan_ok=True)
    assert "do not fit into the context" in caplog.text


def test_nothing_to_score() -> None:
    architecture = Architecture.of(tiny_model("llama"))
    prefill = Prefill.read(architecture, prompts(1), 0)
    assert rescore(architecture, prefill, [], [], pad_id=0) == []
    assert [len(one) for one in rescore(architecture, prefill, [0, 0], [[], [5]], pad_id=0)] == [0, 1]
