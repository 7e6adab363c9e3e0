"""What is tried out when a model is loaded: a cache that goes unused, a fast gradient pass that does not fit."""

import pytest

from uq_harness.engine import forward, gather
from uq_harness.engine.reference import reference_gradients
from uq_harness.errors import UQHarnessError
from uq_harness.models import UQHFLM

DEMO = {"pretrained": "demo", "device": "cpu", "dtype": "float32"}


def test_a_cache_that_goes_unused_is_noticed_before_the_first_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a new version of transformers that calls it by another name."""
    read = forward.states

    def forgetful(anatomy, ids, mask, cache=None, use_cache=True, position_ids=None):
        if cache is None:
            return read(anatomy, ids, mask, None, use_cache)
        return read(anatomy, ids, mask[:, -ids.shape[1] :], None, use_cache)[0], cache

    monkeypatch.setattr(forward, "states", forgetful)
    with pytest.raises(UQHarnessError, match="decodes otherwise with its cache than without"):
        UQHFLM(**DEMO, methods="g_nll")


def test_a_fast_pass_that_does_not_fit_gives_way_to_the_slow_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fast = gather.gradients

    def wrong(*arguments):
        found = fast(*arguments)
        for one in found:
            for norms in one.states.values():
                norms.absolute[:] *= 1.5
        return found

    assert UQHFLM(**DEMO)._answerer._gatherer._gradients is fast
    monkeypatch.setattr(gather, "gradients", wrong)
    assert UQHFLM(**DEMO)._answerer._gatherer._gradients is reference_gradients
    assert "gradients take the exact slow path" in caplog.text
