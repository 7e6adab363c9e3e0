"""Every command of the guides to reports and to the paper's runs, as a reader would paste it."""

import importlib
import pkgutil
import re
import shlex
from pathlib import Path

import pytest
from lm_eval.config.evaluate_config import EvaluatorConfig
from typer.testing import CliRunner

from tests.report.runs import made_up, write_run
from uq_harness.cli import app

DOCS = Path(__file__).parents[2] / "docs"


def commands(page: str) -> list[list[str]]:
    """The lines of a page's shell blocks, comments taken off."""
    blocks = re.findall(r"```bash\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    return [words for block in blocks for line in block.splitlines() if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("page", ["reports.md", "reproducing_the_paper.md"])
def test_every_command_works(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = importlib.import_module("uq_harness.cli.commands")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    for folder in ("out", "results/paper"):
        write_run(tmp_path / folder, *made_up(30))
    monkeypatch.chdir(tmp_path)
    found = commands(page)
    assert len(found) >= 4
    for program, *arguments in found:
        if program == "lm_eval":  # needs the paper's models: only the file is read
            assert arguments[:2] == ["run", "--config"]
            assert EvaluatorConfig.from_config(arguments[2]).model == "uq-hf"
            continue
        assert program == "uq-harness"
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, (arguments, done.output, done.exception)
