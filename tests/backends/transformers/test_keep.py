"""Decoding keeps only what a chosen method reads later."""

import pytest

from uq_harness.backends.transformers.decode import Keep
from uq_harness.evidence import Samples, SampleStates
from uq_harness.evidence.sets import SampleSets
from uq_harness.methods import build_methods

COOL = Samples(10, 0.5, top_p=0.99, top_k=5)
NOTHING = Keep(head_states=False, prompt_cache=False, states=frozenset())


def kept(methods: str) -> Keep:
    needs = [need for method in build_methods(methods, {}) for need in method.needs()]
    return Keep.of(needs, SampleSets.of(needs))


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ("g_nll", NOTHING),
        ("ln_pe+semantic_entropy+degree+sar+self_consistency+mutual_information", NOTHING),
        ("p_true", NOTHING),
        ("exgrad", Keep(head_states=True, prompt_cache=False, states=frozenset())),
        ("semgrad", Keep(head_states=True, prompt_cache=True, states=frozenset())),
        ("semantic_density", Keep(head_states=False, prompt_cache=True, states=frozenset())),
        ("eigenscore+ln_pe", Keep(head_states=False, prompt_cache=False, states=frozenset({COOL}))),
        ("all", Keep(head_states=True, prompt_cache=True, states=frozenset({COOL}))),
    ],
)
def test_each_methods_own(methods: str, expected: Keep) -> None:
    assert kept(methods) == expected


def test_states_are_kept_by_the_sampler_that_serves_the_set() -> None:
    few, many = Samples(3, 1.0), Samples(10, 1.0)
    assert SampleSets.of([SampleStates(few), many]).stateful == {many}
    assert SampleSets.of([SampleStates(few)]).samplers == (few,)
    assert SampleSets.of([few, many]).stateful == frozenset()
