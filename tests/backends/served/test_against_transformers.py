"""All methods that an engine can serve have the scores that the transformers engine finds on the same tokens."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.backends.served.demo import CONTEXT, demo, engine, gathered, prompts, served, stop
from tests.backends.served.torch_engine import TorchEngine
from tests.support import SHARED, requires_shared
from uq_harness.backends.served.question import Question
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.conditionals import conditionals
from uq_harness.backends.transformers.forward import Prefill
from uq_harness.backends.transformers.teacher_forcing import ContinuationScorer, mean_logprobs, rescore
from uq_harness.evidence import AnswersGivenAnswers, ContinuationLogProb, DiverseBeams, Evidence, Need, RescoredLogProb
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.methods import build_methods, scores
from uq_harness.similarity.build import build_nli, build_similarity
from uq_harness.similarity.evidence import Comparer

SERVED = (
    "g_nll+p_true+ln_pe+self_consistency+degree+discrete_semantic_entropy+semantic_entropy+sar+token_sar+sentence_sar+"
    "mutual_information+semantic_density"
)
METHODS = build_methods(SERVED, {})
NEEDS = list(dict.fromkeys(need for method in METHODS for need in method.needs()))
TOLERANCE = 1e-4


def all_scores(found: Sequence[Evidence], backend: Any) -> dict[str, np.ndarray]:
    """Each method's scores, with texts compared word by word."""
    compare = Comparer(
        NEEDS,
        build_nli("lexical"),
        build_similarity("lexical"),
        decode=backend.decode,
        special_ids=backend.special_ids,
    )
    compared = compare.add_similarity(compare.add_entailment(found))
    rows = [scores(METHODS, one) for one in compared]
    return {method.name: np.array([row[method.name] for row in rows]) for method in METHODS}


@torch.no_grad()
def read_by_torch(found: Sequence[Evidence], asked: Sequence[Prompt]) -> list[Evidence]:
    """The same answers and samples with every number from the transformers engine's own passes over given tokens."""
    model, tokenizer = demo()
    architecture, pad = Architecture.of(model), tokenizer.pad_token_id
    prefill = Prefill.read(architecture, [prompt.token_ids for prompt in asked], pad)

    def tokenise(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def reread(sets: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        rows = [row for row, drawn in enumerate(sets) for _ in drawn]
        values = iter(rescore(architecture, prefill, rows, [s.token_ids for drawn in sets for s in drawn], pad_id=pad))
        return [tuple(replace(sample, logprobs=next(values)) for sample in drawn) for drawn in sets]

    answers = [one for (one,) in reread([(one.answer,) for one in found])]
    columns: dict[Need[Any], Sequence[Any]] = {}
    for drawn in dict.fromkeys(need.sample_set for need in NEEDS if need.sample_set is not None):
        columns[drawn] = reread([one[drawn] for one in found])
    for need in NEEDS:
        if isinstance(need, RescoredLogProb):
            texts = [[sample.text for sample in drawn] for drawn in columns[need.samples]]
            columns[need], _ = mean_logprobs(
                architecture, prefill, texts, tokenise, temperature=need.temperature, pad_id=pad
            )
        elif isinstance(need, AnswersGivenAnswers):
            stating = [lambda answer, of=prompt, need=need: of.stating(answer, words=need.prompt) for prompt in asked]
            columns[need] = conditionals(
                architecture, columns[need.samples], stating, tokenise, threshold=need.threshold, pad_id=pad
            )
        elif isinstance(need, ContinuationLogProb):
            scorer = ContinuationScorer(architecture, tokenizer, need, CONTEXT, pad)
            columns[need] = scorer([(one.question, one.answer.text) for one in found])
    return [
        replace(one, answer=answer, values={need: column[row] for need, column in columns.items()})
        for row, (one, answer) in enumerate(zip(found, answers, strict=True))
    ]


@pytest.fixture(scope="module")
def asked() -> list[Prompt]:
    return prompts(8, every=31)


@pytest.fixture(scope="module")
def backend() -> Any:
    return served(engine(), NEEDS)


@pytest.fixture(scope="module")
def found(asked: list[Prompt], backend: Any) -> list[Evidence]:
    return gathered(backend, asked, stop())


def transformers_backend(needs: Sequence[Need[Any]]) -> TransformersBackend:
    model, tokenizer = demo()
    own = TransformersBackend(model, tokenizer, max_length=CONTEXT, pad_id=tokenizer.pad_token_id, seed=3)
    own.prepare(needs)
    return own


def test_every_method_has_the_score_of_the_same_tokens_in_torch(
    asked: list[Prompt], backend: Any, found: list[Evidence]
) -> None:
    ours, theirs = all_scores(found, backend), all_scores(read_by_torch(found, asked), backend)
    assert len(ours) == 12
    for name, values in ours.items():
        assert np.isfinite(values).all(), name
        assert np.abs(values - theirs[name]).max() < TOLERANCE, name
        assert len(np.unique(values)) > 1, name


def test_answers_and_beams_are_those_of_the_transformers_engine(asked: list[Prompt], found: list[Evidence]) -> None:
    beams = next(need for need in NEEDS if isinstance(need, DiverseBeams))
    theirs = gathered(transformers_backend([beams]), asked, stop())
    for ours, other in zip(found, theirs, strict=True):
        assert ours.answer.token_ids == other.answer.token_ids
        assert (ours.answer.text, ours.answer.complete) == (other.answer.text, other.answer.complete)
        assert np.abs(ours.answer.logprobs - other.answer.logprobs).max() < TOLERANCE
        for one, expected in zip(ours[beams], other[beams], strict=True):
            assert (one.token_ids, one.text, one.complete) == (expected.token_ids, expected.text, expected.complete)
            assert np.abs(one.logprobs - expected.logprobs).max() < TOLERANCE


@pytest.mark.parametrize(
    ("search", "limit"), [(DiverseBeams(4, 0.3), 24), (DiverseBeams(6, 5.0), 3), (DiverseBeams(1, 1.0), 1)]
)
def test_other_searches_and_limits_have_the_same_beams(search: DiverseBeams, limit: int) -> None:
    asked = prompts(21, every=11)
    ours = gathered(served(engine(), [search]), asked, stop([","], limit))
    theirs = gathered(transformers_backend([search]), asked, stop([","], limit))
    for one, other in zip(ours, theirs, strict=True):
        assert [beam.token_ids for beam in one[search]] == [beam.token_ids for beam in other[search]]
        assert [beam.complete for beam in one[search]] == [beam.complete for beam in other[search]]


CASES = json.loads((SHARED / "golden" / "diverse_beams.json").read_text()) if SHARED else {"cases": []}


@requires_shared
@pytest.mark.parametrize(
    "case",
    [case for case in CASES["cases"] if not case["batched"]],
    ids=lambda c: f"{c['name']}-{c['max_new_tokens']}",
)
def test_beams_are_those_of_transformers_group_beam_search(case: dict) -> None:
    """Many of these searches end groups at different steps, with several end tokens."""
    model = AutoModelForCausalLM.from_pretrained(SHARED / "models" / "tiny-llama").eval()
    ends, pad, search = case["eos"], case["pad"], DiverseBeams(10, case["penalty"])
    until = StopCriteria(frozenset(ends), case["max_new_tokens"], lambda tokens: ("", range(len(tokens))))
    backend = served(TorchEngine(model, most_alternatives=30), [search])
    backend._plan = replace(backend._plan, pad_id=pad)
    asked = [Prompt("", "", prompt, -1) for prompt in CASES["prompts"][:6]]
    work = [lambda prompt=prompt: Question(backend._plan, prompt, until).steps() for prompt in asked]
    found = dict(backend._engine.drive(work, 8))
    for row, expected_beams in enumerate(case["sequences"][:6]):
        for beam, expected in zip(found[row][search], expected_beams, strict=True):
            tokens = list(beam.token_ids)
            end = [ends[0]] if tokens[-1] in ends else tokens[-1:]
            assert tokens[:-1] + end + [pad] * (len(expected) - len(tokens)) == expected
