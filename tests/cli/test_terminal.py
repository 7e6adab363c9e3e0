"""No command lets control characters of a file through to the terminal, a log, or what CI shows."""

import sys

import pytest

from tests.results.files import simulated, write_run
from uq_harness.cli import main

# Clears the screen, paints a verdict, sets the window's title; the same with one byte; turns the line around.
HOSTILE = "\x1b[2J\x1b[32mok\x1b]0;t\x07\x9b31m\u202ex\r\n::error::y"
OBEYED = "\x1b\x07\x9b\u202e"


def of_names(lines):
    """Method and judge, with one undefined verdict and one wrong score."""
    for line in lines:
        line["filter"] = HOSTILE
        line["doc"]["uq"]["uncertainty"] = {HOSTILE: line["doc_id"], "sar": line["doc_id"]}
    lines[0]["doc"]["uq"]["correct"] = None


def of_a_score(lines):
    lines[0]["doc"]["uq"]["uncertainty"] = {HOSTILE: "high"}


def of_a_field(lines):
    lines[0]["doc"]["uq"]["cost"] = {HOSTILE: HOSTILE}


def of_nothing(lines):
    del lines[:]


FILES = {
    "names": (of_names, {"model_name": HOSTILE}),
    "a score": (of_a_score, {}),
    "a field": (of_a_field, {}),
    "versions": (lambda lines: None, {"version": HOSTILE, "settings": {"test_split": HOSTILE}}),
    "settings": (lambda lines: None, {"system_instruction": HOSTILE, "config": HOSTILE, "lm_eval_version": HOSTILE}),
    "sections": (lambda lines: None, {"configs": {HOSTILE: HOSTILE}, "judges": [HOSTILE]}),
    "no samples": (of_nothing, {"metrics": {f"accuracy,{HOSTILE}": 0.5}}),
}
COMMANDS = {
    "report": lambda runs, out: ["report", runs, "--output", out, "--no-plots"],
    "leaderboard": lambda runs, out: ["leaderboard", runs, "--output", out],
    "compare": lambda runs, out: ["compare", runs, out / "plain"],
    "threshold": lambda runs, out: ["threshold", runs, "--target", "0.5"],
    "score": lambda runs, out: ["score", next(runs.rglob("samples*")), "--correctness", "exact_match", "--output", out],
}


@pytest.mark.parametrize("json_too", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("hostile", FILES)
@pytest.mark.parametrize("command", COMMANDS)
def test_everything_is_shown_and_nothing_obeyed(command, hostile, json_too, tmp_path, monkeypatch, capfd, caplog):
    change, content = FILES[hostile]
    lines = simulated(40, {"sar": 2.0})
    change(lines)
    write_run(tmp_path / "runs", lines, **content)
    write_run(tmp_path / "out" / "plain", simulated(40, {"sar": 2.0}))
    words = [*COMMANDS[command](tmp_path / "runs", tmp_path / "out"), *["--json"] * json_too]
    monkeypatch.setattr(sys, "argv", ["uq-harness", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (None, 0, 1, 2)
    out, err = capfd.readouterr()
    said = out + err + caplog.text
    assert said
    assert not set(OBEYED) & set(said)
    assert "x\r" not in said
    assert not any(line.startswith("::error::") for line in said.splitlines())
