"""Waiting callers share batches; each gets the answers and errors of its own questions, whatever befalls the others."""

import asyncio
import gc
import logging
import queue
import re
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.support import read_questions
from uq_harness import ScoredAnswer, UncertaintyModel
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.errors import UQHarnessError

ASKED = [row["question"] for row in read_questions(QUESTIONS)[:24]]
SETTINGS = {"methods": "g_nll+semgrad+lexical_similarity", "entropy_samples": 2, "max_new_tokens": 12, "batch_size": 8}


def new_model(**settings: object) -> UncertaintyModel:
    loaded = AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)
    return UncertaintyModel(*loaded, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def model() -> UncertaintyModel:
    return new_model()


@pytest.fixture(scope="module")
def alone(model: UncertaintyModel) -> list[ScoredAnswer]:
    """Each question in a call of its own."""
    return [model.answer([asked])[0] for asked in ASKED]


def assert_same(found: list[ScoredAnswer], alone: list[ScoredAnswer]) -> None:
    assert [answer.question for answer in found] == [answer.question for answer in alone]
    for ours, other in zip(found, alone, strict=True):
        assert ours.token_ids == other.token_ids
        assert ours.uncertainty == pytest.approx(other.uncertainty, rel=1e-4, abs=1e-9, nan_ok=True)


def batches(caplog: pytest.LogCaptureFixture) -> list[int]:
    """Sizes of the batches that were answered."""
    found = (re.fullmatch(r"answering a batch of (\d+)", record.getMessage()) for record in caplog.records)
    return [int(match[1]) for match in found if match]


@pytest.fixture
def caplog(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "uq_harness")
    return caplog


def test_callers_share_batches_and_get_what_they_would_get_alone(
    model: UncertaintyModel, alone: list[ScoredAnswer], caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> list[list[ScoredAnswer]]:
        return await asyncio.gather(*(model.aanswer([asked]) for asked in ASKED))

    assert_same([answers[0] for answers in asyncio.run(ask())], alone)
    assert sum(batches(caplog)) == len(ASKED)
    assert len(batches(caplog)) < len(ASKED) / 2
    assert max(batches(caplog)) <= 8


def test_several_questions_of_a_caller_come_back_in_their_order(
    model: UncertaintyModel, alone: list[ScoredAnswer]
) -> None:
    async def ask() -> tuple[list[ScoredAnswer], list[ScoredAnswer], list[ScoredAnswer]]:
        async def streamed() -> list[ScoredAnswer]:
            return [answer async for answer in model.astream(iter(ASKED))]

        return await asyncio.gather(model.aanswer(tuple(ASKED)), streamed(), model.aanswer([]))

    answered, streamed, nothing = asyncio.run(ask())
    assert_same(answered, alone)
    assert_same(streamed, alone)
    assert nothing == []


def test_a_stream_without_end_takes_two_batches_ahead(model: UncertaintyModel) -> None:
    taken = []

    def without_end() -> Iterator[str]:
        for asked in cycle(ASKED):
            taken.append(asked)
            yield asked

    async def ask() -> list[str]:
        found = []
        async for answer in model.astream(without_end()):
            found.append(answer.question)
            if len(found) == 30:
                break
        return found

    assert asyncio.run(ask()) == (ASKED * 2)[:30]
    assert len(taken) <= 30 + 2 * 8


@pytest.mark.parametrize("batch_size", [1, 4])
def test_an_answer_does_not_wait_for_the_next_question(batch_size: int) -> None:
    """The source waits for the answer to each question before it gives the next."""
    model = new_model(batch_size=batch_size)
    answered = threading.Semaphore(0)
    came = []

    def after_each_answer() -> Iterator[str]:
        for asked in ASKED[:6]:
            yield asked
            came.append(answered.acquire(timeout=30))

    async def ask() -> list[str]:
        found = []
        async for answer in model.astream(after_each_answer()):
            found.append(answer.question)
            answered.release()
        return found

    assert asyncio.run(ask()) == ASKED[:6]
    assert came == [True] * 6


def test_questions_that_come_quickly_fill_batches(caplog: pytest.LogCaptureFixture) -> None:
    model = new_model(batch_size=16)
    asked = [*ASKED, *ASKED[:16]]

    async def ask() -> list[str]:
        return [answer.question async for answer in model.astream(asked)]

    assert asyncio.run(ask()) == asked
    assert sum(batches(caplog)) == 40
    assert len(batches(caplog)) <= 8  # three, unless the machine is so busy that the first are not full


def test_a_stream_that_was_left_keeps_no_model_while_its_source_waits() -> None:
    model = new_model()
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    waiting.put(ASKED[0])

    async def ask(model: UncertaintyModel) -> str:
        stream = model.astream(iter(waiting.get, None))
        answer = await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        return answer.question

    try:
        assert asyncio.run(ask(model)) == ASKED[0]
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None
    finally:
        waiting.put(None)


def test_answers_before_a_wrong_question_are_given() -> None:
    model = new_model(batch_size=2)
    asked = [*ASKED[:3], 5]
    found, streamed = [], []

    async def ask() -> None:
        async for answer in model.astream(asked):
            found.append(answer.question)

    with pytest.raises(UQHarnessError, match="question 4"):
        asyncio.run(ask())
    with pytest.raises(UQHarnessError, match="question 4"):
        streamed.extend(answer.question for answer in model.stream(asked))
    assert found == ASKED[:3]
    assert streamed == ASKED[:2]


def test_sources_that_wait_leave_other_callers_the_event_loops_threads(
    model: UncertaintyModel, alone: list[ScoredAnswer]
) -> None:
    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    begun = []

    def from_queue() -> Iterator[str]:
        begun.append(True)
        yield from iter(waiting.get, None)

    async def streamed() -> list[ScoredAnswer]:
        return [answer async for answer in model.astream(from_queue())]

    async def ask() -> list[ScoredAnswer]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        streams = [asyncio.create_task(streamed()) for _ in range(2)]
        try:
            while begun != [True, True]:
                await asyncio.sleep(0.01)
            return await asyncio.wait_for(model.aanswer(ASKED[:1]), 30)
        finally:
            for _ in streams:
                waiting.put(None)
            assert await asyncio.gather(*streams) == [[], []]

    assert_same(asyncio.run(ask()), alone[:1])


def test_a_question_that_is_none_is_its_callers_error_alone(model: UncertaintyModel, alone: list[ScoredAnswer]) -> None:
    async def ask() -> list[object]:
        wrong = [[" "], [ASKED[0], ""], "Who?"]
        return await asyncio.gather(
            *(model.aanswer([asked]) for asked in ASKED[:4]), *map(model.aanswer, wrong), return_exceptions=True
        )

    *right, blank, second, text = asyncio.run(ask())
    assert_same([answers[0] for answers in right], alone[:4])  # type: ignore[index]
    assert isinstance(blank, UQHarnessError)
    assert "question 1 is blank" in str(blank)
    assert "question 2 is blank" in str(second)
    assert "put a single one into" in str(text)


def test_what_breaks_a_batch_is_raised_to_the_caller_who_asked_it(
    alone: list[ScoredAnswer], caplog: pytest.LogCaptureFixture
) -> None:
    model = new_model()
    broken = ASKED[2]
    fit = model._encoder.fit

    def spoilt(prompt, limit):
        """A prompt that the model cannot read, and that no check finds."""
        found = fit(prompt, limit)
        return found if found.question != broken else replace(found, token_ids=[10**9] * len(found.token_ids))

    model._encoder.fit = spoilt  # type: ignore[method-assign]

    async def ask() -> list[object]:
        return await asyncio.gather(*(model.aanswer([asked]) for asked in ASKED[:6]), return_exceptions=True)

    found = asyncio.run(ask())
    assert isinstance(found[2], IndexError)
    assert_same([found[row][0] for row in (0, 1, 3, 4, 5)], [alone[row] for row in (0, 1, 3, 4, 5)])  # type: ignore[index]
    assert "its questions are answered one by one" in caplog.text


class Panic(BaseException):
    """No `Exception`, as what a tokenizer in Rust raises when it panics."""


@pytest.mark.parametrize("error", [Panic(), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
def test_what_is_no_exception_is_its_callers_error_and_ends_no_event_loop(
    error: BaseException, alone: list[ScoredAnswer]
) -> None:
    model = new_model()
    answer = model._answer._answerer.answer

    def fail_then_answer(*arguments):
        model._answer._answerer.answer = answer  # type: ignore[method-assign]
        raise error

    def from_source() -> Iterator[str]:
        yield ASKED[1]
        raise error

    async def ask() -> list[ScoredAnswer]:
        model._answer._answerer.answer = fail_then_answer  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match=type(error).__name__) as raised:
            await asyncio.wait_for(asyncio.create_task(model.aanswer(ASKED[:1])), 30)
        assert raised.value.__cause__ is error
        found = await asyncio.wait_for(model.aanswer(ASKED[:1]), 30)
        stream = model.astream(from_source())
        found.append(await anext(stream))
        with pytest.raises(RuntimeError, match=type(error).__name__):
            await anext(stream)
        return found

    assert_same(asyncio.run(ask()), alone[:2])


def test_slow_questions_leave_the_event_loop_free(model: UncertaintyModel, alone: list[ScoredAnswer]) -> None:
    went_on = threading.Event()
    seen = []

    def slow() -> Iterator[str]:
        seen.append(went_on.wait(30))
        yield ASKED[0]

    async def ask() -> list[ScoredAnswer]:
        asked = asyncio.create_task(model.aanswer(slow()))
        await asyncio.sleep(0)  # it begins
        went_on.set()
        return await asked

    assert_same(asyncio.run(ask()), alone[:1])
    assert seen == [True]


def test_a_cancelled_caller_leaves_the_queue_and_the_others_their_answers(
    alone: list[ScoredAnswer], caplog: pytest.LogCaptureFixture
) -> None:
    model = new_model()
    held, going = threading.Event(), threading.Event()
    answer = model._answer._answerer.answer

    def wait_then_answer(*arguments):
        held.set()
        going.wait()
        return answer(*arguments)

    model._answer._answerer.answer = wait_then_answer  # type: ignore[method-assign]

    async def ask() -> list[object]:
        first = asyncio.create_task(model.aanswer(ASKED[:1]))
        await asyncio.to_thread(held.wait)  # the first batch is on its way
        waiting = [asyncio.create_task(model.aanswer([asked])) for asked in ASKED[1:5]]
        while len(model._queue._waiting) < 4:
            await asyncio.sleep(0)
        waiting[1].cancel()
        first.cancel()
        await asyncio.wait([waiting[1], first])
        going.set()
        return await asyncio.gather(first, *waiting, return_exceptions=True)

    first, *others = asyncio.run(ask())
    assert isinstance(first, asyncio.CancelledError)
    assert isinstance(others[1], asyncio.CancelledError)
    assert_same([others[row][0] for row in (0, 2, 3)], [alone[row] for row in (1, 3, 4)])  # type: ignore[index]
    assert batches(caplog) == [1, 3]


def test_threads_and_coroutines_share_a_model(model: UncertaintyModel, alone: list[ScoredAnswer]) -> None:
    async def ask() -> tuple[list[ScoredAnswer], ...]:
        return await asyncio.gather(
            *(asyncio.to_thread(model.answer, ASKED[start::3]) for start in range(3)), model.aanswer(ASKED)
        )

    *threads, queued = asyncio.run(ask())
    assert_same(queued, alone)
    for start, found in enumerate(threads):
        assert_same(found, alone[start::3])


def test_two_event_loops_may_use_it_one_after_the_other(model: UncertaintyModel, alone: list[ScoredAnswer]) -> None:
    for _ in range(2):
        assert_same(asyncio.run(model.aanswer(ASKED[:3])), alone[:3])


def test_the_model_goes_when_nobody_has_it() -> None:
    before = set(threading.enumerate())
    model = new_model()
    asyncio.run(model.aanswer(ASKED[:1]))
    (worker,) = (thread for thread in set(threading.enumerate()) - before if thread.name.startswith("uq-harness"))
    gone = weakref.ref(model)
    requests = weakref.ref(model._queue)
    del model
    gc.collect()
    assert gone() is None
    assert requests() is None
    worker.join(timeout=60)
    assert not worker.is_alive()


def test_a_program_that_gives_up_in_the_middle_ends() -> None:
    program = f"""
import asyncio, torch
torch.set_num_threads(1)
from uq_harness import UncertaintyModel
model = UncertaintyModel.from_pretrained("demo", methods="g_nll", device="cpu", batch_size=2)
async def main():
    task = asyncio.create_task(model.aanswer({ASKED!r}))
    await model.aanswer({ASKED[:1]!r})
    task.cancel()
asyncio.run(main())
print("over")
"""
    ended = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stdout) == (0, "over\n"), ended.stderr
    assert "never retrieved" not in ended.stderr


@pytest.mark.parametrize("source", ["iter(queue.SimpleQueue().get, None)", "from_queue()", "itertools.cycle(ASKED)"])
def test_a_program_ends_whose_streams_were_left(source: str) -> None:
    """While their sources wait, or give questions without end."""
    program = f"""
import asyncio, itertools, queue, torch
torch.set_num_threads(1)
from uq_harness import UncertaintyModel
ASKED = {ASKED[:3]!r}
model = UncertaintyModel.from_pretrained("demo", methods="g_nll", device="cpu", batch_size=2)
def from_queue():
    waiting = queue.SimpleQueue()
    waiting.put(ASKED[0])
    yield from iter(waiting.get, None)
async def left():
    async for answer in model.astream({source}):
        break
async def cancelled():
    async for answer in model.astream({source}):
        pass
async def main():
    task = asyncio.create_task(cancelled())
    if "Simple" not in {source!r}:
        await left()
    await model.aanswer(ASKED)
    task.cancel()
asyncio.run(main())
print("over")
"""
    ended = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (0, "over\n"), ended.stderr
    assert "never retrieved" not in ended.stderr


def test_gradients_are_those_of_the_thread_that_asks() -> None:
    with torch.inference_mode():
        found = asyncio.run(new_model().aanswer(ASKED[:1]))
    assert found[0].uncertainty["semgrad"] > 0
