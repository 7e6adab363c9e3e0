"""docs/own_task.md: its commands run, its files are tasks, and its Python shows what it says."""

import doctest
import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from lm_eval.tasks import TaskManager

from tests.docs.blocks import ROOT, blocks

PAGE = "docs/own_task.md"


def test_the_page_from_a_new_task_to_worked_examples(read, monkeypatch) -> None:
    page = read(PAGE)
    assert "All tasks found and valid" in page.output
    (written,) = page.folder.glob("mytasks/my_rivers/my_rivers.yaml")
    assert written.read_text(encoding="utf-8") == blocks(PAGE, "yaml")[0].text
    (samples,) = (page.folder / "shots").rglob("samples_my_rivers_*.jsonl")
    first = json.loads(samples.read_text(encoding="utf-8").splitlines()[0])
    prompt = first["arguments"]["gen_args_0"]["arg_0"]
    assert prompt.startswith("<|im_start|>system\nBe brief.<|im_end|>")
    assert prompt.count("<|im_start|>user") == 4
    monkeypatch.chdir(page.folder)
    found = doctest.testfile(str(ROOT / PAGE), module_relative=False)
    assert (found.attempted, found.failed) == (5, 0)


def load(folder: Path, name: str) -> Any:
    return TaskManager(include_path=str(folder), include_defaults=False).load([name])["tasks"][name]


def test_its_own_columns_are_taken(read) -> None:
    task = load(read(PAGE).folder / "mytasks", "my_clues")
    assert task.eval_docs["answers"] == [["Danube", "Donau"], ["Nile"], ["Amazon"]]
    assert task.eval_docs["question"][0] == "It flows through Vienna"


def test_its_worked_examples_are_taken(read, tmp_path: Path) -> None:
    shutil.copytree(read(PAGE).folder / "mytasks" / "my_rivers", tmp_path / "my_rivers")
    file = tmp_path / "my_rivers" / "my_rivers.yaml"
    with file.open("a", encoding="utf-8") as more:
        more.write(blocks(PAGE, "yaml")[-1].text)
    drawn = load(tmp_path, "my_rivers").sampler.sample(2)
    assert {tuple(example["answers"]) for example in drawn} == {("Tiber",), ("Rhône", "Saône")}


def test_its_blocks_are_yaml() -> None:
    assert all(isinstance(yaml.safe_load(block.text), dict) for block in blocks(PAGE, "yaml"))
