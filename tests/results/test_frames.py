"""Results as DataFrames: every answer, score and number is there, and Parquet gives them back."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import uq_harness
from tests.report.runs import HOSTILE, made_up, write_run
from uq_harness.errors import UQHarnessError
from uq_harness.functional import auroc
from uq_harness.results.load import load_runs

METRICS = {"accuracy": 0.6, "accuracy_stderr": 0.05, "auroc_g_nll": 0.8, "auroc_g_nll_stderr": 0.02, "prr_semgrad": 0.5}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    correct, scores = made_up(30)
    scores = {name: [None if row == 3 else value for row, value in enumerate(some)] for name, some in scores.items()}
    write_run(tmp_path, correct, scores, metrics=METRICS, model_args={"dtype": "float32"})
    write_run(tmp_path, *made_up(20, methods=("g_nll",), seed=1), model="org/other", cost={"decode_seconds": 0.1})
    return tmp_path


def test_every_answer_and_score_is_there_once(results: Path) -> None:
    frames = uq_harness.load(results)
    assert repr(frames) == "Frames(runs: 2 rows, metrics: 3 rows, samples: 50 rows, scores: 110 rows)"
    for number, run in enumerate(load_runs(results)):
        row = frames.runs.iloc[number]
        assert (row.run, row.model, row.task, row.judge) == (number, run.model, run.task, run.judge)
        assert (row["samples"], row.accuracy, row.date) == (len(run), run.accuracy, pd.Timestamp(run.date))
        samples = frames.samples[frames.samples.run == number]
        assert list(samples["sample"]) == list(range(len(run)))
        assert list(samples.question_id) == list(run.keys)
        assert list(samples.question) == list(run.questions)
        assert list(map(tuple, samples.references)) == list(run.references)
        assert list(samples.answer) == list(run.answers)
        assert list(samples.correct) == list(run.correct)
        np.testing.assert_array_equal(samples.decode_seconds, run.costs["decode_seconds"])
        scores = frames.scores[frames.scores.run == number]
        wide = scores.pivot(index="sample", columns="method", values="value")
        assert set(wide.columns[wide.notna().any()]) == set(run.uncertainty)
        for method, values in run.uncertainty.items():
            np.testing.assert_array_equal(wide[method], values)
    assert frames.samples[frames.samples.run == 0].nli_pairs.isna().all()
    assert json.loads(frames.runs.settings[1])["dtype"] == "float32"


def test_a_table_of_areas_in_one_line_of_pandas(results: Path) -> None:
    frames = uq_harness.load(results)
    found = frames.scores.groupby(["run", "method"], observed=True).apply(
        lambda some: auroc(some.value.to_numpy(), some.correct.to_numpy())
    )
    run = load_runs(results)[1]
    assert found[1, "g_nll"] == auroc(run.uncertainty["g_nll"], run.correct)


def test_metrics_have_their_method_and_error(results: Path) -> None:
    metrics = uq_harness.load(results).metrics.set_index(["measure", "method"])
    assert set(metrics.run) == {1}
    assert tuple(metrics.loc[("auroc", "g_nll"), ["value", "stderr"]]) == (0.8, 0.02)
    assert np.isnan(metrics.loc[("prr", "semgrad"), "stderr"])
    accuracy = metrics[metrics.index.get_level_values("method").isna()]
    assert list(accuracy.index.get_level_values("measure")) == ["accuracy"]
    assert accuracy.iloc[0].stderr == 0.05


def test_parquet_gives_the_tables_back(results: Path, tmp_path: Path) -> None:
    frames = uq_harness.load(results)
    files = frames.to_parquet(tmp_path / "new" / "tables")
    assert [file.name for file in files] == ["runs.parquet", "metrics.parquet", "samples.parquet", "scores.parquet"]
    for file in files:
        read, table = pd.read_parquet(file), getattr(frames, file.stem)
        if "references" in table:
            read["references"] = list(map(list, read["references"]))
        pd.testing.assert_frame_equal(read, table)


def test_parquet_holds_whatever_a_model_wrote(tmp_path: Path) -> None:
    write_run(tmp_path, [1] * len(HOSTILE), {"g_nll": [0.1] * len(HOSTILE)}, answers=HOSTILE, questions=HOSTILE)
    frames = uq_harness.load(tmp_path)
    frames.to_parquet(tmp_path)
    read = pd.read_parquet(tmp_path / "samples.parquet")
    assert list(read.answer) == [text.replace("\ud83d", r"\ud83d") for text in HOSTILE]


def test_runs_without_samples_keep_their_metrics(tmp_path: Path) -> None:
    write_run(tmp_path, [1, 0], {}, samples=False, metrics=METRICS)
    frames = uq_harness.load(tmp_path)
    assert (len(frames.runs), len(frames.metrics), len(frames.samples), len(frames.scores)) == (1, 3, 0, 0)
    assert list(frames.scores.columns) == ["run", "sample", "question_id", "method", "value", "correct"]
    frames.to_parquet(tmp_path)


def test_a_question_asked_twice_stays_two_samples(tmp_path: Path) -> None:
    write_run(tmp_path, [1, 0], {"g_nll": [0.1, 0.2]}, questions=["Who?", "Who?"])
    samples = tmp_path / "org__small-model" / next(tmp_path.rglob("samples_*.jsonl")).name
    samples.write_text(samples.read_text(encoding="utf-8").replace("reference 1", "reference 0"), encoding="utf-8")
    scores = uq_harness.load(tmp_path).scores
    assert scores.question_id.nunique() == 1
    assert list(scores["sample"]) == [0, 1]


def test_where_it_cannot_be_written_is_said(results: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UQHarnessError, match="cannot be written"):
        uq_harness.load(results).to_parquet(tmp_path / "file")
    with pytest.raises(UQHarnessError, match="does not exist"):
        uq_harness.load(tmp_path / "nowhere")


def test_the_package_imports_no_pandas_by_itself() -> None:
    code = "import sys, uq_harness; print({'pandas', 'pyarrow', 'torch', 'numpy'} & set(sys.modules))"
    root = Path(uq_harness.__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout == "set()\n"
