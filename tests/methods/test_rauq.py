"""RAUQ and the attention score: golden numbers, options, and answers of few tokens."""

import json
import math

import numpy as np
import pytest

from tests.support import SHARED, requires_shared
from uq_harness import functional
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Answer, Evidence, SelfAttention, VocabularySize
from uq_harness.methods import build_methods
from uq_harness.methods.attention_score import MIDDLE

WEIGHTS = np.array([[[0.25, 0.5], [0.5, 0.0]], [[0.125, 0.25], [0.75, 0.5]]])


def evidence(tokens: int = 3) -> Evidence:
    answer = Answer(
        "", (5,) * tokens, np.log([0.5, 0.8, 0.9])[:tokens], np.array([0.7, 0.4, 0.2])[:tokens], complete=True
    )
    weights = WEIGHTS[..., : max(0, tokens - 1)]
    values = {SelfAttention(): weights, MIDDLE: weights[:1], VocabularySize(): 100}
    return Evidence("", answer, values)


def score(name: str, found: Evidence, **options: object) -> float:
    (method,) = build_methods(name, options)
    return method.score(found)


@requires_shared
@pytest.mark.parametrize("name", ["rauq", "attention_score", "csl"])
def test_golden_numbers(name: str) -> None:
    cases = json.loads((SHARED / "golden/functional_more.json").read_text())[name]
    assert len(cases) > 10
    for case in cases:
        found = getattr(functional, name)(**case["inputs"])
        np.testing.assert_allclose(found, case["expected"], rtol=1e-9, atol=1e-9)


def test_rauq_is_the_papers_recurrence() -> None:
    of_layers = []
    for first, second in ((0.25, 0.5), (0.75, 0.5)):  # the head with the larger mean of each layer
        c2 = 0.2 * 0.8 + 0.8 * first * 0.5
        c3 = 0.2 * 0.9 + 0.8 * second * c2
        of_layers.append(-(math.log(0.5) + math.log(c2) + math.log(c3)) / 3)
    assert score("rauq", evidence()) == pytest.approx(max(of_layers))


def test_options_of_rauq() -> None:
    perplexity = -np.log([0.5, 0.8, 0.9]).mean()
    assert score("rauq", evidence(), rauq_alpha=1) == pytest.approx(perplexity)
    by_entropy = math.log(100) - np.array([0.7, 0.4, 0.2])
    assert score("rauq", evidence(), rauq_confidence="entropy") == functional.rauq(by_entropy, WEIGHTS, 0.9) < 0
    assert score("rauq", evidence(), rauq_confidence="entropy", rauq_alpha="0.5") == functional.rauq(
        by_entropy, WEIGHTS, 0.5
    )
    for value in ("1.5", "true", "much"):
        with pytest.raises(UQHarnessError, match="rauq_alpha"):
            build_methods("rauq", {"rauq_alpha": value})


def test_attention_score_is_the_middle_layers() -> None:
    assert score("attention_score", evidence(2)) == pytest.approx(-np.log([0.25, 0.5]).mean())
    assert score("attention_score", evidence()) == math.inf  # one of the weights is 0


def test_answers_of_few_tokens() -> None:
    assert score("rauq", evidence(1)) == pytest.approx(-math.log(0.5))
    assert math.isnan(score("rauq", evidence(0)))
    assert math.isnan(score("attention_score", evidence(1)))
    assert math.isnan(score("attention_score", evidence(0)))


def test_nan_and_probability_0() -> None:
    assert math.isnan(functional.rauq([0.5, math.nan], [[[0.5]]]))
    assert math.isnan(functional.rauq([0.5, 0.5], [[[math.nan]]]))
    assert functional.rauq([0.5, 0.0], [[[0.0]]]) == math.inf
    assert math.isnan(functional.attention_score([[0.5, math.nan]]))
    assert functional.csl([-math.inf, -1.0], [[0.0, 0.5]]) == 1.0
    assert math.isnan(functional.csl([-1.0], [[0.0]]))
    assert math.isnan(functional.csl([], []))


def test_long_answers_stay_in_logarithms() -> None:
    assert functional.rauq([0.5] * 3000, [[[0.25] * 2999]], 0.0) == pytest.approx(
        math.log(2) + math.log(4) * 2999 / 2, rel=1e-9
    )


@pytest.mark.parametrize(
    ("name", "arguments", "what"),
    [
        ("rauq", ([0.5, 0.5], [[[0.5, 0.5]]]), "attention has shape"),
        ("rauq", ([0.5, 0.5], [[[1.5]]]), "between 0 and 1"),
        ("rauq", ([0.5, -0.5], [[[0.5]]]), "confidence holds -0.5"),
        ("rauq", ([0.5, 0.5], [[[0.5]]], 1.5), "alpha is 1.5"),
        ("csl", ([-0.5], [[0.5, 0.5]]), "attention has shape"),
    ],
)
def test_bad_arguments(name: str, arguments: tuple, what: str) -> None:
    with pytest.raises(UQHarnessError, match=what):
        getattr(functional, name)(*arguments)
