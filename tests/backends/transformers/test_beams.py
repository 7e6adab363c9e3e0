"""Diverse beams are those of transformers' group beam search, token for token."""

import json

import pytest

from tests.support import SHARED, requires_shared
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import Kept, decode
from uq_harness.backends.transformers.teacher_forcing import rescore
from uq_harness.evidence import DiverseBeams, Samples

CASES = json.loads((SHARED / "golden" / "diverse_beams.json").read_text()) if SHARED else {"cases": []}


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    from transformers import AutoModelForCausalLM

    return Architecture.of(AutoModelForCausalLM.from_pretrained(SHARED / "models" / "tiny-llama").eval())


@requires_shared
@pytest.mark.parametrize(
    "case", CASES["cases"], ids=lambda c: f"{c['name']}-{c['max_new_tokens']}-{'batch' if c['batched'] else 'alone'}"
)
def test_equals_group_beam_search(architecture: Architecture, case: dict) -> None:
    ends, pad, beams = case["eos"], case["pad"], DiverseBeams(groups=10, penalty=case["penalty"])

    def search(prompts: list[list[int]]) -> list[list[list[int]]]:
        found = decode(
            architecture,
            prompts,
            samplers=[beams],
            end_ids=frozenset(ends),
            pad_id=pad,
            max_new_tokens=case["max_new_tokens"],
        )
        return [[list(answer.token_ids) for answer in answers[beams]] for answers in found.samples]

    prompts = CASES["prompts"]
    found = search(prompts) if case["batched"] else [search([prompt])[0] for prompt in prompts]
    for ours, theirs in zip(found, case["sequences"], strict=True):
        for answer, expected in zip(ours, theirs, strict=True):
            # transformers writes its first end token whichever was chosen, and pads the batch
            end = [ends[0]] if answer[-1] in ends else answer[-1:]
            assert answer[:-1] + end + [pad] * (len(expected) - len(answer)) == expected


@requires_shared
def test_beams_are_the_same_whatever_else_is_sampled(architecture: Architecture) -> None:
    beams, prompts = DiverseBeams(groups=4, penalty=1.0), CASES["prompts"][:5]
    settings = {"end_ids": frozenset({2}), "pad_id": 0, "max_new_tokens": 12}
    alone = decode(architecture, prompts, samplers=[beams], **settings)
    mixed = decode(architecture, prompts, samplers=[Samples(7, 1.3), beams, DiverseBeams(3, 0.5)], **settings)
    for one, other in zip(alone.samples, mixed.samples, strict=True):
        assert [a.token_ids for a in one[beams]] == [a.token_ids for a in other[beams]]


@requires_shared
@pytest.mark.parametrize("temperature", [0.1, 1.0, 2.0])
def test_log_probabilities_at_another_temperature_are_those_of_the_answers_read_again(
    architecture: Architecture, temperature: float
) -> None:
    beams, other, prompts = DiverseBeams(groups=4, penalty=1.0), DiverseBeams(3, 0.5), CASES["prompts"][:5]
    found = decode(
        architecture,
        prompts,
        samplers=[beams, other, Samples(3, 1.0)],
        end_ids=frozenset({2}),
        pad_id=0,
        max_new_tokens=12,
        kept=Kept(tempered={beams: temperature}),
    )
    for row, drawn in enumerate(found.samples):
        answers = [answer.token_ids for answer in drawn[beams]]
        read = rescore(architecture, found.prefill, [row] * 4, answers, pad_id=0, temperature=temperature)
        for answer, expected in zip(drawn[beams], read, strict=True):
            assert answer.tempered == pytest.approx(expected, rel=1e-4, abs=1e-4)
            if temperature == 1:
                assert answer.tempered == pytest.approx(answer.logprobs, abs=1e-5)
        assert all(answer.tempered is None for one, some in drawn.items() if one != beams for answer in some)
