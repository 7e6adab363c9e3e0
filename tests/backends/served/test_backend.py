"""What a question costs in requests, and what becomes of refusals, unknown values, stop strings and thoughts."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backends.served.demo import LIMIT, demo, engine, gathered, prompts, served, stop
from uq_harness.answering.answerer import record
from uq_harness.backends.served.answers import Written
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest
from uq_harness.backends.served.rescoring import tempered
from uq_harness.backends.served.sampling import SEEDS, first_seed
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import (
    AnswerLogProbs,
    AnswersGivenAnswers,
    ContinuationLogProb,
    DiverseBeams,
    Evidence,
    Need,
    RescoredLogProb,
    SampleLogProbs,
    Samples,
)
from uq_harness.evidence.prompt import Prompt
from uq_harness.methods import build_methods, scores
from uq_harness.methods.mutual_information import stating_prompt

VERDICT = ContinuationLogProb("Q: ", lambda question, answer: f"{question} A: {answer} Right?", " True")
WARM, HOT = Samples(4, 0.7), Samples(3, 1.0, top_p=0.9, top_k=40)
BEAMS = DiverseBeams(3, 1.0)
GIVEN = AnswersGivenAnswers(HOT, 0.25, stating_prompt)
RESCORED = RescoredLogProb(BEAMS, 0.1)
NEEDS: list[Need[Any]] = [AnswerLogProbs(), VERDICT, WARM, SampleLogProbs(HOT), GIVEN, RESCORED]


def forced(request: TokenRequest) -> bool:
    return request.forced > 0


def values(evidence: Evidence) -> dict[str, Any]:
    """The evidence without what it cost, in a form that can be compared."""
    return {repr(need): repr(value) for need, value in evidence.values.items()} | {"answer": repr(evidence.answer)}


def test_a_question_asks_for_no_more_than_it_must() -> None:
    """One greedy answer, which is also the first beam; one request a set; each distinct text once."""
    (prompt,) = prompts(1, every=40)
    own = engine()
    (found,) = gathered(served(own, NEEDS), [prompt], stop())
    assert len(own.sent) == len(set(own.sent)) == found.cost["requests"]
    writing = [one for one in own.sent if not forced(one)]
    greedy = [one for one in writing if not one.temperature]
    assert [(one.count, one.temperature) for one in writing if one.temperature] == [(4, 0.7), (3, 1.0)]
    assert sum(one.prompt_ids == tuple(prompt.token_ids) for one in greedy) == 1
    assert len(greedy) <= BEAMS.groups + 1
    answers = len(found[GIVEN].answers)
    texts = answers**2 if answers > 1 else 0
    beams = len({sample.text for sample in found[BEAMS] if sample.text})
    assert sum(map(forced, own.sent)) == found.cost["scored_texts"] == 1 + texts + beams
    assert found.cost["prompt_tokens"] == sum(len(one.prompt_ids) for one in own.sent)
    assert found.cost["request_seconds"] == 0
    assert 0 <= found.cost["rescoring_error"] < 1e-4


def test_the_greedy_answer_alone_is_one_request() -> None:
    own = engine()
    (found,) = gathered(served(own, [AnswerLogProbs()]), prompts(1), stop())
    (sent,) = own.sent
    assert (sent.top, sent.count, sent.temperature, sent.max_tokens) == (0, 1, 0.0, LIMIT)
    assert found.cost["completion_tokens"] == found.answer.n_tokens
    assert found.answer.entropies is None
    assert found.prompt_ids == sent.prompt_ids


def test_both_drivers_and_any_crowd_give_the_same_evidence() -> None:
    """Samples too: their seeds depend on the run's seed, the prompt and the sampler alone."""
    asked = prompts(3, every=31)
    together = gathered(served(engine(), NEEDS), asked, stop(), size=3)
    alone = gathered(served(engine(driver="threads"), NEEDS), asked[2:], stop(), size=1)
    threads = gathered(served(engine(driver="threads"), NEEDS), asked, stop(), size=2)
    assert [values(one) for one in threads] == [values(one) for one in together]
    assert values(alone[0]) == values(together[2])
    other = gathered(served(engine(), [WARM, HOT], seed=4), asked, stop())
    assert any(repr(one[HOT]) != repr(two[HOT]) for one, two in zip(other, together, strict=True))


def test_first_samples_do_not_depend_on_the_count() -> None:
    few, many = Samples(2, 1.0), Samples(5, 1.0)
    (found,) = gathered(served(engine(), [few, many]), prompts(1), stop())
    (alone,) = gathered(served(engine(), [few]), prompts(1), stop())
    assert [one.token_ids for one in found[few]] == [one.token_ids for one in found[many][:2]]
    assert [one.token_ids for one in alone[few]] == [one.token_ids for one in found[few]]


@given(st.integers(0, 2**63), st.lists(st.integers(0, 10**6), max_size=5), st.integers(1, 50))
def test_seeds_leave_room_for_their_set_and_do_not_lie_beside_each_other(
    seed: int, prompt: list[int], count: int
) -> None:
    first = first_seed(seed, prompt, Samples(count, 1.0))
    assert 0 <= first < SEEDS
    assert abs(first - first_seed(seed + 1, prompt, Samples(count, 1.0))) > 10**6


def test_a_refused_answer_leaves_a_question_undefined_and_the_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    asked = prompts(2, every=31)
    refused = tuple(asked[0].token_ids)
    own = engine(refuses=lambda request: request.prompt_ids == refused)
    lost, kept = gathered(served(own, NEEDS), asked, stop())
    methods = build_methods("g_nll", {})
    assert math.isnan(scores(methods, lost)["g_nll"])
    assert not any(lost.defines([need]) for need in NEEDS)
    assert (lost.answer.text, lost.answer.complete) == ("", None)
    assert "tokens is refused" in record(lost, {})["refused"]
    assert "refused" not in record(kept, {})
    assert kept.defines(NEEDS)
    assert "refused requests about 1 questions" in caplog.text


def test_refused_questions_wait_for_one_that_is_answered() -> None:
    asked = prompts(3, every=31)
    last = tuple(asked[2].token_ids)
    own = engine(refuses=lambda request: request.prompt_ids[: len(last)] != last)
    backend = served(own, [])
    order = [place for places, _ in backend.gather(asked, stop(), 1) for place in places]
    assert sorted(order) == [0, 1, 2]
    nobody = served(engine(refuses=lambda request: True), [])
    with pytest.raises(UQHarnessError, match="none of 3 questions was answered"):
        next(nobody.gather(asked, stop(), 1))
    (alone,) = gathered(nobody, asked[:1], stop())
    assert not alone.defines([AnswerLogProbs()])


def test_what_an_engine_writes_behind_an_end_token_does_not_count() -> None:
    _, tokenizer = demo()
    told = tuple(tokenizer("right", add_special_tokens=False)["input_ids"])
    ids = (*told, 2, *told)
    written = Written.read(Choice(ids, np.full(len(ids), -0.5), ended=False), stop())
    assert (written.text, written.token_ids, written.complete) == ("right", ids[: len(told) + 1], True)
    assert written.emitted_ids is None


@pytest.mark.parametrize(
    ("refuses", "gone"),
    [
        (lambda request: request.temperature == 0.7, {WARM}),
        (lambda request: request.temperature == 1.0, {SampleLogProbs(HOT), GIVEN}),
        (lambda request: forced(request) and request.forced_top > 0, {RESCORED}),
        (lambda request: forced(request) and not request.forced_top, {VERDICT}),
    ],
)
def test_a_refusal_concerns_the_need_that_asked(refuses: Callable[[TokenRequest], bool], gone: set[Need[Any]]) -> None:
    needs = [need for need in NEEDS if need is not GIVEN or GIVEN in gone]
    (found,) = gathered(served(engine(refuses=refuses), needs), prompts(1), stop())
    assert {need for need in needs if not found.defines([need])} == gone
    assert found.answer.text


def unknown(which: Callable[[TokenRequest], bool]) -> Callable[[TokenRequest, TokenReply], TokenReply]:
    """Makes the first log-probability of some replies unknown."""

    def change(request: TokenRequest, reply: TokenReply) -> TokenReply:
        if not which(request):
            return reply
        choices = []
        for one in reply.choices:
            logprobs = one.logprobs.copy()
            logprobs[0] = np.nan
            choices.append(replace(one, logprobs=logprobs))
        return replace(reply, choices=tuple(choices))

    return change


def test_an_unknown_value_makes_undefined_what_reads_it_and_nothing_else() -> None:
    (prompt,) = prompts(1)
    own = engine(change=unknown(lambda request: request.temperature == 1.0))
    (found,) = gathered(served(own, NEEDS), [prompt], stop())
    assert {need for need in NEEDS if not found.defines([need])} == {SampleLogProbs(HOT), GIVEN}
    assert found.defines([HOT])
    own = engine(change=unknown(lambda request: request.temperature == 0 and not forced(request)))
    (found,) = gathered(served(own, NEEDS), [prompt], stop())
    assert {need for need in NEEDS if not found.defines([need])} == {AnswerLogProbs()}


def test_an_engine_that_ignores_the_number_of_answers_is_noticed() -> None:
    own = engine(change=lambda request, reply: replace(reply, choices=reply.choices[:1]))
    with pytest.raises(UQHarnessError, match="1 answers where 4 were asked for"):
        gathered(served(own, [WARM]), prompts(1), stop())


def test_texts_come_from_the_tokens_up_to_the_stop_string() -> None:
    """Whether the engine ends there, or writes on since it does not know the stop string."""
    (prompt,) = prompts(1)
    (plain,) = gathered(served(engine(), [AnswerLogProbs()]), [prompt], stop())
    letter = plain.answer.text[-2]
    until = stop([letter])
    deaf = engine()
    deaf.tokenizer = None
    for own in (engine(), deaf):
        (found,) = gathered(served(own, [AnswerLogProbs()]), [prompt], until)
        assert found.answer.text == plain.answer.text.split(letter)[0]
        assert found.answer.complete
        assert len(found.answer.logprobs) == len(found.answer.token_ids)
        emitted = found.answer.emitted_ids or found.answer.token_ids
        assert emitted == plain.answer.token_ids[: len(emitted)]
        assert until.stops(list(emitted))
        assert not until.stops(list(emitted[:-1]))


def test_thinking_is_neither_answer_nor_scored_and_an_answer_may_be_empty() -> None:
    (prompt,) = prompts(1)
    (plain,) = gathered(served(engine(), [AnswerLogProbs()]), [prompt], stop())
    ids = plain.answer.token_ids
    (thought,) = gathered(served(engine(), [AnswerLogProbs()]), [prompt], stop(think_end=ids[0]))
    assert thought.answer.token_ids == ids[1:]
    assert thought.answer.emitted_ids == ids
    assert np.array_equal(thought.answer.logprobs, plain.answer.logprobs[1:])
    needs: list[Need[Any]] = [AnswerLogProbs(), VERDICT, RESCORED]
    (empty,) = gathered(served(engine(), needs), [prompt], stop([plain.answer.text[0]]))
    assert empty.answer.text == ""
    assert np.isfinite(empty[VERDICT])
    for sample, mean in zip(empty[BEAMS], empty[RESCORED], strict=True):
        assert np.isneginf(mean) == (not sample.text)


def test_an_answer_that_the_limit_cuts_is_not_complete() -> None:
    (found,) = gathered(served(engine(), [AnswerLogProbs(), WARM]), prompts(1), stop(limit=1))
    assert (found.answer.complete, found.answer.n_tokens) == (False, 1)
    assert {len(one.token_ids) for one in found[WARM]} == {1}


def test_nothing_is_sent_that_the_engine_would_cut() -> None:
    asked = prompts(1)
    length = len(asked[0].token_ids)
    own = engine()
    with pytest.raises(UQHarnessError, match=f"has {length} tokens, which leaves no room for {LIMIT}"):
        gathered(served(own, [AnswerLogProbs()], max_length=length), asked, stop())
    (p_true,) = build_methods("p_true", {})
    with pytest.raises(UQHarnessError, match=r"P\(True\) has \d+ tokens"):
        served(own, p_true.needs(), max_length=100)
    assert not own.sent
    room = len(demo()[1](VERDICT.prefix + VERDICT.prompt("x", "y"))["input_ids"])
    long = replace(asked[0], question="why " * 100, token_ids=asked[0].token_ids[-5:])
    (found,) = gathered(served(own, [VERDICT], max_length=room + LIMIT + 5), [long], stop())
    assert math.isnan(found[VERDICT])
    assert not any(map(forced, own.sent))


def test_what_had_ended_is_yielded_before_an_error() -> None:
    calls = 0

    def dying(request: TokenRequest, reply: TokenReply) -> TokenReply:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise UQHarnessError("the engine is gone")
        return reply

    backend = served(engine(change=dying), [AnswerLogProbs()])
    found: list[Any] = []
    with pytest.raises(UQHarnessError, match="the engine is gone"):
        found.extend(backend.gather(prompts(4), stop(), 1))
    assert [positions for positions, _ in found] == [[0], [1]]


@settings(max_examples=60)
@given(
    st.lists(st.floats(-20, 5), min_size=2, max_size=30),
    st.integers(1, 10),
    st.floats(0.05, 0.95),
    st.data(),
)
def test_the_unseen_part_of_a_normaliser_is_bounded(
    logits: Sequence[float], top: int, temperature: float, data: st.DataObject
) -> None:
    whole = np.array(logits) - np.logaddexp.reduce(logits)
    own = float(whole[data.draw(st.integers(0, len(logits) - 1))])
    told = np.sort(whole)[::-1][:top]
    value, error = tempered(own, told, top, temperature)
    exact = own / temperature - np.logaddexp.reduce(whole / temperature)
    assert exact - 1e-6 <= value <= exact + error + 1e-6
    behind, _ = tempered(own, [*told, own] if own < told[-1] else told, top, temperature)
    assert behind == value


def test_refusals_of_an_engine_that_does_not_say_which_request_are_about_the_whole_question() -> None:
    own = engine()

    def drive(work: Any, at_a_time: int) -> Any:
        for number, begin in enumerate(work):
            next(steps := begin())
            try:
                steps.throw(QuestionRefusedError("no"))
            except QuestionRefusedError as error:
                yield number, error

    own.drive = drive  # type: ignore[method-assign]
    asked: list[Prompt] = prompts(1)
    (found,) = gathered(served(own, NEEDS), asked, stop())
    assert not any(found.defines([need]) for need in NEEDS)
