"""Whole sampled answers follow the law of their sampler exactly."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.generation.logits_process import (
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import Kept, decode
from uq_harness.backends.transformers.sampler import candidates, draw, sample_keys
from uq_harness.evidence import DiverseBeams, Samples

WARPERS = [
    Samples(20_000, 1.0),
    Samples(20_000, 0.6),
    Samples(20_000, 1.0, top_p=0.8),
    Samples(20_000, 1.0, top_k=4),
    Samples(20_000, 1.4, top_p=0.9, top_k=6),
]
END, STEPS = 2, 3


@pytest.fixture(scope="module")
def tiny() -> AutoModelForCausalLM:
    torch.manual_seed(3)
    config = AutoConfig.for_model(
        "llama",
        vocab_size=12,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
    )
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(10)
    # what must never reach our samplers
    model.generation_config.update(top_k=2, temperature=0.1, repetition_penalty=3.0, do_sample=True)
    return model.double().eval()


def warped(scores: torch.Tensor, sampler: Samples) -> torch.Tensor:
    """Probabilities by transformers' own warpers."""
    chain = LogitsProcessorList([TemperatureLogitsWarper(sampler.temperature)])
    if sampler.top_k:
        chain.append(TopKLogitsWarper(sampler.top_k))
    if sampler.top_p < 1:
        chain.append(TopPLogitsWarper(sampler.top_p))
    return chain(None, scores).softmax(-1)


def law(model: AutoModelForCausalLM, prompt: list[int], sampler: Samples) -> dict[tuple[int, ...], float]:
    """Probability of every possible answer."""
    answers, open_ones = {}, {(): 1.0}
    for step in range(STEPS):
        prefixes = list(open_ones)
        with torch.no_grad():
            scores = model(torch.tensor([prompt + list(p) for p in prefixes])).logits[:, -1]
        grown = {}
        for prefix, row in zip(prefixes, warped(scores, sampler).tolist(), strict=True):
            for token, probability in enumerate(row):
                if probability > 0:
                    done = token == END or step + 1 == STEPS
                    (answers if done else grown)[(*prefix, token)] = open_ones[prefix] * probability
        open_ones = grown
    return answers


def p_value(counts: np.ndarray, probabilities: np.ndarray) -> float:
    """Of a chi-square test that puts rare outcomes together."""
    expected = probabilities * counts.sum()
    rare = expected < 5
    found = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    kept = expected > 0
    assert found[~kept].sum() == 0
    return float(chisquare(found[kept], expected[kept] * found.sum() / expected.sum()).pvalue)


@pytest.mark.parametrize("sampler", WARPERS, ids=str)
def test_whole_answers_follow_their_exact_probabilities(tiny: AutoModelForCausalLM, sampler: Samples) -> None:
    prompt = [5, 7, 1, 9]
    others = [s for s in WARPERS if s != sampler][:2]  # shared prefixes make nothing dependent
    found = decode(
        Architecture.of(tiny),
        [[3, 3], prompt],
        samplers=[*others, sampler],
        end_ids=frozenset({END}),
        pad_id=0,
        max_new_tokens=STEPS,
        seed=1,
    )
    counts = Counter(answer.token_ids for answer in found.samples[1][sampler])
    expected = law(tiny, prompt, sampler)
    assert set(counts) <= set(expected)
    keys = sorted(expected)
    assert p_value(np.array([counts[k] for k in keys]), np.array([expected[k] for k in keys])) > 1e-3


def test_successive_samples_are_independent(tiny: AutoModelForCausalLM) -> None:
    sampler = Samples(20_000, 1.0)
    found = decode(
        Architecture.of(tiny), [[5, 7]], samplers=[sampler], end_ids=frozenset({END}), pad_id=0, max_new_tokens=1
    )
    tokens = [answer.token_ids[0] for answer in found.samples[0][sampler]]
    share = np.bincount(tokens, minlength=12) / len(tokens)
    pairs = np.zeros((12, 12))
    for one, other in pairwise(tokens):
        pairs[one, other] += 1
    assert p_value(pairs.ravel(), np.outer(share, share).ravel()) > 1e-3


@pytest.mark.parametrize(("top_k", "top_p"), [(0, 1.0), (0, 0.95), (300, 1.0), (300, 0.9)])
@pytest.mark.parametrize("spread", [0.5, 4.0])
def test_large_vocabularies_are_drawn_from_exactly(top_k: int, top_p: float, spread: float) -> None:
    """The likeliest tokens race one by one and the others as one."""
    torch.manual_seed(0)
    scores, sequences = torch.randn(3, 400) * spread, 100_000
    sampler = Samples(sequences, 0.9, top_p, top_k)
    rows = torch.full((sequences,), 1)
    tokens = draw(scores, torch.full((3,), 0.9), top_k, top_p, rows, sample_keys(0, [5, 7], sampler))
    expected = warped(scores[1:2].double(), sampler)[0].numpy()
    assert p_value(np.bincount(tokens.numpy(), minlength=400).astype(float), expected) > 1e-3


@pytest.mark.parametrize(("top_k", "top_p"), [(5, 1.0), (0, 0.7), (5, 0.7), (50, 1.0), (1, 0.3)])
def test_candidates_are_those_of_transformers_warpers_also_among_ties(top_k: int, top_p: float) -> None:
    torch.manual_seed(0)
    scores = torch.randn(500, 40).to(torch.bfloat16).float()
    probabilities, ids = candidates(scores, torch.ones(500), top_k, top_p)
    found = torch.zeros(500, 40)
    found.scatter_(-1, torch.arange(40).expand(500, -1) if ids is None else ids, probabilities)
    found /= found.sum(-1, keepdim=True)
    expected = warped(scores, Samples(1, 1.0, top_p, top_k))
    if top_p < 1:  # no rule says which of several equals a nucleus takes
        found, expected = found.sort().values, expected.sort().values
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("sampler", [replace(sampler, count=50) for sampler in WARPERS], ids=str)
def test_likelihoods_under_the_law_of_the_draw_are_those_of_transformers_warpers(
    tiny: AutoModelForCausalLM, sampler: Samples
) -> None:
    prompt, others = [5, 7, 1, 9], [Samples(5, 0.3, top_k=2), DiverseBeams(3, 1.0)]
    found = decode(
        Architecture.of(tiny),
        [[3, 3], prompt],
        samplers=[*others, sampler],
        end_ids=frozenset({END}),
        pad_id=0,
        max_new_tokens=STEPS,
        kept=Kept(laws=frozenset({sampler})),
    )
    expected = law(tiny, prompt, sampler)
    for answer in found.samples[1][sampler]:
        assert answer.laws.sum() == pytest.approx(np.log(expected[answer.token_ids]), abs=1e-5)
    assert all(answer.laws is None for other in others for answer in found.samples[1][other])
