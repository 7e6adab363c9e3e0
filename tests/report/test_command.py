"""``uq-harness report`` and ``uq-harness leaderboard`` as a user types them."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.runs import made_up, write_run
from uq_harness.cli.leaderboard import leaderboard
from uq_harness.cli.report import report
from uq_harness.errors import UQHarnessError

ROOT = Path(__file__).parents[2]


def command(*arguments: str, folder: Path, status: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "uq_harness", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_report_prints_the_table_and_says_where_it_lies(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", *made_up(60), model="org/[bold]\x1b[31mred")
    output = command("report", "runs", "--output", "out", "--no-plots", folder=tmp_path)
    lines = output.splitlines()
    assert lines[0].startswith("Best: G-NLL ")
    best = next(line for line in lines if "G-NLL" in line and "│" in line)
    assert re.search(r"\d\d\.\d ± \d+\.\d \*", best)
    assert "* best of its column" in output
    assert "† not told apart from the best" in output
    assert "[bold]⟨U+001B⟩[31mred" in output  # neither obeyed by rich nor by the terminal
    assert "Report: out/report.html" in output
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "confident_errors.csv",
        "report.csv",
        "report.html",
        "report.md",
        "report.tex",
        "tables",
    ]


def test_results_without_samples_make_a_report_too(tmp_path: Path) -> None:
    metrics = {"accuracy": 0.5, "auroc_g_nll": 0.8, "auroc_g_nll_stderr": 0.02}
    write_run(tmp_path / "runs", [0, 1], {}, metrics=metrics, samples=False)
    assert "logged no samples" in command("report", "runs", "--output", "out", "--no-plots", folder=tmp_path)
    with (tmp_path / "out" / "report.csv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["method"] == "g_nll")
    assert (row["value"], row["questions"], row["scored"]) == ("0.8", "2", "")


def test_chosen_methods_are_the_only_ones_and_stand_in_that_order(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", *made_up(60), metrics={"accuracy": 0.6, "auroc_g_nll": 0.8})
    reported = {"accuracy": 0.5, "auroc_g_nll": 0.8, "auroc_sar": 0.7, "auroc_sar_stderr": 0.1}
    write_run(tmp_path / "without", [0] * 12 + [1] * 12, {}, samples=False, task="uq_truthfulqa", metrics=reported)
    results = [tmp_path / "runs", tmp_path / "without"]
    report(results, tmp_path / "out", **{**DEFAULTS, "methods": "sar+semgrad"})
    table = (tmp_path / "out" / "tables" / "auroc.tex").read_text(encoding="utf-8")
    assert [line.partition(" & ")[0] for line in table.splitlines() if line.startswith("{}")] == ["{}SAR", "{}SemGrad"]
    with (tmp_path / "out" / "report.csv").open(encoding="utf-8") as file:
        assert {row["method"] for row in csv.DictReader(file)} == {"", "sar", "semgrad"}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    for measure in ("auroc", "aurc", "prr"):
        shown = page[page.index(f'<table id="table-{measure}-1"') :].partition("</tbody>")[0]
        assert re.findall(r'<th scope="row"><bdi>(.*?)</bdi>', shown) == ["SAR", "SemGrad"]
        assert "aria-sort" not in shown
    forest = page[page.index('aria-labelledby="forest-1"') :].partition("</svg>")[0]
    assert forest.index(">SAR<") < forest.index(">SemGrad<")


def test_machine_readable_output(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", *made_up(60))
    described = json.loads(command("report", "runs", "--output", "out", "--no-plots", "--json", folder=tmp_path))
    assert described["files"][0] == "out/report.html"


DEFAULTS = {
    "reference": None,
    "title": "Test",
    "method": None,
    "examples": 5,
    "alpha": 0.05,
    "combined": True,
    "token_value": "log-probability",
    "all_runs": False,
    "plots": False,
    "methods": None,
    "figure_size": "page",
    "as_json": True,
}


@pytest.mark.parametrize(
    ("results", "settings", "message"),
    [
        ("empty", {}, "empty"),
        ("nowhere", {}, "does not exist"),
        ("runs", {"reference": "other"}, "use paper"),
        ("runs", {"method": "semgard"}, "is in none of the runs: they have g_nll, sar, semgrad"),
        ("runs", {"methods": "sar+semgard"}, "--methods 'semgard' is in none of the runs: they have g_nll, sar"),
        ("runs", {"methods": "sar", "method": "g_nll"}, "is not among --methods sar: add it there"),
        ("runs", {"figure_size": "huge"}, "use page or column"),
    ],
)
def test_wrong_use_is_refused_before_anything_is_written(
    tmp_path: Path, results: str, settings: dict[str, str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    write_run(tmp_path / "runs", *made_up(20))
    with pytest.raises(UQHarnessError, match=message):
        report([tmp_path / results], tmp_path / "out", **{**DEFAULTS, **settings})
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UQHarnessError, match="is a file: name a folder"):
        report([tmp_path], tmp_path / "file", **DEFAULTS)
    with pytest.raises(UQHarnessError, match="is a file: name a folder"):
        leaderboard([tmp_path], tmp_path / "file", title="Test", as_json=True)


def test_an_empty_folder_makes_no_leaderboard(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    output = command("leaderboard", "empty", folder=tmp_path, status=2)
    assert "Traceback" not in output
    assert "lm_eval" in output


def test_a_rerun_adds_rows_to_the_leaderboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for day, expected in ((1, 3), (2, 6)):
        write_run(tmp_path, *made_up(30), date=f"2026-01-0{day}T00-00-00", timestamp=1767225600.0 + 86400 * day)
        leaderboard([tmp_path], tmp_path, title="Test", as_json=True)
        assert json.loads(capsys.readouterr().out)["rows"] == expected
    lines = (tmp_path / "leaderboard.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 7
    assert "org__small-model/results_2026-01-02T00-00-00.json" in lines[1]


def test_without_output_one_folder_still_holds_the_page_and_a_note_says_that_this_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", *made_up(30))
    leaderboard([tmp_path / "runs"])
    said = capsys.readouterr().out
    assert said.count("a later version will ask for --output") == 1
    assert (tmp_path / "runs" / "leaderboard.parquet").is_file()
    with pytest.raises(UQHarnessError, match="--output is missing"):
        leaderboard([tmp_path / "runs", tmp_path / "runs"])
    leaderboard([tmp_path / "runs"], tmp_path / "out")
    assert "--output" not in capsys.readouterr().out


def test_a_leaderboard_ranks_the_runs_of_several_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, folder in enumerate(("one", "two")):
        write_run(tmp_path / folder, *made_up(200, seed=number), model=f"org/{folder}")
    leaderboard([tmp_path / "one", tmp_path / "two"], tmp_path / "out", as_json=True)
    (board,) = json.loads(capsys.readouterr().out)["boards"]
    assert board["models"] == ["one", "two"]
    assert board["questions"] == "uq_sciq (200 questions)"
    assert [row["method"] for row in board["methods_by_auroc"]] == ["g_nll", "semgrad", "sar"]
    assert board["methods_by_auroc"][0]["rank"][0] == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"alpha": 0.0}, "--alpha 0 is not between 0 and 1"),
        ({"check": True, "submission": Path("x")}, "--submission and --check are different tasks"),
    ],
)
def test_a_leaderboard_refuses_what_has_no_meaning(tmp_path: Path, more: dict[str, object], message: str) -> None:
    write_run(tmp_path, *made_up(30))
    with pytest.raises(UQHarnessError, match=message):
        leaderboard([tmp_path], **more)  # type: ignore[arg-type]
    assert not (tmp_path / "leaderboard.html").exists()
