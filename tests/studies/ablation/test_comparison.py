"""Variants are compared with the default by their AUROC, as other implementations give it."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.studies.ablation.made_up import BLOCKS, COLUMNS, evidence
from uq_harness.functional import holm, paired_auroc
from uq_harness.studies.ablation.comparison import (
    Quality,
    States,
    compare,
    hybridgrad_variants,
    semgrad_variants,
    token_variants,
)


def test_aurocs_are_those_of_scikit_learn() -> None:
    found = evidence()
    for one in compare(semgrad_variants(["0-1"]), found):
        expected = roc_auc_score(1 - found.correct, one.variant.score(found))
        assert one.quality.auroc == pytest.approx(expected, abs=1e-12)


def test_each_variant_is_what_it_says() -> None:
    found = evidence()
    variants = (*semgrad_variants(["0-1"]), *token_variants(COLUMNS))
    scores = {variant.label: variant.score(found) for variant in variants}
    weighted, plain = found.absolute[1], found.absolute[0]
    default = next(iter(scores))
    np.testing.assert_allclose(scores[default], weighted[:, 2:, 3].mean(-1))
    np.testing.assert_allclose(scores["l2 norm"], np.sqrt(found.squared[1, :, 2:, 3].mean(-1)))
    np.testing.assert_allclose(scores["no entropy reweighting"], plain[:, 2:, 3].mean(-1))
    np.testing.assert_allclose(scores["layers last_quarter"], weighted[:, 3, 3])
    np.testing.assert_allclose(scores["layers all"], weighted[:, :, 3].mean(-1))
    np.testing.assert_allclose(scores["layers 0-1"], weighted[:, :2, 3].mean(-1))
    np.testing.assert_allclose(scores["last token"], weighted[:, 2:, 4].mean(-1))
    np.testing.assert_allclose(scores["token -5"], weighted[:, 2:, 0].mean(-1))


def test_every_prompt_has_its_own_semantic_token() -> None:
    found = evidence(semantic_token=-1 - np.arange(60) % 5)
    default = semgrad_variants()[0].score(found)
    expected = [found.absolute[1, row, 2:, found.semantic_token[row]].mean() for row in range(60)]
    np.testing.assert_allclose(default, expected)


def test_hybridgrad_has_its_weight_and_factor() -> None:
    found = evidence()
    semgrad = semgrad_variants()[0].score(found)
    for variant in hybridgrad_variants([0.5, 1.0], [1.0, 10.0]):
        alpha = np.exp(-found.mean_entropy / variant.options["hybrid_beta"])
        expected = alpha * variant.options["hybrid_gamma"] * found.head[1] + (1 - alpha) * semgrad
        np.testing.assert_allclose(variant.score(found), expected)


def test_the_default_comes_first_and_is_not_tested() -> None:
    default, *others = compare(hybridgrad_variants([0.5], [2.0]), evidence())
    assert default.variant.options == {"hybrid_beta": 1.0, "hybrid_gamma": 1.0}
    assert default.difference is None
    assert math.isnan(default.p_holm)
    assert others[0].difference is not None


def test_a_variant_that_is_the_default_in_other_words_is_no_test() -> None:
    variants = (*semgrad_variants(["2-3"]), *token_variants(COLUMNS))
    found = {one.variant.label: one for one in compare(variants, evidence())}
    assert found["token -2"].difference is None
    assert found["layers 2-3"].difference is None
    assert found["token -1"].difference is not None


def test_p_values_are_delongs_and_corrected_for_the_whole_table() -> None:
    found = evidence()
    compared = compare(semgrad_variants(), found)
    default = compared[0].variant.score(found)
    tested = [one for one in compared if one.difference is not None]
    p_values = [paired_auroc(one.variant.score(found), default, found.correct).p_value for one in tested]
    np.testing.assert_allclose([one.difference.p_value for one in tested], p_values)
    np.testing.assert_allclose([one.p_holm for one in tested], holm(p_values))


def test_states_are_semgrad_with_one_layer_and_one_token() -> None:
    found = evidence()
    default = semgrad_variants()[0].score(found)
    states = States.of(found, default)
    assert states.auroc.shape == (BLOCKS, COLUMNS)
    for layer in range(BLOCKS):
        spans = semgrad_variants([f"{layer}-{layer}"])
        (single,) = [variant for variant in spans if variant.label == f"layers {layer}-{layer}"]
        at = dict.fromkeys(range(-COLUMNS, 0), single.method)
        for position, method in at.items():
            rows = [method.score(found.of_answer(row, method.needs(), position)) for row in range(60)]
            expected = Quality.of(np.array(rows), found.correct)
            assert states.auroc[layer, position] == pytest.approx(expected.auroc, abs=1e-12)
            assert states.stderr[layer, position] == pytest.approx(expected.stderr, abs=1e-12)
            test = paired_auroc(np.array(rows), default, found.correct)
            assert states.p_value[layer, position] == pytest.approx(test.p_value, abs=1e-9, nan_ok=True)


def test_answers_without_tokens_are_left_out_and_counted() -> None:
    found = evidence()
    absolute = found.absolute.copy()
    absolute[:, :4] = np.nan
    part = evidence(absolute=absolute)
    default = compare(semgrad_variants(), part)[0]
    assert default.quality.undefined == 4
    expected = roc_auc_score(1 - part.correct[4:], default.variant.score(part)[4:])
    assert default.quality.auroc == pytest.approx(expected, abs=1e-12)
