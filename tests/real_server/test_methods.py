"""Methods over vLLM, behind HTTP and in this process: their numbers are torch's, whatever shares the batch."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.real_server.asking import answer, methods, prompts, questions
from tests.real_server.server import requires_vllm
from tests.real_server.torch_reading import TorchReading
from uq_harness.backends.served.engine import Engine
from uq_harness.evidence import Evidence, Samples
from uq_harness.evidence.prompt import Prompt
from uq_harness.models import UQHFLM

pytestmark = requires_vllm
COUNT = 6


@pytest.fixture(scope="module")
def asked(in_torch: UQHFLM) -> list[Prompt]:
    return prompts(in_torch, questions(COUNT))


def test_every_method_scores_as_torch_does(engine: Engine, in_torch: UQHFLM, asked: list[Prompt]) -> None:
    """The same texts, scored from the engine's log-probabilities and from torch's in float64."""
    reading = TorchReading(engine, in_torch.model)
    told, answerer = answer(engine, in_torch, asked, COUNT)
    read, _ = answer(reading, in_torch, asked, COUNT)
    assert len(methods()) == 12
    for one, other in zip(told, read, strict=True):
        assert one.answer.token_ids == other.answer.token_ids
        scores = answerer.scores(one)
        assert scores == pytest.approx(answerer.scores(other), abs=1e-4)
        assert np.isfinite(list(scores.values())).all()
    assert 0 < reading.worst < 1e-4


def test_greedy_answers_are_those_of_torch(engine: Engine, in_torch: UQHFLM, asked: list[Prompt]) -> None:
    told, _ = answer(engine, in_torch, asked, COUNT)
    own = {}
    for place, found in in_torch._answerer.answer(asked, in_torch._stop([], 24), COUNT):
        own[place] = found
    for place, one in enumerate(told):
        assert one.answer.token_ids == own[place].answer.token_ids
        assert one.answer.logprobs == pytest.approx(own[place].answer.logprobs, abs=1e-4)
        assert one.answer.complete == own[place].answer.complete


def samples(evidence: Evidence) -> dict[Samples, tuple[tuple[int, ...], ...]]:
    return {
        need: tuple(sample.token_ids for sample in value)
        for need, value in evidence.values.items()
        if isinstance(need, Samples)
    }


def test_samples_are_the_same_alone_and_in_a_crowd(engine: Engine, in_torch: UQHFLM, asked: list[Prompt]) -> None:
    crowd, answerer = answer(engine, in_torch, asked, COUNT)
    alone: Sequence[Evidence]
    alone, _ = answer(engine, in_torch, asked[2:3], 1)
    assert samples(alone[0]) == samples(crowd[2])
    assert samples(crowd[2]) != samples(crowd[3])
    assert answerer.scores(alone[0]) == pytest.approx(answerer.scores(crowd[2]), abs=1e-4)


def test_samples_of_both_ways_in_are_the_same(
    http: Engine, local: Engine, in_torch: UQHFLM, asked: list[Prompt]
) -> None:
    (one,), _ = answer(http, in_torch, asked[:1], 1)
    (other,), _ = answer(local, in_torch, asked[:1], 1)
    assert samples(one) == samples(other)
