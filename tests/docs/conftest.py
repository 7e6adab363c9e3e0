"""What a reader has after pasting a page's commands, once a session."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.terminal import Terminal
from tests.report.runs import made_up, write_run


@dataclass(frozen=True)
class Reading:
    """A page's shell blocks, run in a folder.

    Attributes:
        terminal: Where they ran.
        output: All that they printed.
    """

    terminal: Terminal
    output: str

    @property
    def folder(self) -> Path:
        return self.terminal.folder


def _saved_answers(folder: Path) -> None:
    files = ("answers.jsonl", "listed.jsonl")
    for name, block in zip(files, blocks("docs/scoring_saved_answers.md", "json"), strict=True):
        (folder / name).write_text(block.text, encoding="utf-8")


def _clues(folder: Path) -> None:
    (folder / "mytasks").mkdir()
    task = next(block for block in blocks("docs/own_task.md", "yaml") if "my_clues" in block.text)
    (folder / "mytasks" / "my_clues.yaml").write_text(task.text, encoding="utf-8")
    (folder / "mytasks" / "clues.csv").write_text(blocks("docs/own_task.md", "csv")[0].text, encoding="utf-8")


def _score_of_the_readers_own(folder: Path) -> None:
    (block,) = blocks("docs/stories/researcher.md", "python")
    (folder / "unevenness.py").write_text(block.text, encoding="utf-8")


def _file_of_arguments(folder: Path) -> None:
    (block,) = blocks("docs/stories/elsewhere.md", "yaml")
    (folder / "run.yaml").write_text(block.text, encoding="utf-8")


# What a page's commands read that a reader has from elsewhere.
BEFORE: dict[str, Callable[[Path], object]] = {
    "docs/own_task.md": _clues,
    "docs/reports.md": lambda folder: write_run(folder / "out", *made_up(30)),
    "docs/reproducing_the_paper.md": lambda folder: write_run(folder / "results" / "paper", *made_up(30)),
    "docs/scoring_saved_answers.md": _saved_answers,
    "docs/stories/elsewhere.md": _file_of_arguments,
    "docs/stories/researcher.md": _score_of_the_readers_own,
}


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Reading]:
    """Runs a page's shell blocks, or gives what they left when they ran first."""
    done: dict[str, Reading] = {}

    def run(page: str) -> Reading:
        if page not in done:
            terminal = Terminal(tmp_path_factory.mktemp("reader"))
            BEFORE.get(page, lambda _: None)(terminal.folder)
            done[page] = Reading(terminal, terminal.run("".join(block.text for block in blocks(page, "bash"))))
        return done[page]

    return run
