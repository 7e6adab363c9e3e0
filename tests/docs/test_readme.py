"""README.md: three lines of Python, and the commands of its table."""

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.docs.blocks import blocks
from tests.docs.terminal import Terminal
from tests.docs.test_commands import INLINE
from tests.report.runs import made_up, write_run
from uq_harness.demo import MODEL_DIR

RESULTS = ("report", "leaderboard", "compare", "threshold")


def test_three_lines_of_python(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks("README.md", "python")
    names = {
        "transformers_model": AutoModelForCausalLM.from_pretrained(MODEL_DIR),
        "tokenizer": AutoTokenizer.from_pretrained(MODEL_DIR),
    }
    exec(block.text, names)
    assert "'semgrad':" in capsys.readouterr().out


@pytest.mark.parametrize("command", RESULTS)
def test_the_tables_commands_run_on_results(command: str, tmp_path) -> None:
    (text,) = (text for page, text in INLINE if page == "README.md" and text.startswith(f"uq-harness {command} "))
    for folder in ("out", "baseline", "candidate"):
        write_run(tmp_path / folder, *made_up(400, accuracy=0.95))
    assert Terminal(tmp_path).run(text)
