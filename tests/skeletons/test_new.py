"""``uq-harness new``: what it writes runs as it is, and nothing is overwritten."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.evaluation.stock import ROOT, stock
from uq_harness.cli import app
from uq_harness.errors import UQHarnessError
from uq_harness.methods import all_methods
from uq_harness.skeletons.write import write_method, write_task

DEMO = ("--model", "uq-hf", "--apply_chat_template", "--device", "cpu")


def new(*words: str) -> str:
    done = CliRunner().invoke(app, ["new", *words])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_a_new_task_runs_by_the_command_that_it_prints(tmp_path: Path) -> None:
    said = new("task", "my_rivers", "--folder", str(tmp_path / "mytasks"))
    written = {file.name for file in (tmp_path / "mytasks" / "my_rivers").iterdir()}
    assert written == {"my_rivers.yaml", "questions.jsonl", "examples.jsonl", "README.md"}
    command = said.partition("Try it: lm_eval ")[2].split()
    done = stock("run", *command, "--num_fewshot", "3", "--log_samples", "--output_path", "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (samples,) = tmp_path.rglob("samples_my_rivers_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 3
    assert all("g_nll" in row["doc"]["uq"]["uncertainty"] for row in rows)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new method in ``my_score``, and with the package installed, offline, in ``site``."""
    folder = tmp_path_factory.mktemp("method")
    new("method", "my_score", "--folder", str(folder))
    source = shutil.copytree(folder / "my_score", folder / "source")  # a build leaves folders next to its source
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(folder / "site"), str(source)], check=True)
    return folder


def python(*words: str, folder: Path, path: Path) -> str:
    """Output of a fresh interpreter that has ``path`` and this very uq_harness, and none of pytest's settings here."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(path)]),
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [sys.executable, *words], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def own_test(name: str, folder: Path, path: Path) -> None:
    """Run the test that a new method came with."""
    said = python("-m", "pytest", "-q", "-p", "no:cacheprovider", name, folder=folder, path=path)
    assert "4 passed" in said


def test_a_new_method_passes_its_own_test(package: Path) -> None:
    own_test("my_score", folder=package, path=package / "site")


@pytest.mark.parametrize("name", ["answer", "any", "evidence", "none", "sample", "samples_method", "value_error"])
def test_a_method_whose_class_would_hide_a_name_in_use_passes_its_own_test(tmp_path: Path, name: str) -> None:
    new("method", name, "--folder", str(tmp_path))
    source = (tmp_path / name / f"{name}.py").read_text(encoding="utf-8")
    assert f"class {''.join(map(str.capitalize, name.split('_')))}Method(SamplesMethod):" in source
    own_test(name, folder=tmp_path, path=tmp_path / name)


def test_an_installed_method_is_listed_and_joins_no_set(package: Path) -> None:
    listed = json.loads(python("-m", "uq_harness", "methods", "--json", folder=package, path=package / "site"))
    (found,) = [method for method in listed if method["name"] == "my_score"]
    assert (found["title"], found["sets"], found["sampling"]) == ("My score", [], True)
    assert found["options"]["my_score_case"]["default"] == "false"


def test_an_installed_method_scores_a_run(package: Path) -> None:
    python(
        *("-m", "uq_harness", "run", *DEMO, "--tasks", "uq_demo", "--limit", "6", "--output_path", "out"),
        *("--model_args", "pretrained=demo,methods=my_score+exact_match_rate,my_score_case=true", "--log_samples"),
        folder=package,
        path=package / "site",
    )
    (samples,) = (package / "out").rglob("samples_uq_demo_*.jsonl")
    for line in samples.read_text(encoding="utf-8").splitlines():
        scores = json.loads(line)["doc"]["uq"]["uncertainty"]
        assert scores["my_score"] == pytest.approx(scores["exact_match_rate"])


def test_the_page_has_what_the_pages_of_methods_have(package: Path) -> None:
    page = (package / "my_score" / "docs" / "my_score.md").read_text(encoding="utf-8")
    known = (ROOT / "docs" / "methods" / "exact_match_rate.md").read_text(encoding="utf-8")
    for part in ("**Score**", "**Needs**", "| option | default | meaning |", "**Source**"):
        assert part in page
        assert part in known
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    shared = {field.name for field in all_methods()["exact_match_rate"].options()}
    assert named == {*shared, "my_score_case"}


@pytest.mark.parametrize("name", ["My_rivers", "my-rivers", "3rivers", "my rivers", "../rivers", "", "class", "my__x"])
@pytest.mark.parametrize("write", [write_task, write_method])
def test_bad_names(tmp_path: Path, write, name: str) -> None:
    with pytest.raises(UQHarnessError, match=r"name '.*' is not allowed: use small letters"):
        write(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (write_task, "uq_demo", "is part of uq-harness"),
        (write_method, "g_nll", "methods=g_nll is taken"),
        (write_method, "sampling", "methods=sampling is taken"),
        (write_method, "json", "a Python package called json"),
        (write_method, "torch", "a Python package called torch"),
        (write_method, "my_stderr", "would look like an error"),
    ],
)
def test_names_that_are_taken(tmp_path: Path, write, name: str, message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        write(name, tmp_path)


@pytest.mark.parametrize("write", [write_task, write_method])
def test_nothing_is_overwritten(tmp_path: Path, write) -> None:
    (tmp_path / "my_own").mkdir()
    with pytest.raises(UQHarnessError, match="my_own' exists: nothing is overwritten"):
        write("my_own", tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UQHarnessError, match="cannot be made"):
        write("my_own", tmp_path / "file")


def test_another_kind_is_refused() -> None:
    done = CliRunner().invoke(app, ["new", "judge", "mine"])
    assert done.exit_code == 2
    assert "task" in done.output
