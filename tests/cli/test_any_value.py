"""Any JSON value in any field of the files that commands read: a status and a sentence, never a traceback or a hang."""

import copy
import json
import os
import sys
from pathlib import Path

import pytest

from tests.results.files import record, sample, simulated, write_run
from uq_harness.backends.saved.read import read_saved
from uq_harness.cli import main
from uq_harness.errors import UQHarnessError

DEEP = json.loads("[" * 400 + "]" * 400)
VALUES = (
    *(None, True, -1, 0, 3, 2.5, 10**400, float("nan"), float("inf"), float("-inf"), 1e308, "", "x", "\ud83d\x1b["),
    *([], [1], [None], ["x"], [{}], {}, {"x": 1}, {"a": {"b": [1]}}, DEEP),
)  # fmt: skip
OF_RESULTS = (
    *("results", "results.uq_sciq", "results.uq_sciq.auroc_sar,exact_match", "configs", "configs.uq_sciq"),
    *("configs.uq_sciq.metadata", "configs.uq_sciq.metadata.judges", "configs.uq_sciq.metadata.data_files"),
    *("configs.uq_sciq.metadata.judges.0", "configs.uq_sciq.metadata.judges.0.name", "configs.uq_sciq.num_fewshot"),
    *("configs.uq_sciq.metadata.judges.0.label", "configs.uq_sciq.metadata.judges.0.threshold"),
    *("configs.uq_sciq.generation_kwargs", "configs.uq_sciq.test_split", "configs.uq_sciq.doc_to_text"),
    *("configs.uq_sciq.description", "configs.uq_sciq.dataset_name", "versions", "versions.uq_sciq", "n-shot"),
    *("n-shot.uq_sciq", "n-samples", "n-samples.uq_sciq", "n-samples.uq_sciq.effective", "config", "config.model"),
    *("config.model_args", "config.model_args.pretrained", "config.model_revision", "config.uncertainty"),
    *("config.uncertainty.sp_token", "config.gen_kwargs", "config.limit", "config.torch_seed", "config.fewshot_seed"),
    *("config.model_dtype", "config.model_sha", "date", "model_name", "lm_eval_version", "transformers_version"),
    *("chat_template_sha", "system_instruction", "fewshot_as_multiturn", "git_hash", "model_source"),
)
OF_SAMPLES = (
    *("doc", "doc.question", "doc.answers", "doc.answers.0", "doc.uq", "doc.uq.answer", "doc.uq.uncertainty"),
    *("doc.uq.uncertainty.sar", "doc.uq.correct", "doc.uq.correctness", "doc.uq.answer_tokens", "doc.uq.cost"),
    *("doc.uq.cost.decode_seconds", "doc.uq.judge", "filter", "filtered_resps", "filtered_resps.0", "prompt_hash"),
)
OF_LOGS = (
    *("arguments", "arguments.gen_args_0", "arguments.gen_args_0.arg_0", "doc.uq.token_logprobs", "doc.uq.tokens"),
    *("doc.uq.token_entropies", "doc.uq.complete", "doc.uq.token_ids", "doc.uq.samples", "doc.uq.sample_sets"),
    *("resps", "target", "doc_id", "metrics"),
)
READERS = {
    "report": lambda runs, out: ["report", runs, "--output", out, "--no-plots", "--json"],
    "leaderboard": lambda runs, out: ["leaderboard", runs, "--output", out, "--json"],
    "compare": lambda runs, out: ["compare", runs, runs, "--json"],
    "threshold": lambda runs, out: ["threshold", runs, "--method", "sar", "--target", "0.5", "--json"],
}
N = 12


def put(holder, place, value):
    """Sets what stands at a dotted place, making objects on the way."""
    *way, last = place.split(".", place.count(".") if "," not in place else 2)
    for step in way:
        holder = holder[int(step)] if isinstance(holder, list) else holder.setdefault(step, {})
    holder[int(last) if isinstance(holder, list) else last] = value


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a command; returns its status and what it prints. Anything but an end with a status fails the test."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["uq-harness", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        status = end.value.code or 0
        assert status in (0, 1, 2), err
        if status == 2:
            assert err.splitlines()[-1].startswith("uq-harness: ")
        elif out:
            json.loads(out, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
        return status, out, err

    return call


@pytest.fixture
def lines():
    return simulated(N, {"sar": 2.0, "g_nll": 1.0})


@pytest.mark.parametrize("with_samples", [True, False], ids=["samples", "results alone"])
@pytest.mark.parametrize("place", OF_RESULTS)
def test_of_results(place, with_samples, lines, call, tmp_path):
    results = write_run(
        tmp_path / "runs",
        lines if with_samples else None,
        metrics={"accuracy,exact_match": 0.5, "auroc_sar,exact_match": 0.7},
    )
    content = json.loads(results.read_text(encoding="utf-8"))
    commands = READERS if with_samples else ("report", "leaderboard")
    for number, value in enumerate(VALUES):
        changed = copy.deepcopy(content)
        put(changed, place, value)
        results.write_text(json.dumps(changed), encoding="utf-8")
        command = [*commands][number % len(commands)]
        call(*READERS[command](tmp_path / "runs", tmp_path / "out"))


@pytest.mark.parametrize("place", OF_SAMPLES)
def test_of_samples(place, lines, call, tmp_path):
    for number, value in enumerate(VALUES):
        changed = copy.deepcopy(lines)
        put(changed[3], place, value)
        write_run(tmp_path / "runs", changed)
        command = [*READERS][number % len(READERS)]
        call(*READERS[command](tmp_path / "runs", tmp_path / "out"))


@pytest.mark.parametrize("value", [True, False, "0.5", [0.5], {"a": 0.5}])
@pytest.mark.parametrize("command", READERS)
def test_no_score_is_taken_for_something_else(command, value, lines, call, tmp_path):
    lines[0]["doc"]["uq"]["uncertainty"]["sar"] = value
    write_run(tmp_path / "runs", lines)
    status, _, err = call(*READERS[command](tmp_path / "runs", tmp_path / "out"))
    assert status == 2
    assert f"sar holds {value!r}, but must be a number or null" in err


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:12])
def test_of_logs_that_are_scored(value, call, tmp_path):
    """A line of its own has the value in each place; those that can be read are scored together."""
    places = [place for place in (*OF_SAMPLES, *OF_LOGS) if place != "filter"]
    lines = simulated(len(places), {"sar": 2.0, "g_nll": 1.0})
    read, refused = [], []
    for place, line in zip(places, lines, strict=True):
        put(line, place, value)
        write_run(tmp_path / "one", [line])
        try:
            read_saved(next((tmp_path / "one").rglob("samples_*")))
        except UQHarnessError as error:
            refused.append(str(error))
        else:
            read.append(line)
    assert all(".jsonl, line 1" in message for message in refused)
    write_run(tmp_path / "runs", read)
    log = next((tmp_path / "runs").rglob("samples_*"))
    arguments = ["--methods", "sar", "--correctness", "exact_match", "--json", "--output", tmp_path / "out"]
    status, out, err = call("score", log, *arguments)
    assert (status, json.loads(out)[0]["answers"]) == (0, len(read)), err


@pytest.mark.parametrize("value", ["x", {"x": 1}, [1], 10**400, "\ud83d"], ids=lambda value: repr(value)[:12])
def test_of_results_beside_logs_that_are_scored(value, lines, call, tmp_path):
    results = write_run(tmp_path / "runs", lines[:3])
    content = json.loads(results.read_text(encoding="utf-8"))
    log = next((tmp_path / "runs").rglob("samples_*"))
    arguments = ["--methods", "g_nll", "--correctness", "exact_match", "--json", "--output", tmp_path / "out"]
    for task in ("metadata", "generation_kwargs", "test_split", "doc_to_text", "dataset_name", "dataset_kwargs"):
        put(content, f"configs.uq_sciq.{task}", value)
    for config in ("model_args", "model", "uncertainty", "limit", "torch_seed"):
        put(content, f"config.{config}", value)
    results.write_text(json.dumps(content), encoding="utf-8")
    status, _, err = call("score", log, *arguments)
    assert status == 0, err


@pytest.mark.parametrize("task", ["a/b", "../x", "<script>alert(1)</script>", "x" * 300, "..", "\x1b[2J"])
@pytest.mark.parametrize("command", ["report", "leaderboard"])
def test_names_of_tasks(command, task, call, tmp_path):
    results = write_run(tmp_path / "runs", None)
    content = json.loads(results.read_text(encoding="utf-8"))
    for section in ("results", "configs", "versions"):
        content[section] = {task: content[section]["uq_sciq"]}
    content["results"][task] = {"accuracy,exact_match": 0.5}
    results.write_text(json.dumps(content), encoding="utf-8")
    assert call(*READERS[command](tmp_path / "runs", tmp_path / "out"))[0] == 0


@pytest.mark.parametrize("command", READERS)
class TestOtherKindsOfFiles:
    def test_a_link_to_itself_among_runs(self, command, lines, call, tmp_path):
        write_run(tmp_path / "runs", lines)
        (tmp_path / "runs" / "results_2026-01-01T00-00-00.json").symlink_to("results_2026-01-01T00-00-00.json")
        (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs")
        assert call(*READERS[command](tmp_path / "runs", tmp_path / "out"))[0] in (0, 1)

    def test_a_link_to_itself_by_itself(self, command, call, tmp_path):
        (tmp_path / "results.json").symlink_to("results.json")
        status, _, err = call(*READERS[command](tmp_path / "results.json", tmp_path / "out"))
        assert (status, "is neither a file nor a folder" in err) == (2, True)

    @pytest.mark.parametrize("name", ["samples_x_2026-01-01T00-00-00.jsonl", "results_2026-01-01T00-00-00.json"])
    def test_a_pipe_among_runs(self, command, name, lines, call, tmp_path):
        write_run(tmp_path / "runs", lines)
        os.mkfifo(tmp_path / "runs" / name)
        assert call(*READERS[command](tmp_path / "runs", tmp_path / "out"))[0] in (0, 1)

    def test_a_pipe_by_itself(self, command, call, tmp_path):
        os.mkfifo(tmp_path / "samples_x.jsonl")
        assert call(*READERS[command](tmp_path / "samples_x.jsonl", tmp_path / "out"))[0] == 2

    def test_a_pipe_beside_samples(self, command, lines, call, tmp_path):
        results = write_run(tmp_path / "runs", lines)
        results.unlink()
        os.mkfifo(results)
        assert call(*READERS[command](tmp_path / "runs", tmp_path / "out"))[0] in (0, 1)

    @pytest.mark.parametrize("path", ["~nouser/x", "x" * 5000, ""])
    def test_paths_that_no_file_has(self, command, path, call, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert call(*READERS[command](Path(path), tmp_path / "out"))[0] == 2

    @pytest.mark.parametrize("date", ["2026-99-99T99-99-99", "0000-00-00T00-00-00", "0001-01-01T00-00-00"])
    def test_dates_that_no_calendar_has(self, command, date, lines, call, tmp_path):
        write_run(tmp_path / "runs", lines, date=date).unlink()
        assert call(*READERS[command](tmp_path / "runs", tmp_path / "out"))[0] in (0, 1)


def test_scores_without_a_verdict_of_any_kind(call, tmp_path):
    write_run(tmp_path / "runs", [sample(0, record(None, {"sar": 1.0}))])
    for command in READERS.values():
        assert call(*command(tmp_path / "runs", tmp_path / "out"))[0] in (0, 2)
