"""The correlation between AUROC and SPS, its intervals, and SPS files that do not belong to the answers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.studies.ablation.made_up import BLOCKS, COLUMNS, MODEL, evidence, sps
from uq_harness.errors import UQHarnessError
from uq_harness.studies.ablation.comparison import States, semgrad_variants
from uq_harness.studies.ablation.preservation import (
    Preservation,
    bootstrap_interval,
    check_sps,
    fisher_interval,
    spearman,
)


def states(found) -> States:
    return States.of(found, semgrad_variants()[0].score(found))


def test_rho_is_spearmans_over_the_blocks_inputs() -> None:
    """What leaves the last block has a score, but no gradient of its own before the last token."""
    found, scores = evidence(), np.random.default_rng(3).uniform(size=(BLOCKS + 1, COLUMNS))
    result = Preservation.of(found, states(found), sps(scores))
    expected = stats.spearmanr(states(found).auroc.ravel(), scores[:BLOCKS].ravel()).statistic
    assert result.rho == pytest.approx(expected)
    assert result.states == BLOCKS * COLUMNS
    np.testing.assert_array_equal(result.sps, scores[:BLOCKS])


def test_the_same_order_everywhere_is_a_correlation_of_one() -> None:
    found = evidence()
    area = states(found).auroc
    result = Preservation.of(found, states(found), sps(np.vstack([area**3, area[:1]])))
    assert result.rho == pytest.approx(1)
    assert result.bootstrap == pytest.approx((1, 1))


def test_only_the_last_positions_of_a_longer_file_count() -> None:
    found = evidence()
    scores = np.random.default_rng(3).uniform(size=(BLOCKS + 1, COLUMNS + 3))
    assert np.array_equal(Preservation.of(found, states(found), sps(scores)).sps, scores[:BLOCKS, 3:])


@pytest.mark.parametrize(("task", "checked"), [("uq_sciq", True), ("uq_demo", False)])
def test_scores_on_other_questions_are_named_as_an_average(task: str, checked: bool) -> None:
    found = evidence()
    assert Preservation.of(found, states(found), sps()).source == "demo"
    other = Preservation.of(found, states(found), sps(task=task, checked=checked))
    assert other.source == "average of demo"


def test_states_without_a_score_are_left_out() -> None:
    found, scores = evidence(), np.random.default_rng(3).uniform(size=(BLOCKS + 1, COLUMNS))
    scores[0, 2] = np.nan
    result = Preservation.of(found, states(found), sps(scores))
    area = states(found).auroc.ravel()
    kept = np.isfinite(scores[:BLOCKS].ravel())
    assert result.states == BLOCKS * COLUMNS - 1
    assert result.rho == pytest.approx(stats.spearmanr(area[kept], scores[:BLOCKS].ravel()[kept]).statistic)


def test_a_constant_has_no_correlation() -> None:
    assert np.isnan(spearman(np.ones(6), np.arange(6.0)))
    assert np.isnan(bootstrap_interval(np.ones((2, 3)), np.arange(6.0).reshape(2, 3))).all()
    assert np.isnan(fisher_interval(float("nan"), 20)).all()


def test_fishers_interval_covers_independent_pairs_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    rho = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of a normal pair with correlation 0.6
    hits = 0
    for _ in range(400):
        first, noise = rng.normal(size=(2, 40))
        low, high = fisher_interval(stats.spearmanr(first, 0.6 * first + 0.8 * noise).statistic, 40)
        hits += low <= rho <= high
    assert 0.92 <= hits / 400 <= 0.98


def test_the_bootstrap_resamples_whole_columns() -> None:
    """Within a column both sides agree; only between columns do they differ, which a draw of one column hides."""
    first = np.arange(12.0).reshape(6, 2)
    low, high = bootstrap_interval(first, first.copy())
    assert (low, high) == pytest.approx((1, 1))
    apart = first + np.array([100.0, 0.0])
    rho = stats.spearmanr(first.ravel(), apart.ravel()).statistic
    assert rho < 0.5
    assert bootstrap_interval(first, apart) == pytest.approx((rho, 1))


class TestFilesThatDoNotBelong:
    def test_another_model(self) -> None:
        with pytest.raises(UQHarnessError, match=r"made for another model: models/made-up .* this one is other"):
            check_sps(sps(), replace(MODEL, name="other", weights="ffff"), BLOCKS, COLUMNS)

    @pytest.mark.parametrize("template", ["another", None])
    def test_another_template(self, template: str | None) -> None:
        with pytest.raises(
            UQHarnessError, match=r"made with the chat template fedcba98, and the answers with (the|no) "
        ):
            check_sps(sps(), replace(MODEL, template=template), BLOCKS, COLUMNS)

    def test_too_few_positions(self) -> None:
        with pytest.raises(UQHarnessError, match=r"last 5 tokens, and the ablation 9: run .* --positions 9"):
            check_sps(sps(), MODEL, BLOCKS, 9)

    def test_layers_that_are_missing(self) -> None:
        with pytest.raises(UQHarnessError, match=r"lacks layer 3: .* --layers all"):
            check_sps(sps(np.ones((3, COLUMNS))), MODEL, BLOCKS, COLUMNS)

    def test_none_where_there_is_a_template(self) -> None:
        with pytest.raises(UQHarnessError, match=r"made with no chat template, and .* with the chat template fedcba98"):
            check_sps(sps(model=replace(MODEL, template=None)), MODEL, BLOCKS, COLUMNS)
