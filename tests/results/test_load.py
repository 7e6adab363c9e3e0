"""Reading results: what lm_eval really writes, and whatever may be wrong with it."""

import json
import logging
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pytest

from tests.results.files import DATE, record, sample, simulated, write_run
from uq_harness.cli.run import run_lm_eval
from uq_harness.errors import UQHarnessError
from uq_harness.results.load import load_runs

METHODS = {"semgrad": 1.0, "g_nll": 0.5}


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The demo model's folder of results, under two judges."""
    folder = tmp_path_factory.mktemp("real")
    judges = ["exact_match", {"name": "token_recall", "threshold": 0.4}]
    run_lm_eval(
        [
            *("--model", "uq-hf", "--model_args", "pretrained=demo,dtype=float32,methods=g_nll+semgrad"),
            *("--tasks", "uq_demo", "--apply_chat_template", "--batch_size", "16", "--device", "cpu", "--limit", "40"),
            *("--metadata", json.dumps({"correctness": judges})),
            *("--output_path", str(folder), "--log_samples"),
        ]
    )
    return folder


class TestWhatLmEvalWrites:
    def test_one_run_a_judge(self, real):
        runs = load_runs(real)
        assert [(run.model, run.task, run.judge, len(run)) for run in runs] == [
            ("demo", "uq_demo", "exact_match", 40),
            ("demo", "uq_demo", "token_recall", 40),
        ]
        assert runs[1].judge_settings["threshold"] == 0.4
        assert runs[0].keys == runs[1].keys

    def test_columns_are_those_of_the_file(self, real):
        lines = [json.loads(line) for line in next(real.rglob("samples_*.jsonl")).read_text("utf-8").splitlines()]
        run = load_runs(real)[0]
        docs = [line["doc"] for line in lines if line["filter"] == "exact_match"]
        assert list(run.questions) == [doc["question"] for doc in docs]
        assert [list(references) for references in run.references] == [doc["answers"] for doc in docs]
        records = [doc["uq"] for doc in docs]
        assert list(run.answers) == [r["answer"] for r in records]
        assert run.correct.tolist() == [r["correct"] for r in records]
        assert run.correctness.tolist() == [r["correctness"] for r in records]
        assert run.answer_tokens.tolist() == [r["answer_tokens"] for r in records]
        assert run.uncertainty["semgrad"].tolist() == [r["uncertainty"]["semgrad"] for r in records]
        assert run.costs["decode_seconds"].tolist() == [r["cost"]["decode_seconds"] for r in records]
        assert all(len(prompt_hash) == 64 for prompt_hash in run.prompt_hashes)

    def test_configuration_and_aggregates_are_there(self, real):
        run = load_runs(real)[0]
        assert run.metrics["accuracy"] == pytest.approx(run.accuracy)
        assert run.metrics["auroc_semgrad_stderr"] > 0
        assert run.versions == {
            "task": "1.0",
            "lm_eval": run.configuration["lm_eval_version"],
            "transformers": run.configuration["transformers_version"],
        }
        assert run.configuration["config"]["model_args"]["methods"] == "g_nll+semgrad"
        assert abs((datetime.now(UTC) - run.date).total_seconds()) < 3600

    @pytest.mark.parametrize("pattern", ["results_*.json", "samples_*.jsonl"])
    def test_one_of_the_files_will_do(self, real, pattern):
        found, whole = load_runs(next(real.rglob(pattern))), load_runs(real)
        assert [(run.model, run.judge, run.correct.tolist()) for run in found] == [
            (run.model, run.judge, run.correct.tolist()) for run in whole
        ]


class TestSeveralRuns:
    def test_paths_that_overlap_are_read_once(self, tmp_path):
        results = write_run(tmp_path, simulated(5, METHODS))
        assert len(load_runs([tmp_path, results, results.parent], repeated=True)) == 1

    def test_sorted_by_model_and_task(self, tmp_path):
        for model in ("org/b", "a"):
            for task, date in (("uq_triviaqa", DATE), ("uq_sciq", "2026-05-05T12-00-00.000000")):
                write_run(tmp_path, simulated(5, METHODS), model=model, task=task, date=date)
        found = [(run.model, run.task) for run in load_runs(tmp_path)]
        assert found == [("a", "uq_sciq"), ("a", "uq_triviaqa"), ("org/b", "uq_sciq"), ("org/b", "uq_triviaqa")]

    def test_the_newest_of_repeated_runs_and_what_it_lacks(self, tmp_path, caplog):
        write_run(tmp_path, simulated(5, METHODS), date="2026-05-05T12-00-00.000000", started=2e9)
        write_run(tmp_path, simulated(4, {"sar": 1.0}), date="2026-05-06T12-00-00.000000", started=1e9)
        assert [len(run) for run in load_runs(tmp_path)] == [5]
        assert "a-model on uq_sciq (exact_match) was run 2 times: only the newest is read" in caplog.text
        assert "which lacks sar" in caplog.text
        assert [len(run) for run in load_runs(tmp_path, repeated=True)] == [4, 5]

    def test_a_revision_is_a_model_of_its_own(self, tmp_path):
        write_run(tmp_path, simulated(5, METHODS), config={"model_revision": "step100"})
        write_run(tmp_path, simulated(5, METHODS), date="2026-05-05T12-00-00.000000")
        assert [run.model for run in load_runs(tmp_path)] == ["a-model", "a-model@step100"]

    def test_a_judges_settings_are_found_by_its_label(self, tmp_path):
        judges = [{"name": "llm_judge", "model": "m"}, {"name": "llm_judge", "label": "second", "model": "n"}]
        lines = [sample(0, record(1, {"a": 0.5}), judge=judge) for judge in ("llm_judge", "second")]
        write_run(tmp_path, lines, judges=judges)
        assert {run.judge: run.judge_settings["model"] for run in load_runs(tmp_path)} == {
            "llm_judge": "m",
            "second": "n",
        }

    def test_questions_are_known_by_text_and_references(self, tmp_path):
        write_run(tmp_path, simulated(5, METHODS), model="a")
        write_run(tmp_path, simulated(9, METHODS, seed=1)[::-1], model="b")
        a, b = load_runs(tmp_path)
        assert set(a.keys) < set(b.keys)
        assert a.keys[0] == b.keys[-1]
        assert a.questions[0] is b.questions[-1]

    def test_the_same_question_with_other_references_is_another(self, tmp_path):
        lines = [sample(0, record(1, {"g_nll": 0.1})) for _ in range(2)]
        lines[1]["doc"]["answers"] = ["something else"]
        write_run(tmp_path, lines)
        assert load_runs(tmp_path)[0].duplicates == 0


class TestFaults:
    def test_null_and_nan_are_nan(self, tmp_path):
        scores = [{"a": None, "b": float("nan")}, {"a": 0.5, "b": 1}, {"b": float("inf")}]
        write_run(tmp_path, [sample(i, record(1, s)) for i, s in enumerate(scores)])
        run = load_runs(tmp_path)[0]
        np.testing.assert_array_equal(run.uncertainty["a"], [np.nan, 0.5, np.nan])
        np.testing.assert_array_equal(run.uncertainty["b"], [np.nan, 1, np.inf])

    def test_a_method_that_some_answers_do_not_have_is_nan_there(self, tmp_path):
        scores = [{}, {"a": 1.5}, {"b": 2.5, "a": 3.5}, {"b": 4.5}, {}]
        write_run(tmp_path, [sample(i, record(1, s, cost={"row_steps": i})) for i, s in enumerate(scores)])
        run = load_runs(tmp_path)[0]
        assert list(run.uncertainty) == ["a", "b"]
        np.testing.assert_array_equal(run.uncertainty["a"], [np.nan, 1.5, 3.5, np.nan, np.nan])
        np.testing.assert_array_equal(run.uncertainty["b"], [np.nan, np.nan, 2.5, 4.5, np.nan])
        np.testing.assert_array_equal(run.costs["row_steps"], np.arange(5))

    @pytest.mark.parametrize(
        ("scores", "reason"),
        [
            ({"a": True}, "uncertainty: a holds True"),
            ({"a": 10**400}, "uncertainty: a holds a whole number that is too large"),
            ([0.5], "uncertainty is .* in a line, but must be an object"),
        ],
    )
    def test_what_is_no_table_of_numbers_is_an_error(self, tmp_path, scores, reason):
        lines = [sample(0, record(1, {"a": 0.5})), sample(1, record(1, {"a": 0.5}))]
        lines[1]["doc"]["uq"]["uncertainty"] = scores
        write_run(tmp_path, lines)
        with pytest.raises(UQHarnessError, match=reason):
            load_runs(tmp_path)

    def test_a_text_for_a_score_is_an_error(self, tmp_path):
        write_run(tmp_path, [sample(0, record(1, {"a": "high"}))])
        with pytest.raises(UQHarnessError, match="jsonl: uncertainty: a holds 'high', but must be a number or null"):
            load_runs(tmp_path)

    @pytest.mark.parametrize("cut", [1, 30, 700, -80])
    def test_a_line_cut_off_is_left_out_with_a_warning(self, tmp_path, caplog, cut):
        write_run(tmp_path, simulated(5, METHODS))
        file = next(tmp_path.rglob("samples_*.jsonl"))
        *whole, last = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join(whole) + last[:cut])
        assert len(load_runs(tmp_path)[0]) == 4
        assert "1 lines are left out, cut off or not valid JSON (line 5)" in caplog.text

    def test_a_line_cut_off_inside_a_character(self, tmp_path, caplog):
        write_run(tmp_path, [sample(i, record(1, {"a": 0.5}, answer="naïve")) for i in range(2)])
        file = next(tmp_path.rglob("samples_*.jsonl"))
        content = file.read_bytes()
        file.write_bytes(content[: content.rindex("ï".encode()) + 1])
        assert load_runs(tmp_path)[0].answers == ("naïve",)
        assert "1 lines are left out" in caplog.text

    def test_duplicated_questions_are_kept_and_counted(self, tmp_path):
        write_run(tmp_path, simulated(5, METHODS) + simulated(2, METHODS, seed=1))
        run = load_runs(tmp_path)[0]
        assert (len(run), run.duplicates) == (7, 2)

    def test_odd_characters_stay(self, tmp_path):
        odd = 'a\u2028b\r\n| <b>\x1b[31m שלום", "target_hash": "'
        write_run(tmp_path, [sample(0, record(1, {"a": 0.5}, answer=odd))])
        assert load_runs(tmp_path)[0].answers == (odd,)

    def test_a_document_with_a_field_named_like_lm_evals(self, tmp_path):
        line = sample(0, record(1, {"a": 0.5}))
        line["doc"] = {"target": "x", "target_hash": "y", **line["doc"]}
        write_run(tmp_path, [line])
        assert load_runs(tmp_path)[0].uncertainty["a"].tolist() == [0.5]

    def test_answers_without_a_verdict_are_left_out_with_a_warning(self, tmp_path, caplog):
        write_run(tmp_path, [sample(i, record(c, {"a": i})) for i, c in enumerate([1, None, 0])])
        assert load_runs(tmp_path)[0].uncertainty["a"].tolist() == [0, 2]
        assert "1 answers without a verdict of exact_match are left out" in caplog.text

    def test_tasks_of_other_packages_are_left_out_with_a_warning(self, tmp_path, caplog):
        line = sample(0, record(1, {}))
        del line["doc"]["uq"]
        write_run(tmp_path, [line], task="gsm8k")
        write_run(tmp_path, simulated(3, METHODS), date="2026-05-05T12-00-00.000000")
        assert [run.task for run in load_runs(tmp_path)] == ["uq_sciq"]
        assert "no doc.uq" in caplog.text

    def test_a_model_without_uncertainty_has_its_correctness(self, tmp_path):
        lines = [sample(i, {"correct": 1, "correctness": 1.0}) for i in range(3)]
        write_run(tmp_path, lines)
        run = load_runs(tmp_path)[0]
        assert (run.accuracy, run.uncertainty, run.answers[0]) == (1, {}, "an answer")

    def test_samples_alone_are_read_with_a_warning(self, tmp_path, caplog):
        write_run(tmp_path, simulated(3, METHODS), model="org/model").unlink()
        run = load_runs(tmp_path)[0]
        assert (run.model, run.task, run.configuration) == ("org__model", "uq_sciq", {})
        assert run.date is not None
        assert "no results file is next to it" in caplog.text

    def test_results_without_samples_are_left_out_unless_wanted(self, tmp_path, caplog):
        caplog.set_level(logging.WARNING)
        write_run(tmp_path, None, model="a", metrics={"accuracy,bem": 0.7, "auroc_sar,bem": 0.8, "n,bem": "N/A"})
        write_run(tmp_path, simulated(3, METHODS), model="b")
        assert [run.model for run in load_runs(tmp_path)] == ["b"]
        assert "uq_sciq is left out, since it has no samples: run lm_eval with --log_samples" in caplog.text
        bare = load_runs(tmp_path, without_samples=True)[0]
        assert (bare.model, bare.judge, len(bare)) == ("a", "bem", 0)
        assert bare.metrics == {"accuracy": 0.7, "auroc_sar": 0.8}
        assert np.isnan(bare.accuracy)

    @pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}'])
    def test_other_json_is_left_out_with_a_warning(self, tmp_path, caplog, content):
        (tmp_path / "results.json").write_text(content)
        write_run(tmp_path, simulated(3, METHODS))
        assert len(load_runs(tmp_path)) == 1
        assert "results.json is left out" in caplog.text

    def test_nothing_to_read_is_an_error(self, tmp_path):
        with pytest.raises(UQHarnessError, match=r"holds neither results_\*\.json nor samples_\*\.jsonl"):
            load_runs(tmp_path)
        with pytest.raises(UQHarnessError, match="does not exist"):
            load_runs(tmp_path / "nowhere")
        write_run(tmp_path, None)
        with pytest.raises(UQHarnessError, match="no samples of a task of uq-harness"):
            load_runs(tmp_path)


def test_renamed_files_belong_together(tmp_path):
    results = write_run(tmp_path, simulated(3, METHODS))
    results.rename(results.with_name("results.json"))
    file = next(tmp_path.rglob("samples_*.jsonl"))
    file.rename(file.with_name("samples_uq_sciq.jsonl"))
    assert [(run.model, len(run)) for run in load_runs(tmp_path)] == [("a-model", 3)]


@pytest.mark.parametrize("rows", [[3, 1], [False, True, False, True, False]])
def test_take_reduces_every_column(tmp_path, rows):
    write_run(tmp_path, simulated(5, METHODS))
    run = load_runs(tmp_path)[0]
    part = run.take(np.array(rows))
    chosen = np.arange(5)[np.array(rows)]
    assert part.questions == tuple(run.questions[i] for i in chosen)
    assert part.uncertainty["semgrad"].tolist() == run.uncertainty["semgrad"][chosen].tolist()
    assert len(part) == len(part.correct) == len(part.answers) == 2
    assert part.metrics == {}


def test_little_more_than_eight_bytes_a_score_is_held(tmp_path):
    """A list of objects, as JSON has them, takes more than a hundred."""
    methods = [f"method_{number}" for number in range(100)]
    peaks = []
    for count in (200, 1200):
        folder = tmp_path / str(count)
        write_run(folder, [sample(i, record(1, dict.fromkeys(methods, i + 0.5))) for i in range(count)])
        tracemalloc.start()
        assert len(load_runs(folder)[0]) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[1] - peaks[0]) / 1000 < 40 * len(methods)
