"""What stands on top of a report: the best method, how sure that is, and how often the model is right."""

from html import unescape
from pathlib import Path

import numpy as np
import pytest

from tests.report.runs import made_up, write_run
from tests.report.test_content import content_of
from uq_harness.report.figures import run_figures
from uq_harness.report.markdown import write_markdown
from uq_harness.report.page import write_page


def sentences(folder: Path, **settings: object) -> list[tuple[str, str]]:
    return [(name, one.sentence) for name, one in content_of(folder, **settings).headlines()]


def test_one_run_has_one_sentence_with_what_its_table_says(tmp_path: Path) -> None:
    correct, scores = made_up(300, methods=("semgrad", "g_nll", "sar", "ln_pe"))
    write_run(tmp_path, correct, scores)
    content = content_of(tmp_path)
    table = content.all_tables()[0][1]
    best = next(row for row in table.rows if row.cells[0].best)
    equals = sum(row.cells[0].not_worse for row in table.rows)
    ((name, sentence),) = sentences(tmp_path)
    assert name == ""
    assert sentence == (
        f"Best: {best.title} {best.cells[0].value:.1f} ± {best.cells[0].stderr:.1f} % AUROC; {equals} of 3 others are "
        f"not told apart from it; accuracy {100 * correct.mean():.0f} %, 300 questions."
    )
    tiles = {what: value for what, value, _ in content.headlines()[0][1].tiles}
    assert tiles == {
        "Best method": best.title,
        "Not told apart from it": f"{equals} of 3",
        "Accuracy": f"{100 * correct.mean():.0f} %",
        "Questions": "300",
    }
    page = write_page(content, {run.id: run_figures(run) for run in content.runs})
    assert sentence in page
    assert page.index(sentence) < page.index('id="ranking-1"') < page.index('id="runs"')
    assert sentence in unescape(write_markdown(content))


def test_several_tasks_have_the_mean_and_several_models_a_sentence_each(tmp_path: Path) -> None:
    for at, (model, task) in enumerate([("a", "uq_sciq"), ("a", "uq_truthfulqa"), ("b", "uq_sciq")]):
        write_run(tmp_path, *made_up(200, seed=at), model=f"org/{model}", task=task, date=f"2026-01-0{at + 1}T00-00-00")
    content = content_of(tmp_path)
    (first, a), (second, b) = content.headlines()
    assert (first, second) == ("a", "b")
    mean = next(row for row in content.all_tables()[0][1].rows if row.name == "g_nll").cells[0]
    assert a.sentence.startswith(f"Best on average over 2 tasks: G-NLL {mean.value:.1f} ± {mean.stderr:.1f} % AUROC;")
    assert "mean accuracy" in a.sentence
    assert a.questions == 400
    assert b.sentence.startswith("Best: G-NLL")


@pytest.mark.parametrize(
    ("correct", "methods", "expected"),
    [
        (np.ones(60, dtype=int), ("g_nll", "sar"), "No method has an AUROC; accuracy 100.0 %, 60 questions."),
        ((np.arange(60) < 4).astype(int), ("g_nll", "sar"), "fewer than 10 right or wrong answers"),
        ((np.arange(60) % 2).astype(int), ("g_nll",), "% AUROC; accuracy 50 %, 60 questions."),
    ],
)
def test_what_cannot_be_said_is_not_said(
    tmp_path: Path, correct: np.ndarray, methods: tuple[str, ...], expected: str
) -> None:
    _, scores = made_up(60, methods=methods)
    write_run(tmp_path, correct, scores)
    ((_, sentence),) = sentences(tmp_path)
    assert expected in sentence
    assert "told apart" not in sentence or len(methods) > 1


def test_without_samples_nothing_is_said_of_tests(tmp_path: Path) -> None:
    metrics = {"accuracy": 0.5, "auroc_g_nll": 0.8, "auroc_g_nll_stderr": 0.02, "auroc_sar": 0.7}
    for task in ("uq_sciq", "uq_truthfulqa"):
        write_run(tmp_path / task, [0] * 50 + [1] * 50, {}, metrics=metrics, samples=False, task=task)
    ((_, sentence),) = sentences(tmp_path)
    assert sentence == ("Best on average over 2 tasks: G-NLL 80.0 ± 1.4 % AUROC; mean accuracy 50 %, 200 questions.")
