"""Every method through the wrapper: the same scores in any batch, seeds, auxiliary models."""

import math

import pytest

from tests.models.test_hf import GREEDY, ask, golden, golden_model
from tests.support import requires_shared
from uq_harness.errors import UQHarnessError
from uq_harness.methods import all_methods
from uq_harness.response import record_of

LEXICAL = {"methods": "all", "nli_model": "lexical", "similarity_model": "lexical"}


def scores(count: int = 24, gen_kwargs: dict = GREEDY, **kwargs) -> list[dict]:
    template, cases = golden()
    lm = golden_model(**{**LEXICAL, **kwargs})
    answers = ask(lm, [case["question"] for case in cases[:count]], template, gen_kwargs)
    return [record_of(answer)["uncertainty"] for answer in answers]


@pytest.fixture(scope="module")
def reference() -> list[dict]:
    return scores(batch_size=8)


@requires_shared
def test_every_method_scores_every_answer(reference: list[dict]) -> None:
    for row in reference:
        assert set(row) == set(all_methods())
        assert all(value is not None and math.isfinite(value) for value in row.values()), row


@requires_shared
@pytest.mark.parametrize("batch_size", [1, 64])
def test_batch_mates_change_no_score(reference: list[dict], batch_size: int) -> None:
    for found, expected in zip(scores(batch_size=batch_size), reference, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-8)


@requires_shared
def test_seed_decides_the_samples_and_nothing_else(reference: list[dict]) -> None:
    same, other = scores(8, seed=1234), scores(8, seed=1)
    assert same != other
    assert scores(8, seed=1) == other
    for a, b in zip(same, other, strict=True):
        assert a["semgrad"] == pytest.approx(b["semgrad"])
        assert a["semantic_density"] == pytest.approx(b["semantic_density"])  # beams are not drawn


@requires_shared
def test_a_method_alone_scores_as_among_all(reference: list[dict]) -> None:
    for method in ("sar", "semantic_entropy", "mutual_information", "semantic_density", "eigenscore"):
        alone = scores(6, methods=method)
        assert [row[method] for row in alone] == pytest.approx([row[method] for row in reference[:6]], rel=1e-4)


@requires_shared
def test_answers_cut_by_the_limit_and_single_tokens() -> None:
    for row in scores(6, {**GREEDY, "max_gen_toks": 1}):
        assert all(value is not None for value in row.values()), row


@requires_shared
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nli_model": "/nowhere/nli"}, "nli_model"),
        ({"similarity_model": "/nowhere/similarity"}, "similarity_model"),
        ({"nli_modle": "lexical"}, "unknown option 'nli_modle'"),
        ({"nli_batch_size": 0, "nli_model": "x"}, "nli_batch_size"),
        ({"entropy_samples": 0}, "entropy_samples=0"),
    ],
)
def test_bad_settings_are_refused_before_the_first_answer(arguments: dict, message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        golden_model(**{**LEXICAL, **arguments})


@requires_shared
def test_the_record_says_what_an_answer_cost() -> None:
    template, cases = golden()
    costs = [
        record_of(answer)["cost"]
        for answer in ask(golden_model(**LEXICAL), [c["question"] for c in cases[:4]], template)
    ]
    for cost in costs:
        assert {f"{stage}_seconds" for stage in ("decode", "gradients", "scoring", "nli", "similarity")} <= set(cost)
        assert all(value >= 0 for value in cost.values())
        # a tree of prefixes: more rows than the greedy answer has, far fewer than the 41 lanes would take one by one
        assert 1 < cost["row_steps"] < 41 * 24
    free = record_of(ask(golden_model(methods="g_nll"), [cases[0]["question"]], template)[0])["cost"]
    assert free["nli_pairs"] == free["similarity_pairs"] == 0
    assert "nli_seconds" not in free
