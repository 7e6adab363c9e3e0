"""docs/table_of_methods.md: every method stands in its tables, with the numbers that benchmarks/methods.csv holds."""

import csv
import runpy
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, text_of
from tests.report.runs import made_up, write_run
from tests.support import SHARED, requires_shared
from uq_harness.functional import MEASURES
from uq_harness.methods import all_methods
from uq_harness.report.tables import TITLES, method_title

PAGE = "docs/table_of_methods.md"
COMBINED_TITLE = "All together"
SCRIPT = ROOT / "benchmarks" / "methods.py"


def table(measure: str, text: str) -> dict[tuple[str, str], str]:
    """The cells of a measure's table by the titles of method and column."""
    lines = text.partition(f"## {TITLES[measure]}\n")[2].partition("\n## ")[0].splitlines()
    titles, _, *rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line[:1] == "|"]
    return {(row[0], title): cell for row in rows for title, cell in zip(titles[1:], row[1:], strict=True)}


def numbers(measure: str) -> Iterator[dict[str, str]]:
    with (ROOT / "benchmarks" / "methods.csv").open(encoding="utf-8") as file:
        yield from (row for row in csv.DictReader(file) if row["measure"] == measure)


@pytest.mark.parametrize("measure", MEASURES)
def test_every_method_has_its_numbers(measure: str) -> None:
    told = table(measure, text_of(PAGE))
    of_every_method = [row for row in numbers(measure) if row["method"] in all_methods()]
    runs = {(row["model"], row["task"]) for row in of_every_method}
    assert {("qa-small", "uq_sciq"), ("qa-small", "uq_truthfulqa")} <= runs
    assert len(of_every_method) == len(runs) * len(all_methods())
    for row in of_every_method:
        cell = told[method_title(row["method"]), f"{row['model']} {row['task']}"]
        if not row["value"]:  # no answer has a score
            assert cell == "–"
            continue
        value, error = (100 * float(row[name]) for name in ("value", "stderr"))
        assert cell.replace("**", "").startswith(f"{value:.2f} ± {error:.2f}")
        assert ("†" in cell) == (row["not_significantly_worse"] == "1")


def test_methods_are_sorted_by_their_mean_auroc() -> None:
    means = [
        float(cell.replace("**", "").split()[0])
        for (method, column), cell in table("auroc", text_of(PAGE)).items()
        if column == "qa-small mean of 2" and cell != "–" and method != COMBINED_TITLE
    ]
    assert means == sorted(means, reverse=True)


def test_methods_that_come_later_join_the_same_answers(tmp_path: Path) -> None:
    """Scores of an earlier run over other questions or other answers do not."""
    correct, scores = made_up(30, methods=("g_nll", "semgrad", "sar"))
    written = [
        (correct, {"sar": scores["sar"]}, ["another"] * 30),
        (correct[:20], {"sar": scores["sar"][:20]}, None),
        (correct, {"g_nll": scores["g_nll"]}, None),
        (correct, {"semgrad": scores["semgrad"]}, None),
    ]
    for day, (verdicts, values, answers) in enumerate(written, 1):
        date = datetime(2026, 1, day, tzinfo=UTC)
        write_run(
            tmp_path,
            verdicts,
            values,
            answers=answers,
            date=f"{date:%Y-%m-%dT%H-%M-%S.%f}",
            timestamp=date.timestamp(),
        )
    (run,), _ = runpy.run_path(str(SCRIPT))["read_model"]("small", tmp_path)
    assert run.model == "small"
    assert {name: list(values) for name, values in run.uncertainty.items()} == {
        name: list(scores[name]) for name in ("g_nll", "semgrad")
    }


@requires_shared
def test_the_command_goes_on_where_it_stopped(tmp_path: Path) -> None:
    assert SHARED is not None
    command = [sys.executable, SCRIPT, "--shared", SHARED, "--output", tmp_path, "--methods", "g_nll+exgrad"]

    def run(questions: int) -> str:
        words = [*map(str, command), "--small-measured", "1", "--small-questions", str(questions), "--jobs", "2"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        columns = ("qa-small mean of 2", "qa-small uq_sciq", "qa-small uq_truthfulqa", "qa-small cost")
        told = table("auroc", done.stdout)
        assert told.keys() == {(title, column) for title in ("G-NLL", "ExGrad") for column in columns}
        assert "–" not in told.values()
        assert done.stdout == (tmp_path / "table.md").read_text(encoding="utf-8")
        return done.stderr

    run(4)
    (costs,) = (tmp_path / "qa-small" / "costs").iterdir()
    measured = costs.read_bytes()
    assert run(6).count("Cached requests: 4, Requests remaining: 2") == 2
    assert costs.read_bytes() == measured
