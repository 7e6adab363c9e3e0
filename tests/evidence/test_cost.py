"""A batch's seconds are divided among its examples by their parts of the work, and among needs; none is lost."""

import subprocess
import sys
import time
from dataclasses import dataclass
from functools import partial

import pytest

from uq_harness.evidence import (
    AnswerEntailment,
    ContinuationLogProb,
    PairwiseEntailment,
    SampleLogProbs,
    Samples,
    UnconditionalLogProbs,
)
from uq_harness.evidence.cost import Stopwatch, alone, beside, by_need, name_of, parts_by_readers
from uq_harness.methods import all_methods

TEN, FIVE = Samples(10, 1.0), Samples(5, 1.0)


def test_parts_of_the_work_and_equal_parts_without_any() -> None:
    watch = Stopwatch(3)
    start = time.perf_counter()
    with watch.stage("nli") as stage:
        stage.divide([1, 0, 3])
    with watch.stage("decode"):
        pass
    with watch.stage("scoring") as stage:
        stage.divide([0, 0, 0])
    passed = time.perf_counter() - start
    first, second, third = watch.shares
    assert third["nli_seconds"] == pytest.approx(3 * first["nli_seconds"])
    assert second["nli_seconds"] == 0
    assert first["decode_seconds"] == second["decode_seconds"] == third["decode_seconds"] > 0
    assert first["scoring_seconds"] == third["scoring_seconds"] > 0
    assert 0 < sum(sum(share.values()) for share in watch.shares) <= passed


def test_a_stage_may_have_several_parts() -> None:
    watch = Stopwatch(2)
    with watch.stage("scoring") as stage:
        stage.divide([1, 0])
    (one, other) = (dict(share) for share in watch.shares)
    with watch.stage("scoring") as stage:
        stage.divide([0, 1])
    assert watch.shares[0] == one
    assert watch.shares[1]["scoring_seconds"] > other["scoring_seconds"] == 0


def test_a_batch_without_examples() -> None:
    watch = Stopwatch(0)
    with watch.stage("nli") as stage:
        stage.divide([])
    assert watch.shares == []


def test_needs_that_are_worked_on_one_after_the_other_have_their_own_times() -> None:
    needs = [UnconditionalLogProbs(), PairwiseEntailment(TEN)]
    watch = Stopwatch(2)
    with watch.stage("scoring") as stage:
        for need in stage.each(needs):
            time.sleep(0.02 if need is needs[0] else 0.001)
        stage.divide([1, 3])
    for share, seconds in zip(watch.shares, watch.seconds, strict=True):
        assert sum(seconds.values()) == pytest.approx(share["scoring_seconds"])
        assert seconds[frozenset(needs[:1])] > seconds[frozenset(needs[1:])] > 0
    assert sum(watch.seconds[1].values()) == pytest.approx(3 * sum(watch.seconds[0].values()))


def test_what_is_shared_belongs_to_all_that_read_it() -> None:
    pairs, own = PairwiseEntailment(TEN), AnswerEntailment(TEN)
    parts = parts_by_readers({pairs: "abc", own: "bd"}, {"a": 1.0, "b": 2.0, "d": 4.0})
    assert parts == {frozenset([pairs]): 1.0, frozenset([pairs, own]): 2.0, frozenset([own]): 4.0}
    watch = Stopwatch(2)
    with watch.stage("nli") as stage:
        stage.among([parts, {}])
    first, second = watch.seconds
    whole = watch.shares[0]["nli_seconds"]
    assert second == {}
    assert alone(first, [pairs]) == pytest.approx(whole * 3 / 7)
    assert alone(first, [pairs, own]) == pytest.approx(whole)
    assert beside(first, [pairs], [own]) == pytest.approx(whole / 7)
    assert beside(first, [pairs], [pairs]) == 0
    assert by_need(first)[f"alone/{name_of(own)}"] == pytest.approx(whole * 6 / 7, rel=0.01)


def test_a_need_about_samples_costs_their_decoding_too() -> None:
    seconds = {frozenset([TEN]): 5.0, frozenset([TEN, FIVE]): 2.0, frozenset([PairwiseEntailment(TEN)]): 1.0}
    assert alone(seconds, [SampleLogProbs(FIVE)]) == 2
    assert alone(seconds, [PairwiseEntailment(TEN)]) == 8
    assert beside(seconds, [PairwiseEntailment(TEN)], [FIVE]) == 6
    assert beside(seconds, [FIVE], [TEN]) == 0


def test_names_of_needs_differ_and_are_the_same_in_every_process() -> None:
    needs = {need for method in all_methods().values() for need in method().needs()}
    names = {name_of(need) for need in needs}
    assert len(names) == len(needs)
    (p_true,) = (need for need in all_methods()["p_true"]().needs() if isinstance(need, ContinuationLogProb))
    code = (
        "from uq_harness.evidence.cost import name_of; from uq_harness.methods import all_methods; "
        "print(*map(name_of, all_methods()['p_true']().needs()))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert name_of(p_true) in there.split()


def test_needs_whose_prompts_are_made_by_one_function_with_other_arguments_have_their_own_names() -> None:
    @dataclass(frozen=True)
    class Words:
        text: str

        def put(self, question: str, answer: str) -> str:
            return f"{question}{self.text}{answer}"

    def put(question: str, answer: str, text: str = "") -> str:
        return f"{question}{text}{answer}"

    prompts = [put, partial(put, text=" a "), partial(put, text=" b "), Words("a").put, Words("b").put]
    names = [name_of(ContinuationLogProb("", prompt, " True")) for prompt in prompts]
    assert len(set(names)) == len(prompts)
    assert names[1] == name_of(ContinuationLogProb("", partial(put, text=" a "), " True"))
