"""Wrong answers in the report with their tokens coloured, read again from the samples file."""

from pathlib import Path

import pytest

from tests.report.runs import made_up, write_run
from tests.report.test_command import command
from tests.report.test_content import content_of
from uq_harness.report.figures import run_figures
from uq_harness.report.page import write_page


def tokens_of(row: int) -> dict[str, object]:
    """Fields of a record whose answer is that of ``write_run``."""
    texts = ["answer", f" {row}", ""]
    logprobs = [-0.01, -0.001 * (row + 1), -3.0]
    return {"tokens": texts, "token_logprobs": logprobs, "token_values": {"doubt": [float(row), 0.0, 1.0]}}


def test_the_tokens_shown_are_those_of_the_answer_in_its_row(tmp_path: Path) -> None:
    correct, scores = made_up(60)
    write_run(tmp_path, correct, scores, further=[tokens_of(row) for row in range(60)])
    content = content_of(tmp_path, examples_by="g_nll")
    (run,) = content.runs
    assert len(run.examples) == 5
    for one in run.examples:
        assert one.tokens is not None
        assert one.answer == "".join(one.tokens.texts)
        assert one.tokens.values["doubt"][0] == one.row == int(one.answer.removeprefix("answer "))
    page = write_page(content, {run.id: run_figures(run)})
    assert page.count('<bdi class="uq-tokens">') == 5
    assert page.count('class="uq-legend"') == 1
    by_doubt = content_of(tmp_path, token_value="doubt")
    assert "doubt of each token" in write_page(by_doubt, {run.id: run_figures(run)})


def test_records_without_tokens_are_shown_plain(tmp_path: Path) -> None:
    write_run(tmp_path, *made_up(60))
    content = content_of(tmp_path)
    page = write_page(content, {run.id: run_figures(run) for run in content.runs})
    assert "<bdi>answer " in page
    assert 'class="uq-tokens"' not in page
    assert 'class="uq-legend"' not in page


def test_lines_that_are_left_out_do_not_shift_the_rows(tmp_path: Path) -> None:
    correct, scores = made_up(60)
    place = write_run(tmp_path, correct, scores, further=[tokens_of(row) for row in range(60)])
    (file,) = place.glob("samples_*")
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("\n{broken\n" + lines[0] + "\n" + "".join(lines[1:]), encoding="utf-8")
    for one in content_of(tmp_path).runs[0].examples:
        assert one.tokens is not None
        assert one.answer == "".join(one.tokens.texts)


@pytest.mark.parametrize(
    ("value", "known"), [("gone", "doubt, log-probability"), ("entropy", "doubt, log-probability")]
)
def test_a_value_that_no_record_has_is_refused(tmp_path: Path, value: str, known: str) -> None:
    correct, scores = made_up(60)
    write_run(tmp_path / "runs", correct, scores, further=[tokens_of(row) for row in range(60)])
    output = command("report", "runs", "--output", "out", "--token_value", value, folder=tmp_path, status=2)
    assert known in " ".join(output.split())
    assert not (tmp_path / "out").exists()
