"""What `score` writes: whole files in strict JSON, inside the folder that was named."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.results.files import simulated, write_run
from tests.support import warnings_of
from uq_harness.backends.saved.read import read_saved
from uq_harness.cli import main
from uq_harness.errors import UQHarnessError
from uq_harness.models.score_file import score_file
from uq_harness.results.load import load_runs

GOOD = {"question": "Who wrote Emma?", "answers": ["Jane Austen"], "answer": "Austen"}
# Any file ends at so many bytes, as on a full disk.
LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from uq_harness.cli import main
main()
"""


def written(folder: Path, *rows: object) -> Path:
    file = folder / "saved.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def score(file: Path, folder: Path, **names: str) -> list[Path]:
    saved = read_saved(file)
    return list(score_file(saved, methods="g_nll", correctness="exact_match", output=folder, **names).written)


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))


def test_both_files_are_strict_json(tmp_path: Path) -> None:
    """One answer gives no AUROC and no error, and its score is unknown."""
    results, samples = score(written(tmp_path, {**GOOD, "token_logprobs": [None]}), tmp_path / "out")
    found = strict(results.read_text(encoding="utf-8"))["results"]["saved"]
    assert (found["auroc_g_nll,exact_match"], found["accuracy,exact_match"]) == ("N/A", 0.0)
    (line,) = samples.read_text(encoding="utf-8").splitlines()
    assert strict(line)["doc"]["uq"]["uncertainty"] == {"g_nll": None}


@pytest.mark.parametrize("room", [100, 20_000])
def test_a_full_disk_ends_with_status_2_and_nothing_torn(tmp_path: Path, room: int) -> None:
    rows = [{**GOOD, "question": f"Question {n}?", "token_logprobs": [-0.5] * 40} for n in range(60)]
    file = written(tmp_path, *rows)
    options = ["--methods", "g_nll", "--correctness", "exact_match", "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(room), "score", str(file), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "could not be written" in done.stderr
    assert "in full" in done.stderr
    assert "written: " not in done.stdout
    assert [file for file in (tmp_path / "out").rglob("*") if file.is_file()] == []


@pytest.mark.parametrize("name", ["..", ".", "a\nb", "\x1b[31m", "x" * 300])
def test_a_name_that_leads_elsewhere_is_refused_whatever_its_source(tmp_path: Path, name: str) -> None:
    given = written(tmp_path, {**GOOD, "token_logprobs": [-1.0]})
    with pytest.raises(UQHarnessError, match=r"--model_name .* cannot be part of a file's name"):
        score(given, tmp_path / "out", model=name)
    write_run(tmp_path / "runs", simulated(5, {"g_nll": 1.0}), model_name=name)
    with pytest.raises(UQHarnessError, match=r"--model_name .* cannot be part of a file's name"):
        score(next((tmp_path / "runs").rglob("samples_*")), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["..", "a/b", "../x"])
def test_so_is_such_a_name_of_a_task(tmp_path: Path, name: str) -> None:
    with pytest.raises(UQHarnessError, match=r"--task_name .* cannot be part of a file's name"):
        score(written(tmp_path, {**GOOD, "token_logprobs": [-1.0]}), tmp_path / "out", task=name)


@pytest.mark.parametrize("name", ["org/model", "/models/a/b", "../x", "...", "a|b"])
def test_what_is_written_lies_in_the_folder(tmp_path: Path, name: str) -> None:
    files = score(written(tmp_path, {**GOOD, "token_logprobs": [-1.0]}), tmp_path / "in" / "out", model=name)
    assert len(files) == 2
    assert all(file.resolve().is_relative_to(tmp_path / "in" / "out") for file in files)
    assert sorted(file for file in (tmp_path / "in").rglob("*") if file.is_file()) == sorted(files)


def test_an_output_that_is_called_like_a_file_is_refused(tmp_path: Path) -> None:
    """lm_eval writes next to such a folder."""
    with pytest.raises(UQHarnessError, match=r"out\.json' is called like a file: name a folder"):
        score(written(tmp_path, {**GOOD, "token_logprobs": [-1.0]}), tmp_path / "out.json")


class TestUnknownLogProbabilities:
    """Servers write -9999.0 for one that they did not keep."""

    ROWS = (
        {**GOOD, "token_logprobs": [-0.5, -9999.0]},
        {**GOOD, "question": "Who?", "token_logprobs": [-0.5], "samples": [{"text": "a", "token_logprobs": [-9999]}]},
        {**GOOD, "question": "What?", "token_logprobs": [-9998.0]},
    )

    def test_the_score_is_undefined_and_the_record_holds_null(self, tmp_path: Path) -> None:
        _, samples = score(written(tmp_path, *self.ROWS), tmp_path / "out")
        records = [json.loads(line)["doc"]["uq"] for line in samples.read_text(encoding="utf-8").splitlines()]
        assert [record["uncertainty"]["g_nll"] for record in records] == [None, 0.5, 9998.0]
        assert records[0]["token_logprobs"] == [-0.5, None]

    def test_a_file_warns_once(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        read_saved(written(tmp_path, *self.ROWS))
        said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert len(said) == 1
        assert "2 log-probabilities are -9999.0" in said[0]

    def test_null_needs_no_warning(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        read_saved(written(tmp_path, {**GOOD, "token_logprobs": [None, -1]}))
        assert not warnings_of(caplog)


def test_a_log_under_another_name_is_read(tmp_path: Path) -> None:
    write_run(tmp_path, simulated(5, {"g_nll": 1.0}))
    log = next(tmp_path.rglob("samples_*"))
    renamed = log.rename(log.with_name("samples.json"))
    saved = read_saved(renamed)
    assert (len(saved.answers), saved.task) == (5, "samples")


def test_a_rejudged_log_of_a_run_is_read_by_all(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", simulated(20, {"g_nll": 1.0}), config={"model": "uq-hf", "x": float("nan")})
    files = score(next((tmp_path / "runs").rglob("samples_*")), tmp_path / "out")
    assert strict(files[0].read_text(encoding="utf-8"))
    (run,) = load_runs(files)
    assert len(run) == 20


def test_names_are_checked_before_any_file_is_scored(tmp_path: Path, monkeypatch, capsys) -> None:
    file = written(tmp_path, {**GOOD, "token_logprobs": [-1.0]})
    monkeypatch.setattr(
        sys, "argv", ["uq-harness", "score", str(file), "--model_name", "..", "--output", str(tmp_path / "out")]
    )
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "--model_name '..' cannot be part" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
