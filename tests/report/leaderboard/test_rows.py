"""Rows of the leaderboard."""

import csv
import io
import math
from pathlib import Path

import numpy as np
import pytest

from tests.report.runs import made_up, write_run
from uq_harness.functional import aurc, auroc
from uq_harness.report.leaderboard import collect_entries, write_leaderboard
from uq_harness.report.write import read_with_warnings


def test_a_row_has_quality_cost_date_and_versions(tmp_path: Path) -> None:
    correct, scores = made_up(50)
    write_run(tmp_path, correct, scores)
    entries = {entry.method: entry for entry in collect_entries(read_with_warnings([tmp_path])[0])}
    found = entries["semgrad"]
    assert found.model == "org/small-model"
    assert found.accuracy.value == correct.mean()
    assert found.auroc.value == auroc(scores["semgrad"], correct)
    assert found.aurc.value == aurc(scores["semgrad"], correct)
    assert found.extra_seconds == pytest.approx(0.05)
    assert found.versions == {"task": "1.0", "lm_eval": "0.4.13", "transformers": "5.24.0"}
    assert found.date.startswith("2026-01-02T")
    assert '"pretrained": "org/small-model"' in found.configuration


def test_results_without_samples_are_rows_too(tmp_path: Path) -> None:
    write_run(tmp_path, [0, 1], {}, metrics={"accuracy": 0.5, "auroc_sar": 0.7}, samples=False)
    (entry,) = collect_entries(read_with_warnings([tmp_path])[0])
    assert (entry.method, entry.auroc.value, entry.questions) == ("sar", 0.7, 2)
    assert math.isnan(entry.extra_seconds)


def test_numbers_from_few_right_answers_are_marked(tmp_path: Path) -> None:
    _, scores = made_up(60)
    write_run(tmp_path / "few", (np.arange(60) < 4).astype(int), {"g_nll": scores["g_nll"]}, model="org/few")
    write_run(tmp_path / "many", (np.arange(60) < 30).astype(int), {"g_nll": scores["g_nll"]}, model="org/many")
    page, table = write_leaderboard(collect_entries(read_with_warnings([tmp_path])[0]), tmp_path / "out", "Test")
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(table.read_text(encoding="utf-8")))}
    assert {model: row["few_right_or_wrong"] for model, row in rows.items()} == {"org/few": "1", "org/many": "0"}
    assert page.read_text(encoding="utf-8").count("‡</span>") == 3  # AUROC, AURC, PRR


def test_an_all_correct_run_has_empty_numbers(tmp_path: Path) -> None:
    write_run(tmp_path, np.ones(20, dtype=int), {"g_nll": np.arange(20.0)})
    entries = collect_entries(read_with_warnings([tmp_path])[0])
    _, table = write_leaderboard(entries, tmp_path / "out", "Test")
    (row,) = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8")))
    assert (row["accuracy"], row["auroc"]) == ("1.0", "")
    assert row["results"].startswith("../org__small-model/results_")
