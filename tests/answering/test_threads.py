"""Threads that share a model get the answers and scores of a thread that has it alone, and leave others alone."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.similarity.models import save_classifier
from tests.support import read_questions
from uq_harness import ScoredAnswer, UncertaintyModel
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.similarity.build import build_nli

ASKED = [row["question"] for row in read_questions(QUESTIONS)[:100]]
QUARTERS = [ASKED[start::4] for start in range(4)]
EVERYTHING = {"methods": "all", "nli_model": "lexical", "similarity_model": "lexical", "max_new_tokens": 12}


@pytest.fixture(scope="module")
def demo() -> tuple:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="module")
def expected(demo: tuple) -> list[list[ScoredAnswer]]:
    model = UncertaintyModel(*demo, batch_size=5, **EVERYTHING)
    return [model.answer(quarter) for quarter in QUARTERS]


def in_four_threads(models: list[UncertaintyModel]) -> list[list[ScoredAnswer]]:
    """Each quarter of the questions in a thread of its own; the models take turns."""
    with threads(4) as pool:
        return list(pool.map(lambda number: models[number % len(models)].answer(QUARTERS[number]), range(4)))


def threads(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, initializer=partial(torch.set_num_threads, 1))


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Repeats some work in a thread of its own, which fails the test where the work does."""
    over = Event()

    def repeat() -> None:
        work()
        while not over.is_set():
            work()

    with threads(1) as pool:
        done = pool.submit(repeat)
        try:
            yield
        finally:
            over.set()
        done.result()


def assert_same(found: list[list[ScoredAnswer]], expected: list[list[ScoredAnswer]]) -> None:
    for ours, alone in zip(found, expected, strict=True):
        assert [answer.token_ids for answer in ours] == [answer.token_ids for answer in alone]
        for one, other in zip(ours, alone, strict=True):
            assert one.uncertainty == pytest.approx(other.uncertainty, rel=1e-5, abs=1e-12, nan_ok=True)


def test_two_models_over_one_share_it(demo: tuple, expected: list[list[ScoredAnswer]]) -> None:
    models = [UncertaintyModel(*demo, batch_size=5, **EVERYTHING) for _ in range(2)]
    assert_same(in_four_threads(models), expected)


def test_eight_threads_over_one_model_score_as_one_after_another(demo: tuple) -> None:
    model = UncertaintyModel(*demo, methods="g_nll+semgrad", batch_size=4, max_new_tokens=12)
    parts = [ASKED[start::8] for start in range(8)]
    one_after_another = [model.answer(part) for part in parts]
    with threads(8) as pool:
        for _ in range(3):
            assert_same(list(pool.map(model.answer, parts)), one_after_another)


def test_generate_in_another_thread_breaks_nothing_and_is_not_broken(
    demo: tuple, expected: list[list[ScoredAnswer]]
) -> None:
    model, tokenizer = demo
    prompts = [tokenizer(f"{asked} It is", return_tensors="pt") for asked in ASKED[:3]]

    def generate() -> list[list[int]]:
        return [model.generate(**prompt, max_new_tokens=8, do_sample=False).tolist() for prompt in prompts]

    right = generate()

    def check() -> None:
        assert generate() == right

    with beside(check):
        found = in_four_threads([UncertaintyModel(*demo, batch_size=5, **EVERYTHING)])
    assert_same(found, expected)


def test_gradients_of_the_weights_in_another_thread_are_whole(demo: tuple) -> None:
    model, tokenizer = demo
    ids = tokenizer(ASKED[0], return_tensors="pt")["input_ids"]

    def weights_gradients() -> list[torch.Tensor]:
        return list(torch.autograd.grad(model(ids, labels=ids).loss, list(model.parameters())))

    right = weights_gradients()

    def check() -> None:
        for one, other in zip(weights_gradients(), right, strict=True):
            torch.testing.assert_close(one, other)

    scored = UncertaintyModel(*demo, methods="default", batch_size=5, max_new_tokens=12)
    with beside(check):
        scored.answer(ASKED[:40])


def test_a_tokenizer_that_pads_in_another_thread_changes_no_prompt(demo: tuple) -> None:
    model, tokenizer = demo
    scored = UncertaintyModel(model, tokenizer, methods="g_nll", batch_size=5, max_new_tokens=2)
    right = scored.answer(ASKED[:20])

    def check() -> None:
        tokenizer(ASKED, padding=True, truncation=True, max_length=16)

    with beside(check):
        found = [scored.answer(ASKED[:20]) for _ in range(3)]
    assert_same(found, [right] * 3)


def test_the_nli_model_is_shared_by_all(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path, max_position_embeddings=12)
    nli = [build_nli(folder, device="cpu", cache_size=0) for _ in range(4)]
    pairs = [[("a b c d e f g h" * (1 + i % 3), "a c" * (1 + j % 5)) for j in range(20)] for i in range(4)]
    right = [one.probabilities(some) for one, some in zip(nli, pairs, strict=True)]
    with threads(4) as pool:
        for _ in range(5):
            found = list(pool.map(lambda one, some: one.probabilities(some), nli, pairs))
            np.testing.assert_allclose(found, right, rtol=1e-5)
