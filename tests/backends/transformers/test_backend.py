"""What is tried out when a model is loaded: a cache that goes unused, a fast gradient pass that does not fit."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
from transformers import AddedToken, AutoModelForCausalLM, AutoTokenizer

from uq_harness.backends.transformers import backend, forward
from uq_harness.backends.transformers.assemble import undefined
from uq_harness.backends.transformers.backend import TransformersBackend, special_ids
from uq_harness.backends.transformers.reference import reference_gradients
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Answer, AnswerLogProbs, Need, Sample, Samples
from uq_harness.methods import build_methods
from uq_harness.models import UQHFLM

DEMO = {"pretrained": "demo", "device": "cpu", "dtype": "float32"}


def test_a_cache_that_goes_unused_is_noticed_before_the_first_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a new version of transformers that calls it by another name."""
    read = forward.states

    def forgetful(architecture, ids, mask, cache=None, use_cache=True, position_ids=None):
        if cache is None:
            return read(architecture, ids, mask, None, use_cache)
        return read(architecture, ids, mask[:, -ids.shape[1] :], None, use_cache)[0], cache

    monkeypatch.setattr(forward, "states", forgetful)
    with pytest.raises(UQHarnessError, match="decodes otherwise with its cache than without"):
        UQHFLM(**DEMO, methods="g_nll")


def test_a_fast_pass_that_does_not_fit_gives_way_to_the_slow_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fast = backend.gradients

    def wrong(*arguments):
        found = fast(*arguments)
        for one in found:
            for norms in one.states.values():
                norms.absolute[:] *= 1.5
        return found

    assert UQHFLM(**DEMO)._answerer._backend._gradients is fast
    monkeypatch.setattr(backend, "gradients", wrong)
    assert UQHFLM(**DEMO)._answerer._backend._gradients is reference_gradients
    assert "gradients take the exact slow path" in caplog.text


def test_special_tokens_are_those_that_a_text_does_not_show_also_without_a_name() -> None:
    """Gemma's end of a turn has none in its tokenizer's settings; SAR must not take it for a meaningful word."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.add_tokens([AddedToken("<end_of_turn>", special=True)], special_tokens=False)
    number = tokenizer.convert_tokens_to_ids("<end_of_turn>")
    assert number not in tokenizer.all_special_ids
    shown = {token for token in range(len(tokenizer)) if tokenizer.decode([token], skip_special_tokens=True)}
    assert number in special_ids(tokenizer)
    assert shown.isdisjoint(special_ids(tokenizer))
    assert special_ids(tokenizer) >= set(tokenizer.all_special_ids)


def test_a_sample_with_nan_takes_its_set_with_it_and_no_other() -> None:
    """Equal texts alone would look certain."""
    good, bad = (Sample("a", (1,), np.array([value]), complete=True) for value in (-1.0, math.nan))
    answer = Answer("a", (1,), np.array([-0.5]), np.array([1.0]), complete=True)
    needs = [Samples(2, 1.0), Samples(2, 0.7), AnswerLogProbs()]
    assert undefined(answer, {needs[0]: (good, bad), needs[1]: (good, good)}, needs) == {needs[0]}
    assert undefined(replace(answer, logprobs=np.array([math.nan])), {}, needs) == {AnswerLogProbs(), *needs}


def test_what_a_model_cannot_give_is_said_before_the_work() -> None:
    """Of an unknown need, and for each method by name."""

    @dataclass(frozen=True)
    class Weather(Need[float]):
        stage = "answer"

    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR)
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    found = TransformersBackend(model, tokenizer, max_length=256, pad_id=0)
    assert found.missing(Weather()) == "no evidence of the kind Weather in the transformers engine"
    assert all(found.missing(need) is None for method in build_methods("all", {}) for need in method.needs())
