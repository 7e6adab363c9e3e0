"""Rows of the leaderboard, and its files."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.runs import made_up, write_run
from uq_harness.functional import aurc, auroc
from uq_harness.report.leaderboard import Leaderboard, collect_leaderboard, write_leaderboard
from uq_harness.report.write import read_with_warnings


def collect(folder: Path) -> Leaderboard:
    return collect_leaderboard(read_with_warnings([folder])[0])


def read(table: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.read_text(encoding="utf-8"))))


def test_a_row_has_quality_rank_cost_date_and_versions(tmp_path: Path) -> None:
    correct, scores = made_up(50)
    write_run(tmp_path, correct, scores)
    entries = {entry.method: entry for entry in collect(tmp_path).entries}
    found = entries["semgrad"]
    assert (found.model, found.label) == ("org/small-model", "small-model")
    assert found.accuracy.value == correct.mean()
    assert found.auroc.value == auroc(scores["semgrad"], correct)
    assert found.aurc.value == aurc(scores["semgrad"], correct)
    assert found.rank == (2, 3)
    assert entries["g_nll"].best
    assert not found.best
    assert found.extra_seconds == pytest.approx(0.05)
    assert found.versions == {"task": "1.0", "lm_eval": "0.4.13", "transformers": "5.24.0"}
    assert found.date.startswith("2026-01-02T")
    assert '"pretrained": "org/small-model"' in found.configuration


def test_results_without_samples_are_rows_without_a_place(tmp_path: Path) -> None:
    write_run(tmp_path, [0, 1], {}, metrics={"accuracy": 0.5, "auroc_sar": 0.7}, samples=False)
    board = collect(tmp_path)
    (entry,) = board.entries
    assert (entry.method, entry.auroc.value, entry.questions, entry.rank) == ("sar", 0.7, 2, None)
    assert math.isnan(entry.extra_seconds)
    assert board.boards == ()
    assert "logged no samples" in board.notes[0]
    page, *_ = write_leaderboard(board, tmp_path / "out", "Test")
    assert 'id="view"' not in page.read_text(encoding="utf-8")


def test_numbers_from_few_right_answers_are_marked(tmp_path: Path) -> None:
    _, scores = made_up(60)
    write_run(tmp_path / "few", (np.arange(60) < 4).astype(int), {"g_nll": scores["g_nll"]}, model="org/few")
    write_run(tmp_path / "many", (np.arange(60) < 30).astype(int), {"g_nll": scores["g_nll"]}, model="org/many")
    page, table, _ = write_leaderboard(collect(tmp_path), tmp_path / "out", "Test")
    assert {row["model"]: row["few_right_or_wrong"] for row in read(table)} == {"org/few": "1", "org/many": "0"}
    assert page.read_text(encoding="utf-8").count("‡</span>") == 3  # AUROC, AURC, PRR


def test_an_all_correct_run_has_empty_numbers(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", np.ones(20, dtype=int), {"g_nll": np.arange(20.0)})
    board = collect(tmp_path)
    _, table, _ = write_leaderboard(board, tmp_path / "out", "Test")
    (row,) = read(table)
    assert (row["accuracy"], row["auroc"], row["rank_best"]) == ("1.0", "", "")
    assert row["results"].startswith("../runs/org__small-model/results_")
    assert board.boards[0].methods[""]["auroc"] == {}


def test_parquet_holds_the_same_rows_with_types(tmp_path: Path) -> None:
    import pyarrow.parquet

    write_run(tmp_path, *made_up(50))
    write_run(tmp_path, np.ones(20, dtype=int), {"g_nll": np.arange(20.0)}, task="uq_easy", date="2026-01-03T00-00-00")
    _, table, parquet = write_leaderboard(collect(tmp_path), tmp_path, "Test")
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(parquet).to_pylist()
    texts = read(table)
    assert [list(row) for row in rows] == [list(row) for row in texts]
    assert len(rows) == 4
    for row, text in zip(rows, texts, strict=True):
        for name, value in row.items():
            assert (text[name] == "") if value is None or value == "" else (type(value)(text[name]) == value), name
    assert isinstance(rows[0]["questions"], int)
    assert any(row["auroc"] is None for row in rows)


def test_methods_of_a_run_are_rows_with_the_best_first(tmp_path: Path) -> None:
    write_run(tmp_path, *made_up(50, ("sar", "semgrad", "g_nll")))
    values = [entry.auroc.value for entry in collect(tmp_path).entries]
    assert values == sorted(values, reverse=True)


def test_a_label_tells_runs_of_one_model_apart_and_holds_no_path(tmp_path: Path) -> None:
    for number, dtype in enumerate(("float32", "bfloat16")):
        write_run(
            tmp_path / str(number),
            *made_up(50, seed=number),
            model="/home/someone/models/small",
            model_args={"dtype": dtype, "tokenizer": f"/home/someone/{number}/words"},
            config={"limit": 50.0, "model_dtype": f"torch.{dtype}"},
            date=f"2026-01-0{number + 1}T00-00-00",
        )
    labels = {entry.label for entry in collect(tmp_path).entries}
    assert labels == {"small (dtype=float32, tokenizer=words)", "small (dtype=bfloat16, tokenizer=words)"}
