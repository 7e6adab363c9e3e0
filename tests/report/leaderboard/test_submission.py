"""Runs for a shared board: what is copied, and what the check finds in broken copies of a real run."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.report.runs import made_up, write_run
from uq_harness.cli import main
from uq_harness.cli.run import run_lm_eval
from uq_harness.errors import UQHarnessError
from uq_harness.rendering.secrets import line_holds_key
from uq_harness.report.leaderboard.check import Checked, check_submission
from uq_harness.report.leaderboard.submission import write_submission
from uq_harness.report.run import latest
from uq_harness.results.load import load_runs


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stock command writes of the demo model."""
    folder = tmp_path_factory.mktemp("demo")
    arguments = ["--model", "uq-hf", "--model_args", "pretrained=demo,methods=g_nll+semgrad", "--tasks", "uq_demo"]
    more = ["--limit", "60", "--batch_size", "30", "--device", "cpu", "--apply_chat_template", "--log_samples"]
    run_lm_eval([*arguments, *more, "--output_path", str(folder)])
    return folder


@pytest.fixture(scope="module")
def submitted(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("submitted")
    write_submission([demo], folder)
    return folder


@pytest.fixture
def copy(submitted: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(submitted, tmp_path / "copy"))


def faults(checked: Checked) -> str:
    return "\n".join(f"{file}: {text}" for file, text in checked.faults)


def test_a_run_as_it_is_holds_paths_of_the_machine(demo: Path) -> None:
    found = faults(check_submission([demo]))
    assert "holds 2 absolute paths (configs.uq_demo.dataset_kwargs.data_files: /" in found
    assert "--submission FOLDER" in found
    assert "\n" not in found  # and nothing else is wrong


def test_a_copy_for_submission_is_without_fault(submitted: Path) -> None:
    checked = check_submission([submitted])
    assert checked.faults == ()
    assert checked.runs == 1
    assert {file.parent.name for file in submitted.rglob("*.json*")} == {"demo"}


def test_a_copy_says_all_that_the_run_says_but_for_the_machine(demo: Path, submitted: Path) -> None:
    before, after = (json.loads(next(folder.rglob("results_*")).read_bytes()) for folder in (demo, submitted))
    assert before["configs"]["uq_demo"]["dataset_kwargs"]["data_files"].endswith("/questions.jsonl")
    assert after["configs"]["uq_demo"]["dataset_kwargs"]["data_files"] == "questions.jsonl"
    assert "pretty_env_info" not in after
    assert after["results"] == before["results"]
    assert after["config"]["uncertainty"] == before["config"]["uncertainty"]
    assert [next(folder.rglob("samples_*")).read_bytes() for folder in (demo, submitted)].count(
        next(demo.rglob("samples_*")).read_bytes()
    ) == 2


def change_results(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = next(folder.rglob("results_*"))
    content = json.loads(file.read_bytes())
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def change_samples(folder: Path, change: Callable[[list[dict[str, Any]]], object]) -> None:
    file = next(folder.rglob("samples_*"))
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    change(lines)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def scores(line: dict[str, Any]) -> dict[str, float | None]:
    found: dict[str, float | None] = line["doc"]["uq"]["uncertainty"]
    return found


NUMBERS = {
    "a better number": (
        lambda c: c["results"]["uq_demo"].update({"auroc_semgrad,exact_match": 0.99}),
        "auroc_semgrad 0.99, by the samples 0.",
    ),
    "a smaller error": (
        lambda c: c["results"]["uq_demo"].update({"auroc_g_nll_stderr,exact_match": 1e-3}),
        "auroc_g_nll_stderr 0.001, by",
    ),
    "a better accuracy": (
        lambda c: c["results"]["uq_demo"].update({"accuracy,exact_match": 1.0}),
        "accuracy 1, by the samples 0.",
    ),
    "a number less": (
        lambda c: c["results"]["uq_demo"].pop("prr_g_nll,exact_match"),
        "prr_g_nll missing, by the samples",
    ),
    "a number more": (
        lambda c: c["results"]["uq_demo"].update({"auroc_sar,exact_match": 0.9}),
        "the results have auroc_sar, and the samples no such scores",
    ),
    "more answers": (
        lambda c: c["n-samples"]["uq_demo"].update(effective=252),
        "the results tell of 252 answers (n-samples), and the samples have 60",
    ),
    "no task version": (lambda c: c["versions"].pop("uq_demo"), "the version of task is not named (versions)"),
    "no lm_eval version": (lambda c: c.pop("lm_eval_version"), "the version of lm_eval is not named (lm_eval_version)"),
    "no hashes": (lambda c: c.pop("task_hashes"), "no task_hashes"),
    "no model": (lambda c: c.pop("model_name"), "does not name the model"),
    "a path": (
        lambda c: c["config"]["model_args"].update(pretrained="/home/someone/demo"),
        "1 absolute path (config.model_args.pretrained: /home/someone/demo)",
    ),
    "a Windows path": (
        lambda c: c["config"]["model_args"].update(peft="C:\\Users\\someone\\demo"),
        "1 absolute path (config.model_args.peft: C:\\Users",
    ),
    "a token": (lambda c: c["config"]["model_args"].update(token="abc"), "what may be 1 key (config.model_args.token)"),
    "a key in a text": (
        lambda c: c.update(system_instruction="sk-" + 20 * "a1"),
        "what may be 1 key (system_instruction)",
    ),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_results_that_are_not_those_of_the_samples_are_named(copy: Path, name: str) -> None:
    change, message = NUMBERS[name]
    change_results(copy, change)
    found = faults(check_submission([copy]))
    assert message in found, found
    assert found.startswith("demo/results_")


SAMPLES = {
    "a line less": (lambda lines: lines.pop(), ["(task_hashes)", "the samples have 59"]),
    "another order": (lambda lines: lines.reverse(), ["(task_hashes)"]),
    "a score less": (
        lambda lines: scores(lines[0]).update(semgrad=None),
        ["0 undefined scores, and the samples have 1"],
    ),
    "an infinite score": (
        lambda lines: scores(lines[0]).update(semgrad=float("inf")),
        ["1 scores of semgrad are infinite"],
    ),
    "a better score": (
        lambda lines: [scores(line).update(g_nll=float(not line["doc"]["uq"]["correct"])) for line in lines],
        ["auroc_g_nll"],
    ),
    "another verdict": (
        lambda lines: lines[0]["doc"]["uq"].update(correct=1 - lines[0]["doc"]["uq"]["correct"]),
        ["accuracy"],
    ),
    "no verdict": (
        lambda lines: lines[0]["doc"]["uq"].update(correct=None),
        ["0 answers without a verdict, and the samples have 1"],
    ),
    "a score that is a text": (lambda lines: scores(lines[0]).update(semgrad="high"), ["must be a number"]),
    "a key": (lambda lines: lines[3]["doc"]["uq"].update(answer="hf_" + 34 * "a"), ["what may be 1 key (line 4)"]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_that_are_not_those_of_the_results_are_named(copy: Path, name: str) -> None:
    change, messages = SAMPLES[name]
    change_samples(copy, change)
    found = faults(check_submission([copy]))
    for message in messages:
        assert message in found, found


def test_files_that_were_cut_off_or_are_missing_are_named(copy: Path) -> None:
    samples = next(copy.rglob("samples_*"))
    samples.write_bytes(samples.read_bytes()[:-40])
    found = faults(check_submission([copy]))
    assert "ends in the middle of a line: copy it again" in found
    assert "1 lines are left out, cut off or not valid JSON (line 60)" in found
    results = next(copy.rglob("results_*"))
    whole = results.read_bytes()
    results.write_bytes(whole[:-40])
    assert "not valid JSON" in faults(check_submission([copy]))
    results.unlink()
    assert "there is no results file for these samples" in faults(check_submission([copy]))
    results.write_bytes(whole)
    samples.unlink()
    assert "uq_demo has no samples next to it: run lm_eval with --log_samples" in faults(check_submission([copy]))


def test_undefined_scores_and_few_answers_are_notes(tmp_path: Path) -> None:
    correct, found = made_up(30, accuracy=0.9)
    write_run(tmp_path, correct, {"sar": [None, *found["sar"][1:]]})
    notes = [text for _, text in check_submission([tmp_path]).notes]
    assert "uq_sciq (token_recall): sar is undefined for 1 of 30 answers" in notes
    assert any("mean little" in note for note in notes)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["uq-harness", "leaderboard", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_command_says_it_and_ends_with_status_1(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--check", copy) == 0
    assert "1 run checked, no faults: ready to be submitted" in capsys.readouterr().out
    change_results(copy, lambda content: content.pop("lm_eval_version"))
    assert run(monkeypatch, "--check", copy) == 1
    said = capsys.readouterr().out
    assert "fault: demo/results_" in said
    assert "1 run checked, 1 fault: mend them, and check again" in said
    assert run(monkeypatch, "--check", copy, "--json") == 1
    assert "lm_eval_version" in json.loads(capsys.readouterr().out)["faults"][0]["fault"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("..", "model"),
        (".", "model"),
        ("org/..", "model"),
        (" . .", "model"),
        ("small. .", "small"),
        ("a\n\0b", "a__b"),
        ("v1.5", "v1.5"),
        (".hidden", ".hidden"),
    ],
)
def test_a_models_name_makes_a_folder_in_the_submission(tmp_path: Path, name: str, expected: str) -> None:
    place = write_run(tmp_path / "run", *made_up(30))
    file = next(place.glob("results_*"))
    file.write_text(json.dumps(json.loads(file.read_bytes()) | {"model_name": name}), encoding="utf-8")
    written = write_submission([tmp_path / "run"], tmp_path / "far" / "out")
    assert {one.parent for one in written} == {tmp_path / "far" / "out" / expected}
    assert {one.resolve() for one in tmp_path.glob("far/**/*.json*")} == {one.resolve() for one in written}


def call_model(folder: Path, model: str) -> None:
    """Results as of a local model."""
    folded = model.replace("/", "__")
    change_results(folder, lambda content: content.update(model_name=model, model_name_sanitized=folded))


def test_models_in_folders_like_peoples_stay_two(tmp_path: Path) -> None:
    for seed, name in enumerate(("llama", "qwen")):
        write_run(tmp_path / name, *made_up(30, seed=seed), date=f"2026-01-0{seed + 1}T03-04-05.678901")
        call_model(tmp_path / name, f"/home/{name}")
    write_submission([tmp_path / "llama", tmp_path / "qwen"], tmp_path / "out")
    found = load_runs(tmp_path / "out")
    assert {run.model for run in found} == {"llama", "qwen"}
    assert len(latest(found)[0]) == 2


def test_two_models_that_would_have_one_name_are_refused(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        write_run(tmp_path / name, *made_up(30, seed=seed), date=f"2026-01-0{seed + 1}T03-04-05.678901")
        call_model(tmp_path / name, f"/data/{name}/small")
    with pytest.raises(UQHarnessError, match=r"/data/a/small and /data/b/small would both be the model small: "):
        write_submission([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_samples_with_what_may_be_a_key_are_refused_with_their_lines(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def add_keys(lines: list[dict[str, Any]]) -> None:
        for number in range(3, 10):
            lines[number]["doc"]["uq"].update(answer="hf_" + 34 * "a")

    change_samples(copy, add_keys)
    out = tmp_path / "out"
    with pytest.raises(UQHarnessError, match=r"samples_uq_demo_.*: lines 4, 5, 6, 7, 8 and 2 more: what may be a key"):
        write_submission([copy], out)
    assert run(monkeypatch, copy, "--submission", out) == 2
    assert "hf_aaaa" not in capsys.readouterr().err
    assert not out.exists()


KEY = "hf_" + 34 * "a"


@pytest.mark.parametrize(
    "answer",
    [
        *(
            f"key:\n{KEY}",
            f"a\t{KEY}",
            f"\u201c{KEY}\u201d",
            f"the key\u662f{KEY}\u3002",
            f"\\{KEY}",
            {KEY: 1},
            [{"a": [KEY]}],
        ),
        json.dumps({"text": f"key:\n{KEY}, \u201d"}),
    ],
)
def test_a_key_is_found_wherever_it_stands_in_the_samples(copy: Path, tmp_path: Path, answer: object) -> None:
    change_samples(copy, lambda lines: lines[3]["doc"]["uq"].update(answer=answer))
    assert "what may be 1 key (line 4)" in faults(check_submission([copy]))
    with pytest.raises(UQHarnessError, match=r"line 4: what may be a key"):
        write_submission([copy], tmp_path / "out")


@pytest.mark.parametrize(
    "line", [f'{{"question": "key:\\n{KEY}', f'{{"a": "x {KEY}", "a": "y"}}', f"{5000 * '['}{KEY}"]
)
def test_a_key_is_found_in_a_line_that_json_does_not_read_or_not_whole(line: str) -> None:
    assert line_holds_key(line.encode())


def test_what_cannot_be_submitted_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "a", [0, 1], {}, samples=False)
    with pytest.raises(UQHarnessError, match=r"has no samples \(--log_samples\)"):
        write_submission([tmp_path / "a"], tmp_path / "out")
    for name in ("b", "c"):
        write_run(tmp_path / "twice" / name, *made_up(30))
    with pytest.raises(UQHarnessError, match="would both be"):
        write_submission([tmp_path / "twice"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
