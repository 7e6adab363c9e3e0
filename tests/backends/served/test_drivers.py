"""The two drivers do the same pieces of work, whatever the order of the replies, and end cleanly."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uq_harness.backends.served.drivers import in_rounds, in_threads
from uq_harness.backends.served.engine import Steps
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest, Usage
from uq_harness.backends.served.steps import StepRefusedError, together
from uq_harness.errors import UQHarnessError

REFUSED = 13


def request(number: int) -> TokenRequest:
    return TokenRequest((number,), 1)


def reply(asked: TokenRequest) -> TokenReply:
    """Twice the number asked about, at the cost of one request."""
    number = 2 * asked.prompt_ids[0]
    return TokenReply((Choice((number,), np.zeros(1)),), usage=Usage(requests=1, prompt_tokens=1))


def ask(asked: TokenRequest) -> TokenReply:
    if asked.prompt_ids == (REFUSED,):
        raise QuestionRefusedError("no thirteen")
    return reply(asked)


def generate(asked: list[TokenRequest]) -> list[TokenReply | QuestionRefusedError]:
    return [QuestionRefusedError("no thirteen") if one.prompt_ids == (REFUSED,) else reply(one) for one in asked]


def numbers(replies: list[TokenReply]) -> list[int]:
    return [one.choices[0].token_ids[0] for one in replies]


def adding(steps: list[list[int]]) -> Steps[int]:
    """Adds what comes back, step by step."""
    total = 0
    for step in steps:
        total += sum(numbers((yield [request(one) for one in step])))
    return total


def counting(steps: list[list[int]]) -> Steps[int]:
    """Adds what the requests cost."""
    usage = Usage()
    for step in steps:
        for one in (yield [request(number) for number in step]):
            usage += one.usage
    return usage.requests


DRIVERS = {
    "threads": partial(in_threads, ask, requests_at_a_time=3),
    "rounds": partial(in_rounds, generate),
}
every_driver = pytest.mark.parametrize("drive", DRIVERS.values(), ids=DRIVERS)
Drive = Callable[..., Iterator[tuple[int, Any]]]


@given(
    pieces=st.lists(st.lists(st.lists(st.integers(0, REFUSED - 1), max_size=4), max_size=4), max_size=12),
    at_a_time=st.integers(1, 5),
)
def test_every_piece_gets_its_own_replies(pieces: list[list[list[int]]], at_a_time: int) -> None:
    expected = {place: sum(2 * one for step in steps for one in step) for place, steps in enumerate(pieces)}
    for drive in DRIVERS.values():
        assert dict(drive(work=[partial(adding, steps) for steps in pieces], at_a_time=at_a_time)) == expected


@every_driver
def test_no_more_pieces_are_begun_than_there_is_room_for(drive: Drive) -> None:
    open_now, most = 0, 0

    def piece(number: int) -> Steps[int]:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        yield [request(number % 5)]
        yield [request(number % 3)]
        open_now -= 1
        return number

    begun = 0

    def work() -> Iterator[Callable[[], Steps[int]]]:
        nonlocal begun
        for number in range(50):
            begun += 1
            yield partial(piece, number)

    ended = 0
    for _ in drive(work=work(), at_a_time=4):
        ended += 1
        assert begun - ended <= 2 * 4  # as many are under way, and as many may have ended in the same round
    assert (ended, most) == (50, 4)


def test_equal_requests_of_a_round_are_asked_for_once_and_paid_once() -> None:
    """Three pieces ask the same, one of them twice in a step."""
    work = [partial(counting, [[1, 1], []]), partial(counting, [[1, 1]]), partial(counting, [[1], [2]])]
    assert dict(in_rounds(generate, work, 3)) == {0: 1, 1: 0, 2: 1}


def test_equal_requests_under_way_are_sent_once_and_paid_once() -> None:
    """The last of them asks the same again when no reply is under way any more."""
    held, sent = threading.Event(), []

    def hold(asked: TokenRequest) -> TokenReply:
        sent.append(asked)
        held.wait()
        return reply(asked)

    def release() -> Steps[int]:
        held.set()  # the pieces before this one have asked
        return (yield from counting([[2]]))

    work = [partial(counting, [[1, 1]]), partial(counting, [[1], [1]]), release]
    costs = dict(in_threads(hold, work, 3, 3))
    assert sum(costs.values()) == len(sent) == 3


@every_driver
def test_a_refusal_ends_its_piece_alone(drive: Drive) -> None:
    work = [partial(adding, [[1], [2, REFUSED]]), partial(adding, [[3], [4]])]
    found = dict(drive(work=work, at_a_time=2))
    assert found[1] == 14
    assert isinstance(found[0], QuestionRefusedError)
    assert str(found[0]) == "no thirteen"


@every_driver
def test_a_piece_may_go_on_after_a_refusal(drive: Drive) -> None:
    def careful() -> Steps[list[int]]:
        try:
            yield [request(REFUSED), request(5)]
        except StepRefusedError as error:
            kept = [one for one in error.outcomes if isinstance(one, TokenReply)]
        return numbers(kept) + numbers((yield [request(7)]))

    assert dict(drive(work=[careful], at_a_time=1)) == {0: [10, 14]}


@every_driver
def test_side_by_side_a_refusal_concerns_what_asked(drive: Drive) -> None:
    def both() -> Steps[list[int | QuestionRefusedError]]:
        return (yield from together([adding([[1], [2]]), adding([[3, REFUSED], [4]]), adding([])]))

    (first, second, third) = dict(drive(work=[both], at_a_time=1))[0]
    assert (first, third) == (6, 0)
    assert isinstance(second, QuestionRefusedError)


@given(st.lists(st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=4), max_size=5))
def test_side_by_side_takes_as_many_steps_as_the_longest(pieces: list[list[list[int]]]) -> None:
    rounds = []

    def recording(asked: list[TokenRequest]) -> list[TokenReply]:
        rounds.append(asked)
        return [reply(one) for one in asked]

    ((_, values),) = in_rounds(recording, [lambda: together([adding(one) for one in pieces])], 1)
    assert values == [sum(2 * one for step in piece for one in step) for piece in pieces]
    asking = max((len(piece) for piece in pieces), default=0)
    assert len(rounds) == sum(any(len(piece) > step and piece[step] for piece in pieces) for step in range(asking))


def test_an_engine_that_fails_ends_the_work_after_what_had_ended() -> None:
    sent: list[int] = []
    under_way, failed = threading.Event(), threading.Event()

    def dying(asked: TokenRequest) -> TokenReply:
        (number,) = asked.prompt_ids
        sent.append(number)
        if number == 2:
            under_way.wait()
            failed.set()
            raise UQHarnessError("the server is gone")
        if number == 3:
            under_way.set()
            failed.wait()
        return reply(asked)

    stops: list[bool] = []
    work = [partial(adding, [[number]]) for number in (1, 2, 3)] + [partial(adding, [[3], [4]])]
    found: list[tuple[int, Any]] = []
    with pytest.raises(UQHarnessError, match="the server is gone"):
        found.extend(in_threads(dying, work, 4, 3, stop=lambda: stops.append(True)))
    assert sorted(found) == [(0, 2), (2, 6)]  # the third one's reply was under way
    assert sorted(sent) == [1, 2, 3]
    assert stops


def test_in_rounds_a_failing_engine_keeps_what_had_ended() -> None:
    def dying(asked: list[TokenRequest]) -> list[TokenReply]:
        if any(one.prompt_ids == (9,) for one in asked):
            raise UQHarnessError("the engine is gone")
        return [reply(one) for one in asked]

    found: list[tuple[int, Any]] = []
    with pytest.raises(UQHarnessError, match="the engine is gone"):
        found.extend(in_rounds(dying, [partial(adding, [[1]]), partial(adding, [[1], [9]])], 2))
    assert found == [(0, 2)]


@every_driver
def test_left_early_nothing_further_is_begun_and_pieces_are_closed(drive: Drive) -> None:
    closed = []

    def piece(number: int) -> Steps[int]:
        try:
            yield [request(number)]
            if number:
                yield [request(10 * number)]
        finally:
            closed.append(number)
        return number

    driver = drive(work=[partial(piece, number) for number in range(6)], at_a_time=2)
    assert next(driver) == (0, 0)
    driver.close()  # type: ignore[attr-defined]
    before = sorted(closed)
    assert before in ([0, 1], [0, 1, 2])
    assert not [one for one in threading.enumerate() if one.name.startswith("uq-engine")]


def test_ctrl_c_while_waiting_sends_nothing_more() -> None:
    """The signal reaches the caller's thread, here through the piece that runs in it."""
    sent = []

    def interrupted() -> Steps[int]:
        yield [request(1)]
        raise KeyboardInterrupt

    def noting(asked: TokenRequest) -> TokenReply:
        sent.append(asked.prompt_ids[0])
        return reply(asked)

    with pytest.raises(KeyboardInterrupt):
        list(in_threads(noting, [interrupted, *(partial(adding, [[1], [2]]) for _ in range(3))], 2, 1))
    assert 2 not in sent
    assert not [one for one in threading.enumerate() if one.name.startswith("uq-engine")]
