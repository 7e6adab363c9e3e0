"""Decoding keeps only what a chosen method reads later."""

from dataclasses import replace

import pytest

from uq_harness.backends.transformers.decode import Kept
from uq_harness.backends.transformers.distributions import Sums
from uq_harness.evidence import DiverseBeams, Samples, SampleStates
from uq_harness.evidence.sets import SampleSets
from uq_harness.methods import build_methods

COOL = Samples(10, 0.5, top_p=0.99, top_k=5)
NOTHING = Kept(head_states=False, prompt_cache=False, states=frozenset())


def kept(methods: str) -> Kept:
    needs = [need for method in build_methods(methods, {}) for need in method.needs()]
    return Kept.of(needs, SampleSets.of(needs))


@pytest.mark.parametrize(
    ("methods", "expected"),
    [
        ("g_nll", NOTHING),
        ("ln_pe+semantic_entropy+degree+sar+self_consistency+mutual_information", NOTHING),
        ("p_true", NOTHING),
        ("exgrad", Kept(head_states=True, prompt_cache=False, states=frozenset())),
        ("semgrad", Kept(head_states=True, prompt_cache=True, states=frozenset())),
        (
            "semantic_density",
            Kept(head_states=False, prompt_cache=True, states=frozenset(), tempered={DiverseBeams(10, 1.0): 0.1}),
        ),
        ("eigenscore+ln_pe", Kept(head_states=False, prompt_cache=False, states=frozenset({COOL}))),
        ("fisher_rao+probability_margin", replace(NOTHING, sums=Sums(powers=(0.25, 0.5), n_likeliest=2))),
        ("semantic_energy", replace(NOTHING, logits=frozenset({Samples(10, 1.0)}))),
        (
            "all",
            Kept(
                head_states=True,
                prompt_cache=True,
                states=frozenset({COOL}),
                logits=frozenset({Samples(10, 1.0)}),
                tempered={DiverseBeams(10, 1.0): 0.1},
                sums=Sums(mean=True, powers=(0.25, 0.5), n_likeliest=16, gaps=True, ids=True),
            ),
        ),
    ],
)
def test_each_methods_own(methods: str, expected: Kept) -> None:
    assert kept(methods) == expected


def test_states_are_kept_by_the_sampler_that_serves_the_set() -> None:
    few, many = Samples(3, 1.0), Samples(10, 1.0)
    assert SampleSets.of([SampleStates(few), many]).stateful == {many}
    assert SampleSets.of([SampleStates(few)]).samplers == (few,)
    assert SampleSets.of([few, many]).stateful == frozenset()
