"""Commands that read results, given what no run writes: they end with a status and a sentence, never a traceback."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.results.files import simulated, write_run
from uq_harness.cli import main

HOSTILE = "<b>|`x`\x1b[31m \u202eשלום =1 \\input{x} [/red] \ud83d"
COMMANDS: dict[str, Callable[[Path, Path], list[object]]] = {
    "report": lambda runs, out: ["report", runs, "--output", out, "--no-plots", "--json"],
    "leaderboard": lambda runs, out: ["leaderboard", runs, "--output", out, "--json"],
    "compare": lambda runs, out: [
        *["compare", runs, runs, "--json", "--measures", "auroc+aurc+prr"],
        *["--markdown", out / "c.md", "--junit", out / "c.xml"],
    ],
    "threshold": lambda runs, out: ["threshold", runs, "--method", "sar", "--target", "0.5", "--output", out, "--json"],
}
every_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Runs a command on runs; returns its exit status and all it says."""

    def call(command: str, runs: Path, output: Path | None = None) -> tuple[int, str]:
        words = COMMANDS[command](runs, output or tmp_path / "written")
        monkeypatch.setattr(sys, "argv", ["uq-harness", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        status = end.value.code or 0
        if status == 0:
            json.loads(out, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
        return status, out + err

    return call


def changed(folder: Path, change: Callable[[dict[str, Any]], object], **content: Any) -> Path:
    """A run whose first line of samples was changed."""
    lines = simulated(100, {"g_nll": 2.0, "sar": 2.0})
    change(lines[0])
    write_run(folder / "runs", lines, **content)
    return folder / "runs"


@every_command
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("uncertainty", [1, 2], "uncertainty is [1, 2] in a line, but must be an object"),
        ("uncertainty", {"sar": "high"}, "sar holds 'high', but must be a number or null"),
        ("uncertainty", {"sar": "1.5"}, "sar holds '1.5', but must be a number or null"),
        ("uncertainty", {"sar": [1]}, "sar holds [1], but must be a number or null"),
        ("uncertainty", {"sar": 10**400}, "sar holds a whole number that is too large"),
        ("cost", "much", "cost is 'much' in a line, but must be an object"),
        ("answer_tokens", "x", "answer_tokens holds 'x', but must be a number or null"),
    ],
)
def test_wrong_types_in_samples_are_named(call, tmp_path, command, field, value, message):
    runs = changed(tmp_path, lambda line: line["doc"]["uq"].update({field: value}))
    status, said = call(command, runs)
    assert status == 2
    assert message in said


@every_command
@pytest.mark.parametrize(
    "change",
    [
        lambda line: line["doc"].update(answers=5),
        lambda line: line["doc"].update(answers="one text", question=None),
        lambda line: line["doc"]["uq"].update(correct=[1]),
        lambda line: (line["doc"]["uq"].pop("answer"), line.update(filtered_resps={"a": 1})),
        lambda line: line["doc"]["uq"]["uncertainty"].update(sar=float("inf"), g_nll=1e308),
    ],
)
def test_other_strange_samples_are_read(call, tmp_path, command, change):
    assert call(command, changed(tmp_path, change))[0] == 0


@every_command
@pytest.mark.parametrize(
    "content",
    [
        {"config": "x"},
        {"config": ["x"]},
        {"versions": [1]},
        {"n-samples": 3},
        {"configs": {"uq_sciq": "x"}},
        {"settings": {"metadata": []}},
        {"judges": [5]},
        {"results": {"uq_sciq": [1]}},
        {"date": 1e30},
        {"date": float("nan")},
        {"date": "yesterday"},
        {"model_name": ["x"]},
    ],
    ids=str,
)
def test_strange_sections_of_results_are_left_out(call, tmp_path, command, content):
    assert call(command, changed(tmp_path, lambda line: None, **content))[0] == 0


@every_command
def test_names_that_are_markup_or_no_text_at_all(call, tmp_path, command):
    lines = simulated(100, {"sar": 2.0, HOSTILE: 2.0}, judge=HOSTILE)
    write_run(tmp_path / "runs", lines, model_name=HOSTILE)
    assert call(command, tmp_path / "runs")[0] == 0
    for file in (tmp_path / "written").rglob("*.*"):
        if file.suffix in (".md", ".xml", ".json", ".csv", ".tex", ".html", ".svg"):
            assert "\x1b" not in file.read_text(encoding="utf-8")
    if command == "compare":
        ElementTree.parse(tmp_path / "written" / "c.xml")


@every_command
def test_folders_whose_names_are_markup_or_no_text_at_all(call, tmp_path, command):
    folder = tmp_path / os.fsdecode(b"[bold]\n\x1b[31m\xff")
    assert call(command, changed(folder, lambda line: None))[0] == 0


@every_command
@pytest.mark.parametrize("bytes_", [b"\xff\x00\n", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", b"null\n"])
def test_lines_that_are_no_json_object_are_left_out(call, tmp_path, command, bytes_):
    runs = changed(tmp_path, lambda line: None)
    file = next(runs.rglob("samples_*.jsonl"))
    file.write_bytes(file.read_bytes() + bytes_)
    assert call(command, runs)[0] == 0


@every_command
def test_an_output_that_cannot_be_a_folder(call, tmp_path, command):
    (tmp_path / "file").write_text("kept")
    status, said = call(command, changed(tmp_path, lambda line: None), tmp_path / "file" / "below")
    assert status == 2
    assert "cannot be read or written" in said
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disc_is_no_finding(tmp_path, monkeypatch, capsys):
    runs = changed(tmp_path, lambda line: None)
    monkeypatch.setattr(sys, "argv", ["uq-harness", "compare", str(runs), str(runs), "--markdown", "/dev/full"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "No space left on device" in capsys.readouterr().err
