"""docs/install.md: the file of arguments that needs no quotes runs, and so does the form without JSON."""

import json
import shlex
from pathlib import Path

from tests.docs.blocks import blocks
from tests.docs.parsing import check, parse_lm_eval
from tests.docs.terminal import Terminal


def test_a_file_of_arguments_runs_in_any_shell(tmp_path: Path) -> None:
    (block,) = blocks("docs/install.md", "yaml")
    (tmp_path / "run.yaml").write_text(block.text, encoding="utf-8")
    rows = [{"question": f"Who founded town {number}?", "answers": ["Ada"]} for number in range(2)]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    more = "--model_args pretrained=demo methods=g_nll --tasks uq_demo --output_path out --log_samples"
    Terminal(tmp_path).run(f"lm_eval --config run.yaml {more}")
    (file,) = tmp_path.rglob("samples_uq_demo_*.jsonl")
    samples = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    asked = {(sample["doc"]["question"], sample["filter"]) for sample in samples}
    assert asked == {(row["question"], judge) for row in rows for judge in ("exact_match", "token_recall")}


def test_a_plain_value_needs_no_json() -> None:
    words = shlex.split("lm_eval --model uq-hf --model_args pretrained=demo --tasks uq_demo")
    words += ["--metadata", "correctness=token_recall"]
    assert parse_lm_eval(words[1:]).metadata == {"correctness": "token_recall"}
    check(words)
