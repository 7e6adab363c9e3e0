"""Methods over vLLM, behind HTTP and in this process: their numbers are torch's, whatever shares the batch."""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.real_server.asking import MOST_TOKENS, answer, methods, prompts, questions, served
from tests.real_server.server import requires_vllm
from tests.real_server.torch_reading import TorchReading
from uq_harness.answering.answerer import Answerer
from uq_harness.backends.served.engine import Engine
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.evidence import Evidence, Samples
from uq_harness.evidence.prompt import Prompt
from uq_harness.methods import build_methods
from uq_harness.models import UQHFLM
from uq_harness.similarity.build import build_nli, build_similarity

pytestmark = requires_vllm
COUNT = 6
CLOSE = 1e-4


@dataclass(frozen=True)
class Told:
    """What an engine tells about all questions at once."""

    engine: Engine
    evidence: list[Evidence]
    answerer: Answerer


@pytest.fixture(scope="module")
def asked(in_torch: UQHFLM) -> list[Prompt]:
    return prompts(in_torch, questions(COUNT))


@pytest.fixture(scope="module", params=["local", "http"])
def told(request: pytest.FixtureRequest, in_torch: UQHFLM, asked: list[Prompt]) -> Told:
    engine = request.getfixturevalue(request.param)
    return Told(engine, *answer(engine, in_torch, asked, COUNT))


def test_every_method_scores_as_torch_does(told: Told, in_torch: UQHFLM, asked: list[Prompt]) -> None:
    """The same texts, scored from the engine's log-probabilities and from torch's in float64."""
    reading = TorchReading(told.engine, in_torch.model)
    read, _ = answer(reading, in_torch, asked, COUNT)
    assert len(methods()) == 18
    for one, other in zip(told.evidence, read, strict=True):
        assert one.answer.token_ids == other.answer.token_ids
        scores = told.answerer.scores(one)
        assert scores == pytest.approx(told.answerer.scores(other), abs=CLOSE, nan_ok=True)
        # Among the told alternatives there may be no last one of the dominant tokens; then it has no score.
        assert np.isfinite([scores[name] for name in scores.keys() - {"boosted_probability"}]).all()
    assert any(np.isfinite(told.answerer.scores(one)["boosted_probability"]) for one in told.evidence)
    assert 0 < reading.worst < CLOSE


def test_greedy_answers_are_those_of_torch(told: Told, in_torch: UQHFLM, asked: list[Prompt]) -> None:
    own = dict(in_torch._answerer.answer(asked, in_torch._stop([], MOST_TOKENS), COUNT))
    for place, one in enumerate(told.evidence):
        assert one.answer.token_ids == own[place].answer.token_ids
        assert one.answer.logprobs == pytest.approx(own[place].answer.logprobs, abs=CLOSE)
        assert one.answer.complete == own[place].answer.complete


def test_replies_about_the_answers_are_those_of_torch(told: Told, in_torch: UQHFLM, asked: list[Prompt]) -> None:
    (method,) = build_methods("verbalized_confidence", {})
    stop = in_torch._stop([], MOST_TOKENS)
    services = build_nli("lexical"), build_similarity("lexical")
    own = dict(Answerer(in_torch.backend_of(TransformersBackend), services, [method]).answer(asked, stop, COUNT))
    found = dict(Answerer(served(told.engine, in_torch), services, [method]).answer(asked, stop, COUNT))
    (need,) = method.needs()
    assert [found[row][need] for row in range(COUNT)] == [own[row][need] for row in range(COUNT)]
    assert len({found[row][need] for row in range(COUNT)}) > 1


def test_samples_are_the_same_alone_and_in_a_crowd(told: Told, in_torch: UQHFLM, asked: list[Prompt]) -> None:
    (alone,), _ = answer(told.engine, in_torch, asked[2:3], 1)
    assert samples(alone) == samples(told.evidence[2])
    assert samples(alone) != samples(told.evidence[3])
    assert told.answerer.scores(alone) == pytest.approx(told.answerer.scores(told.evidence[2]), abs=CLOSE)


def test_a_server_draws_what_is_drawn_in_process(
    http: Engine, local: Engine, in_torch: UQHFLM, asked: list[Prompt]
) -> None:
    (one,), _ = answer(http, in_torch, asked[:1], 1)
    (other,), _ = answer(local, in_torch, asked[:1], 1)
    assert samples(one) == samples(other)


def samples(evidence: Evidence) -> dict[Samples, tuple[tuple[int, ...], ...]]:
    """The tokens of all sampled answers."""
    return {
        need: tuple(sample.token_ids for sample in value)
        for need, value in evidence.values.items()
        if isinstance(need, Samples)
    }
