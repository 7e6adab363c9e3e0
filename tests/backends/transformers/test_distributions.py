"""Numbers of next-token distributions are those of whole distributions from an independent forward pass."""

import numpy as np
import pytest
import torch

from tests.backends.transformers.architectures import FLOAT32_ONLY, VOCABULARY, tiny_model
from tests.backends.transformers.test_second_pass import as_given, made_prompts, stop_criteria, tokenizer
from uq_harness import functional
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.distributions import likeliest
from uq_harness.backends.transformers.second_pass import SecondPass
from uq_harness.evidence import LikeliestTokens, Need, SampleLogits, Samples, TokenStatistic
from uq_harness.evidence.backend import gather_all
from uq_harness.functional.statistics import DominantMass
from uq_harness.methods import build_methods

NAMES = "self_certainty+probability_margin+boosted_probability+top_k_entropy+renyi_divergence+fisher_rao"
METHODS = build_methods(NAMES, {})
ODD = build_methods(
    NAMES, {"renyi_order": 1.5, "uniform_temperature": 1.3, "top_k_entropy_k": 40, "top_k_entropy_reduce": "max"}
)
FOUR, LISTED = Samples(4, 0.7, top_k=20), LikeliestTokens(10)
NEEDS: list[Need] = [
    *dict.fromkeys(need for method in (*METHODS, *ODD) for need in method.needs()),
    FOUR,
    SampleLogits(FOUR),
    LISTED,
]
SOME = (
    "llama",
    "llama_tied",
    "qwen2",
    "qwen3_moe",
    "mistral_window",
    "gemma",
    "gemma2_softcap",
    "gpt2",
    "gpt_neox",
    "granite_scaled",
    "cohere_scaled",
    "olmo2",
)


def whole(model, prompt, tokens) -> np.ndarray:
    """The logits that each token was chosen from, from one pass without a cache."""
    with torch.no_grad():
        found = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
    return found.double().numpy()


@pytest.mark.parametrize("reading", [False, True], ids=["decoding", "second_pass"])
@pytest.mark.parametrize("name", SOME)
def test_all_are_those_of_an_independent_pass(name: str, reading: bool) -> None:
    low = name in FLOAT32_ONLY
    model = tiny_model(name, torch.float32 if low else torch.float64)
    how = {"max_length": 128, "pad_id": 0}
    backend = TransformersBackend(model, tokenizer(), **how)
    backend.prepare(NEEDS)
    prompts = made_prompts()
    found = gather_all(backend, prompts, stop_criteria(thinking=True))
    if reading:
        second = SecondPass(model, tokenizer(), **how)
        second.prepare(NEEDS)
        given = as_given(prompts, found, NEEDS)
        found = gather_all(second, given, stop_criteria())
    tolerance = 2e-4 if low else 1e-8
    for prompt, evidence in zip(prompts, found, strict=True):
        emitted = evidence.answer.emitted_ids or evidence.answer.token_ids
        counted = evidence.answer.token_ids
        start = 2 if len(emitted) > len(counted) else 0
        logits = whole(model, prompt.token_ids, emitted)[start : start + len(counted)]
        expected = {
            "self_certainty": functional.self_certainty(logits),
            "probability_margin": functional.probability_margin(logits),
            "boosted_probability": functional.boosted_probability(logits, counted),
            "top_k_entropy": functional.top_k_entropy(logits),
            "renyi_divergence": functional.renyi_divergence(logits),
            "fisher_rao": functional.fisher_rao(logits),
        }
        odd = {
            **expected,
            "top_k_entropy": functional.top_k_entropy(logits, 40, "max"),
            "renyi_divergence": functional.renyi_divergence(logits, 1.5, 1.3),
            "fisher_rao": functional.fisher_rao(logits, 1.3),
        }
        for methods, scores in ((METHODS, expected), (ODD, odd)):
            assert {one.name: one.score(evidence) for one in methods} == pytest.approx(
                scores, abs=tolerance, nan_ok=not counted
            )
        for sample, values in zip(evidence[FOUR], evidence[SampleLogits(FOUR)], strict=True):
            emitted = sample.emitted_ids or sample.token_ids
            start = 2 if len(emitted) > len(sample.token_ids) else 0
            own = whole(model, prompt.token_ids, emitted)[np.arange(len(emitted)), emitted]
            np.testing.assert_allclose(values, own[start : start + len(values)], rtol=1e-4, atol=tolerance)
        logprobs = torch.tensor(logits).log_softmax(-1)
        best, ids = logprobs.topk(10)
        np.testing.assert_allclose(evidence[LISTED].logprobs, best, atol=tolerance)
        if not low:
            np.testing.assert_array_equal(evidence[LISTED].token_ids, ids)


def test_a_given_token_that_is_not_likely_comes_first() -> None:
    model = tiny_model("llama")
    second = SecondPass(model, tokenizer(), max_length=128, pad_id=0)
    second.prepare([LISTED, TokenStatistic(DominantMass())])
    backend = TransformersBackend(model, tokenizer(), max_length=128, pad_id=0)
    backend.prepare([LISTED])
    (prompt,) = made_prompts()[:1]
    (greedy,) = gather_all(backend, [prompt], stop_criteria())
    logits = whole(model, prompt.token_ids, greedy.answer.token_ids)[0]
    rare = int(logits.argmin())
    given = as_given([prompt], [greedy], [])
    answer = type(given[0].answer)(str(rare), (rare,), (rare,))
    (found,) = gather_all(second, [type(given[0])(**{**vars(given[0]), "answer": answer})], stop_criteria())
    assert found[LISTED].token_ids[0].tolist() == [rare, *np.argsort(-logits)[:9].tolist()]
    own = functional.boosted_probability([logits], [rare])
    assert found[TokenStatistic(DominantMass())] == pytest.approx([1 - own])


def test_the_batch_changes_nothing() -> None:
    backend = TransformersBackend(tiny_model("qwen2", torch.float32), tokenizer(), max_length=128, pad_id=0)
    backend.prepare(NEEDS)
    prompts = made_prompts() * 12
    scores = []
    for size in (1, 8, 64):
        found = {}
        for rows, some in backend.gather(prompts, stop_criteria(), size):
            found |= {row: [method.score(one) for method in METHODS] for row, one in zip(rows, some, strict=True)}
        scores.append(np.array([found[row] for row in range(len(prompts))]))
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-5)
    np.testing.assert_allclose(scores[2], scores[0], atol=1e-5)


@pytest.mark.parametrize("vocabulary", [96, 2048, 5003, 64 * 200])
@pytest.mark.parametrize("count", [2, 16, 200])
def test_the_likeliest_are_found_by_blocks(vocabulary: int, count: int) -> None:
    torch.manual_seed(0)
    scores = torch.randn(7, vocabulary).round(decimals=2)  # with ties
    best, places = likeliest(scores, count)
    torch.testing.assert_close(best, scores.topk(min(count, vocabulary)).values, rtol=0, atol=0)
    torch.testing.assert_close(scores.gather(-1, places), best, rtol=0, atol=0)
    assert all(len(set(row)) == len(row) for row in places.tolist())


@pytest.mark.parametrize(
    ("heat", "likely", "read"), [(0.5, 60, 64), (2.0, 60, 64), (6.0, 60, 64), (6.0, 100, 200), (6.0, 150, 200)]
)
def test_dominant_tokens_are_found_in_a_large_vocabulary(heat: float, likely: int, read: int) -> None:
    """Also where the last gap lies far behind the few likeliest tokens that are read at first."""
    from uq_harness.backends.transformers.distributions import Sums
    from uq_harness.backends.transformers.next_token import logprobs_and_entropies

    torch.manual_seed(0)
    scores = torch.randn(200, 3000, dtype=torch.float64) / heat
    scores[:, :likely] += 8 + torch.arange(likely) % 3 * (0.8 if likely == 60 else 0)
    tokens = scores.argmax(-1)
    sums = Sums.of([TokenStatistic(DominantMass())])
    logprobs, _, taken = logprobs_and_entropies(scores, tokens, torch.arange(200), tokens, np.ones(200, bool), sums)
    rows = sums.complete(scores, range(200), taken.numpy())
    assert max(map(len, rows)) == read
    found = DominantMass().of(sums.sums(rows, logprobs.numpy(), 3000))
    expected = [1 - functional.boosted_probability([row], [token]) for row, token in zip(scores, tokens, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("greedy", [[0], [1, 2], [0, 2, 5], [], list(range(6))], ids=str)
def test_sums_do_not_depend_on_what_is_in_memory_nor_on_other_rows(greedy: list[int], monkeypatch) -> None:
    """Rows that follow each other or not, in several parts, in memory that holds the last step's values."""
    from uq_harness.backends.transformers import forward, next_token
    from uq_harness.backends.transformers.distributions import Sums
    from uq_harness.backends.transformers.scratch import Scratch

    monkeypatch.setattr(forward, "ENTRIES", 2 * 500)
    torch.manual_seed(0)
    scores, before = torch.randn(2, 6, 500) * 3
    scores[1, 7:50] = -torch.inf
    sums, scratch, rows = Sums.of(NEEDS), Scratch(), torch.arange(6)
    precisely = np.isin(np.arange(6), greedy)
    next_token.logprobs_and_entropies(before, before.argmax(-1), rows, rows, precisely, sums, scratch)
    logprobs, entropies, taken = next_token.logprobs_and_entropies(
        scores, scores.argmax(-1), rows, rows, precisely, sums, scratch
    )
    exact = scores.double().log_softmax(-1)
    torch.testing.assert_close(logprobs, exact[rows, rows], rtol=0, atol=1e-5)
    torch.testing.assert_close(entropies, torch.special.entr(exact.exp()).sum(-1), rtol=0, atol=1e-5)
    assert len(taken) == len(greedy)
    if not greedy:
        return
    torch.testing.assert_close(logprobs[greedy], exact[greedy, greedy], rtol=0, atol=1e-12)
    found = sums.sums(list(taken.numpy()), logprobs[greedy].numpy(), 500)
    np.testing.assert_allclose(found.mean_logprobs, exact[greedy].mean(-1), atol=1e-12)
    for power, values in found.log_power_sums.items():
        np.testing.assert_allclose(values, (power * exact[greedy]).logsumexp(-1), atol=1e-12)
    np.testing.assert_allclose(found.likeliest, exact[greedy].topk(sums.n_likeliest).values, atol=1e-12)


def test_more_likeliest_tokens_than_there_are_is_said() -> None:
    backend = TransformersBackend(tiny_model("llama"), tokenizer(), max_length=128, pad_id=0)
    (method,) = build_methods("top_k_entropy", {"top_k_entropy_k": 200})
    assert backend.missing(*method.needs()) == (
        f"200 likeliest tokens, and the model's vocabulary has {VOCABULARY}: ask for fewer"
    )
