"""What is ranked together, and where it stands."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t

from tests.report.runs import made_up, write_run
from uq_harness.functional import auroc, paired_auroc
from uq_harness.report.leaderboard import Leaderboard, collect_leaderboard
from uq_harness.report.leaderboard.pairs import Compared, standings
from uq_harness.report.quality import Estimate, rank
from uq_harness.report.write import read_with_warnings

DAYS = iter(range(1, 10_000))


def write(folder: Path, model: str, task: str, count: int, seed: int, **more: object) -> dict[str, np.ndarray]:
    correct, scores = made_up(count, seed=seed)
    day = next(DAYS)
    date = f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}T00-00-00" if day < 300 else f"2027-01-01T00-{day // 60}-00"
    write_run(folder, correct, scores, model=model, task=task, date=date, timestamp=1.7e9 + 1000 * day, **more)  # type: ignore[arg-type]
    return {"correct": correct, **scores}


def collect(folder: Path) -> Leaderboard:
    return collect_leaderboard(read_with_warnings([folder])[0])


def test_numbers_of_different_questions_are_on_different_boards(tmp_path: Path) -> None:
    write(tmp_path, "org/a", "uq_sciq", 100, 0, config={"limit": 100.0})
    write(tmp_path, "org/b", "uq_sciq", 252, 1, config={"limit": 252.0})
    boards = collect(tmp_path).boards
    assert [(board.title, board.labels) for board in boards] == [
        ("uq_sciq (252 questions)", ("b",)),
        ("uq_sciq (100 questions)", ("a",)),
    ]


def test_as_many_other_questions_are_other_questions(tmp_path: Path) -> None:
    write(tmp_path, "org/a", "uq_sciq", 60, 0)
    write(tmp_path, "org/b", "uq_sciq", 60, 1, questions=[f"Other {row}?" for row in range(60)])
    boards = collect(tmp_path).boards
    assert [board.labels for board in boards] in ([("a",), ("b",)], [("b",), ("a",)])
    assert len({board.title for board in boards}) == 2


def test_other_thresholds_of_a_judge_are_other_questions(tmp_path: Path) -> None:
    place = write_run(tmp_path / "a", *made_up(60), model="org/a")
    other = write_run(tmp_path / "b", *made_up(60, seed=1), model="org/b")
    for file in other.glob("results_*.json"):
        file.write_text(file.read_text(encoding="utf-8").replace('"threshold": 0.5', '"threshold": 0.7'))
    assert place != other
    assert [board.labels for board in collect(tmp_path).boards] in ([("a",), ("b",)], [("b",), ("a",)])


def test_the_board_of_all_shared_tasks_comes_first(tmp_path: Path) -> None:
    for seed, (model, task) in enumerate(
        [
            ("org/a", "uq_sciq"),
            ("org/a", "uq_triviaqa"),
            ("org/b", "uq_sciq"),
            ("org/b", "uq_triviaqa"),
            ("c", "uq_sciq"),
        ]
    ):
        write(tmp_path, model, task, 60, seed)
    first, *others = collect(tmp_path).boards
    assert [one.task for one in first.sets] == ["uq_sciq", "uq_triviaqa"]
    assert first.labels == ("a", "b")
    assert {(board.title, board.labels) for board in others} == {
        ("uq_sciq (60 questions)", ("a", "b", "c")),
        ("uq_triviaqa (60 questions)", ("a", "b")),
    }


def test_a_mean_over_tasks_and_its_place_come_from_the_tasks_differences(tmp_path: Path) -> None:
    runs = [write(tmp_path, "org/a", task, 400, seed) for seed, task in enumerate(("uq_sciq", "uq_triviaqa"))]
    board = collect(tmp_path).boards[0]
    found = board.methods[""]["auroc"]
    assert list(found) == ["g_nll", "semgrad", "sar"]  # as they were made up: the best first
    for method, standing in found.items():
        assert standing.mean.value == pytest.approx(np.mean([auroc(run[method], run["correct"]) for run in runs]))
    ranking = rank([{name: run[name] for name in found} for run in runs], [run["correct"] for run in runs], 0.05)
    assert ranking.best == "g_nll"
    assert found["g_nll"].rank[1] == 1 + len(ranking.not_worse)
    assert found["sar"].rank == (3, 3)


def test_models_are_ranked_by_a_method_over_the_questions_in_any_order(tmp_path: Path) -> None:
    first = write(tmp_path, "org/a", "uq_sciq", 300, 0)
    correct, scores = made_up(300, seed=1)
    order = np.random.default_rng(0).permutation(300)
    write_run(
        tmp_path,
        correct[order],
        {name: values[order] for name, values in scores.items()},
        model="org/b",
        questions=[f"Question {row}?" for row in order],
    )
    _align_references(tmp_path / "org__b", order)
    (board,) = collect(tmp_path).boards
    test = paired_auroc(first["sar"], scores["sar"], first["correct"], correct)
    places = {name: one.rank for name, one in board.models["sar"]["auroc"].items()}
    told_apart = test.p_value / 2 * 2 <= 0.05
    assert set(places) == {"a", "b"}
    assert ((1, 2) in places.values()) is not told_apart
    assert board.models[""]["accuracy"]["a"].mean.value == first["correct"].mean()


def _align_references(folder: Path, order: np.ndarray) -> None:
    """References are called after rows; those of a question must be the same in both runs."""
    for file in folder.glob("samples_*"):
        lines = file.read_text(encoding="utf-8").splitlines()
        moved = [
            line.replace(f'"reference {at}"', f'"reference {row}"')
            for at, (line, row) in enumerate(zip(lines, order, strict=True))
        ]
        file.write_text("\n".join(moved) + "\n", encoding="utf-8")


def test_the_mean_over_models_of_one_task_knows_that_they_share_questions(tmp_path: Path) -> None:
    correct, scores = made_up(300)
    for model in ("org/a", "org/b"):  # the same answers: a second copy is no evidence
        write_run(tmp_path, correct, scores, model=model)
    (board,) = collect(tmp_path).boards
    assert board.methods[""]["auroc"]["sar"].mean.stderr == pytest.approx(
        board.methods["a"]["auroc"]["sar"].mean.stderr
    )
    assert {n: s.rank for n, s in board.methods[""]["auroc"].items()} == {
        n: s.rank for n, s in board.methods["a"]["auroc"].items()
    }


def test_a_method_that_a_task_lacks_has_no_mean_and_no_place(tmp_path: Path) -> None:
    correct, scores = made_up(100)
    write_run(tmp_path, correct, scores, task="uq_sciq")
    del scores["sar"]
    write_run(tmp_path, correct, scores, task="uq_triviaqa", date="2026-01-03T00-00-00")
    board = collect(tmp_path).boards[0]
    assert set(board.methods[""]["auroc"]) == {"g_nll", "semgrad"}
    assert {standing.rank[1] for standing in board.methods[""]["auroc"].values()} <= {1, 2}


def test_a_task_that_ranks_nothing_does_not_count(tmp_path: Path) -> None:
    correct, scores = made_up(100)
    write_run(tmp_path, correct, scores, task="uq_sciq")
    write_run(tmp_path, np.ones(100, dtype=int), scores, task="uq_easy", date="2026-01-03T00-00-00")
    board = collect(tmp_path)
    found = board.boards[0].methods[""]["auroc"]["sar"].mean
    assert found.value == pytest.approx(auroc(scores["sar"], correct))
    assert any("no AUROC is defined" in note for note in board.notes)


def test_repeated_runs_are_ranked_once_and_drawn_as_a_history(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        write_run(
            tmp_path, *made_up(50, seed=day), date=f"2026-01-0{day}T00-00-00", timestamp=1767225600.0 + 86400 * day
        )
    board = collect(tmp_path)
    assert board.boards[0].labels == ("small-model",)
    assert [entry.newest for entry in board.entries if entry.method == "sar"] == [True, False, False]
    (history,) = board.histories
    assert not history.by_step
    assert [point.date[:10] for point in history.points] == ["2026-01-02", "2026-01-03", "2026-01-04"]


@pytest.mark.parametrize("name", ["/home/someone/sft/checkpoint-{}", "org/sft@step{}"])
def test_checkpoints_are_a_history_in_the_order_of_their_steps(tmp_path: Path, name: str) -> None:
    for day, step in ((1, 1000), (2, 90), (3, 500)):
        model, _, revision = name.format(step).partition("@")
        write_run(
            tmp_path / str(step),
            *made_up(50, seed=day),
            model=model,
            config={"model_revision": revision or "main", "model_sha": f"{step:040d}"},
            timestamp=1767225600.0 + 86400 * day,
        )
    (history,) = collect(tmp_path).histories
    assert history.by_step
    assert [point.step for point in history.points] == [90, 500, 1000]
    assert history.family.endswith("sft")


def test_other_settings_are_other_lines_of_a_history(tmp_path: Path) -> None:
    for number, dtype in enumerate(("float32", "float32", "bfloat16", "bfloat16")):
        write_run(
            tmp_path / str(number),
            *made_up(50, seed=number),
            model_args={"dtype": dtype},
            timestamp=1767225600.0 + 86400 * number,
        )
    assert [history.settings for history in collect(tmp_path).histories] == ["dtype=bfloat16", "dtype=float32"]


@pytest.mark.parametrize(
    ("degrees", "expected"), [([4.0, 4.0], 8.0), ([2.0, math.inf], 8.0), ([math.inf] * 2, math.inf)]
)
def test_a_mean_of_few_right_or_wrong_answers_is_tested_by_the_t_distribution(
    degrees: list[float], expected: float
) -> None:
    estimates = {"a": Estimate(0.8, 0.1), "b": Estimate(0.5, 0.1)}
    signs = np.array([[0.0, 1.0], [-1.0, 0.0]])
    columns = [Compared(["a", "b"], estimates, 0.3 * signs, 0.2 * abs(signs), np.full((2, 2), one)) for one in degrees]
    p_value = 2 * t.sf(0.3 / np.hypot(0.1, 0.1), expected)  # twice, for the two ordered pairs
    for alpha, places in ((p_value * 1.01, (1, 1)), (p_value * 0.99, (1, 2))):
        assert standings("auroc", columns, alpha)["a"].rank == places
