"""Commands that read results, given what cannot be read or only in part."""

import sys

import pytest

from tests.results.files import record, sample, simulated, write_run
from uq_harness.cli import main

METHODS = {"g_nll": 2.0, "sar": 2.0}
COMMANDS = {
    "compare": lambda folder: ["compare", folder, folder],
    "threshold": lambda folder: ["threshold", folder, "--method", "sar", "--target", "0.3"],
}
every_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def call(monkeypatch, capsys):
    """Runs a command on a folder; returns its exit status and all it says."""

    def call(command, folder):
        monkeypatch.setattr(sys, "argv", ["uq-harness", *map(str, COMMANDS[command](folder))])
        with pytest.raises(SystemExit) as end:
            main()
        return end.value.code or 0, "".join(capsys.readouterr())

    return call


@every_command
def test_an_empty_folder(call, tmp_path, command):
    status, said = call(command, tmp_path)
    assert status == 2
    assert "holds neither results_*.json nor samples_*.jsonl" in said


@every_command
def test_results_without_samples(call, tmp_path, caplog, command):
    write_run(tmp_path, None)
    status, said = call(command, tmp_path)
    assert status == 2
    assert "--log_samples" in said
    assert "has no samples" in caplog.text


@every_command
def test_samples_of_a_killed_run(call, tmp_path, caplog, command):
    write_run(tmp_path, simulated(200, METHODS))
    file = next(tmp_path.rglob("samples_*.jsonl"))
    file.write_bytes(file.read_bytes()[:-300])
    status, said = call(command, tmp_path)
    assert status == 0
    assert "199" in said
    assert "1 lines are left out" in caplog.text


@every_command
def test_null_and_nan_scores(call, tmp_path, command):
    lines = simulated(200, METHODS)
    lines[0]["doc"]["uq"]["uncertainty"]["sar"] = None
    lines[1]["doc"]["uq"]["uncertainty"]["sar"] = float("nan")
    write_run(tmp_path, lines)
    assert call(command, tmp_path)[0] == 0


@every_command
def test_duplicated_questions(call, tmp_path, command):
    lines = simulated(200, METHODS)
    write_run(tmp_path, [*lines, *lines])
    status, said = call(command, tmp_path)
    assert status == 0
    assert " 200 " in said


@every_command
def test_sparse_results_files(call, tmp_path, command):
    nothing = {"config": None, "versions": None, "date": None, "model_name": None}
    write_run(tmp_path, simulated(200, METHODS), settings={"metadata": None}, **nothing)
    assert call(command, tmp_path)[0] == 0


@every_command
def test_one_class_only(call, tmp_path, command):
    write_run(tmp_path, [sample(i, record(0, {"sar": i, "g_nll": i})) for i in range(50)])
    status, said = call(command, tmp_path)
    assert (status, "undefined" in said or "always abstain" in said) == (int(command == "threshold"), True)
