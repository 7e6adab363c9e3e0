"""What an engine's likeliest tokens give: the numbers of the transformers engine, or a reason why not."""

import numpy as np
import pytest

from tests.backends.served.demo import CONTEXT, demo, engine, gathered, prompts, served, stop
from uq_harness.backends.served.abilities import alternatives
from uq_harness.backends.served.answers import Written
from uq_harness.backends.served.requests import Choice
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.evidence import LikeliestTokens
from uq_harness.evidence.backend import gather_all
from uq_harness.methods import build_methods, scores

METHODS = build_methods("probability_margin+top_k_entropy+boosted_probability", {})
(CCP,) = build_methods("claim_conditioned_probability", {})
LISTED = LikeliestTokens(10)
NEEDS = [need for method in METHODS for need in method.needs()]


def test_scores_are_those_of_the_transformers_engine() -> None:
    model, tokenizer = demo()
    direct = TransformersBackend(model, tokenizer, max_length=CONTEXT, pad_id=tokenizer.pad_token_id)
    direct.prepare(NEEDS)
    asked = prompts(12)
    expected = [scores(METHODS, one) for one in gather_all(direct, asked, stop())]
    found = [scores(METHODS, one) for one in gathered(served(engine(), NEEDS), asked, stop())]
    for ours, theirs in zip(found, expected, strict=True):
        known = {name: value for name, value in ours.items() if not np.isnan(value)}
        assert {"probability_margin", "top_k_entropy"} <= set(known)
        assert known == pytest.approx({name: theirs[name] for name in known}, abs=1e-4)


def test_alternatives_are_those_of_the_transformers_engine() -> None:
    model, tokenizer = demo()
    direct = TransformersBackend(model, tokenizer, max_length=CONTEXT, pad_id=tokenizer.pad_token_id)
    direct.prepare([LISTED])
    asked = prompts(12)
    expected = [one[LISTED] for one in gather_all(direct, asked, stop())]
    found = [one[LISTED] for one in gathered(served(engine(), [LISTED]), asked, stop())]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.token_ids.shape == theirs.token_ids.shape
        assert ours.logprobs == pytest.approx(theirs.logprobs, abs=1e-4)
        clear = np.abs(np.diff(theirs.logprobs, axis=1)).min(axis=1) > 1e-3  # elsewhere two may change places
        assert (ours.token_ids[clear] == theirs.token_ids[clear]).all()


def test_an_engine_that_tells_too_few_alternatives_has_none() -> None:
    for need in CCP.needs():
        told = served(engine(most_alternatives=9), []).missing(need)
        assert told is not None
        assert "the 10 likeliest tokens at each step, and the engine tells 9 at most" in told
        assert served(engine(most_alternatives=10), []).missing(need) is None
    choice = Choice((5, 2), np.array([-0.1, -0.2]), ({5: -0.1, 6: -3.0, 7: -4.0}, {2: -0.2, 3: -2.0}))
    written = Written.read(choice, stop())
    assert written.alternatives(3) is None
    two = written.alternatives(2)
    assert two is not None
    assert two.token_ids.tolist() == [[5, 6], [2, 3]]


def test_as_many_alternatives_are_asked_for_as_are_read() -> None:
    (margin,) = build_methods("probability_margin", {})
    assert alternatives(margin.needs(), 1) == 2
    assert alternatives(NEEDS, 1) == 16
    assert alternatives(CCP.needs(), 1) == 10
    assert alternatives(build_methods("self_certainty", {})[0].needs(), 1) == 0


@pytest.mark.parametrize("name", ["self_certainty", "renyi_divergence", "fisher_rao"])
def test_sums_over_whole_distributions_are_missing(name: str) -> None:
    (method,) = build_methods(name, {})
    assert "sums over whole distributions" in served(engine(), []).missing(*method.needs())
