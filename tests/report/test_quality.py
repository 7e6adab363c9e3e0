"""Estimates with errors, and which methods are as good as the best."""

import math

import numpy as np
import pytest

from tests.report.runs import made_up
from uq_harness import functional
from uq_harness.report.quality import UNDEFINED, Estimate, average, estimates, rank


def test_values_and_errors_are_those_of_the_functional_module() -> None:
    correct, scores = made_up(150)
    found = estimates(scores["g_nll"], correct, seed=3)
    errors = functional.bootstrap_stderr(scores["g_nll"], correct, seed=3)
    assert found["auroc"] == Estimate(
        functional.auroc(scores["g_nll"], correct), functional.auroc_stderr(scores["g_nll"], correct)
    )
    assert found["aurc"] == Estimate(functional.aurc(scores["g_nll"], correct), errors.aurc)
    assert found["prr"] == Estimate(functional.prr(scores["g_nll"], correct), errors.prr)


def test_an_error_that_the_run_reports_is_taken_where_its_value_fits() -> None:
    correct, scores = made_up(150)
    value = functional.aurc(scores["g_nll"], correct)
    reported = {"aurc": Estimate(value, 0.123), "prr": Estimate(0.5, 0.456)}
    found = estimates(scores["g_nll"], correct, reported)
    assert found["aurc"].stderr == 0.123
    assert found["prr"].stderr == pytest.approx(functional.bootstrap_stderr(scores["g_nll"], correct).prr)


def test_errors_over_many_answers_are_the_bootstraps_without_its_noise() -> None:
    correct, scores = made_up(6000)
    found = estimates(scores["g_nll"], correct, seed=3)
    drawn = functional.bootstrap_stderr(scores["g_nll"], correct, seed=3)
    assert found["aurc"].stderr == pytest.approx(drawn.aurc, rel=0.08)
    assert found["prr"].stderr == pytest.approx(drawn.prr, rel=0.08)
    assert found == estimates(scores["g_nll"], correct, seed=4)


def test_one_class_has_no_estimates() -> None:
    found = estimates(np.arange(5.0), np.ones(5, dtype=int))
    assert all(math.isnan(one.value) and math.isnan(one.stderr) for one in found.values())


def test_the_best_method_is_found_and_copies_of_it_are_not_worse() -> None:
    correct, scores = made_up(400)
    ranking = rank([{**scores, "copy": scores["g_nll"].copy()}], [correct], 0.05)
    assert ranking.best == "g_nll"
    assert "copy" in ranking.not_worse
    assert ranking.p_values["copy"] == 1
    assert "sar" not in ranking.not_worse


def test_p_values_are_delongs_after_holms_correction() -> None:
    correct, scores = made_up(300)
    ranking = rank([scores], [correct], 0.05)
    others = [name for name in scores if name != ranking.best]
    plain = [functional.paired_auroc(scores[ranking.best], scores[name], correct).p_value for name in others]
    assert [ranking.p_values[name] for name in others] == pytest.approx(functional.holm(plain).tolist())


def test_the_average_is_tested_with_the_variance_of_a_mean_of_runs() -> None:
    runs = [made_up(300, seed=seed) for seed in (1, 2)]
    ranking = rank([scores for _, scores in runs], [correct for correct, _ in runs], 0.05)
    plain = []
    for other in ("semgrad", "sar"):
        found = [functional.paired_auroc(scores["g_nll"], scores[other], correct) for correct, scores in runs]
        z = sum(one.difference for one in found) / math.sqrt(sum(one.stderr**2 for one in found))
        plain.append(math.erfc(abs(z) / math.sqrt(2)))
    assert ranking.best == "g_nll"
    assert list(ranking.p_values.values()) == pytest.approx(functional.holm(plain).tolist())


def test_nothing_is_ranked_where_all_answers_are_right_or_no_run_is_left() -> None:
    assert rank([{"g_nll": np.arange(4.0)}], [np.ones(4, dtype=int)], 0.05).best is None
    assert rank([], [], 0.05).best is None


def test_an_average_with_an_undefined_part_is_undefined() -> None:
    assert math.isnan(average([Estimate(0.5, 0.1), UNDEFINED]).value)
    assert math.isnan(average([]).value)
