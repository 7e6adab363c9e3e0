"""``uq-harness score``: tables, JSON, files, and wrong use."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.support import SHARED, requires_shared
from uq_harness.cli import app
from uq_harness.errors import UQHarnessError
from uq_harness.results.load import load_runs

ROWS = [
    {"question": "Who wrote Emma?", "answers": ["Jane Austen"], "answer": "Jane Austen", "samples": ["Austen"]},
    {"question": "Who wrote Silas?", "answers": ["Eliot"], "answer": "[red]\x1b[31m<b>", "samples": ["Eliot"]},
]
LEXICAL = ["--nli_model", "lexical", "--similarity_model", "lexical", "--correctness", "exact_match"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["score", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_tables_name_what_was_computed_what_lacks_and_the_files(file: Path, tmp_path: Path) -> None:
    output = run(file, *LEXICAL, "--output", tmp_path / "out", "--model_name", "[mine]")
    assert "[mine], mine: 2 answers" in output
    assert "2 computed" in output
    assert "gradients" in output
    assert "auroc_degree" in output
    (one,) = load_runs(tmp_path / "out")
    assert (one.model, one.task, one.judge, one.correct.tolist()) == ("[mine]", "mine", "exact_match", [1, 0])


def test_json_is_all_that_stands_on_standard_output(file: Path) -> None:
    (found,) = json.loads(run(file, *LEXICAL, "--json"))
    by_name = {one["name"]: one for one in found["methods"]}
    assert by_name["degree"]["computed"] == 2
    assert by_name["semgrad"]["lacking"] == {"gradients, which take the model": 2}
    assert found["results"]["accuracy,exact_match"] == 0.5
    assert found["written"] == []


def test_options_of_methods_and_judges(file: Path) -> None:
    arguments = [file, "--methods", "degree", "--method_args", "entropy_samples=1", "--nli_model", "lexical", "--json"]
    (found,) = json.loads(run(*arguments, "--correctness", '{"name": "f1", "threshold": 0.9}'))
    assert [one["name"] for one in found["methods"]] == ["degree"]
    assert found["methods"][0]["samples"] == [1, 1]
    assert "accuracy,f1" in found["results"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "semgard"], "did you mean semgrad"),
        (["--methods", "semgrad"], "semgrad cannot be computed"),
        (["--method_args", "entropy_sample=1"], "unknown option 'entropy_sample': did you mean entropy_samples"),
        (["--method_args", "entropy_samples"], "entropy_samples='' is not allowed"),
        (["--correctness", "bme"], "did you mean bem"),
        (["--correctness", "{"], "is not valid JSON"),
    ],
)
def test_wrong_use(file: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        run(file, *LEXICAL, *arguments)


def test_two_files_of_one_name(file: Path) -> None:
    with pytest.raises(UQHarnessError, match="several files would be results of the model mine on the task mine"):
        run(file, file, *LEXICAL)


@requires_shared
def test_samples_without_an_answer_need_the_word_of_the_user() -> None:
    samples = SHARED / "data" / "uqnlg_llama13b_triviaqa" / "generations.jsonl"
    with pytest.raises(UQHarnessError, match="--first_sample_answers takes the first"):
        run(samples, *LEXICAL, "--limit", 5)
    (found,) = json.loads(run(samples, *LEXICAL, "--limit", 5, "--first_sample_answers", "--json"))
    assert found["answers"] == 5


def test_undefined_metrics_are_null_in_json(file: Path) -> None:
    out = run(file, *LEXICAL, "--limit", 1, "--json")
    (found,) = json.loads(out, parse_constant=lambda constant: pytest.fail(f"{constant} is not JSON"))
    assert found["results"]["auroc_degree,exact_match"] is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[" * 100_000, "cannot be read"),
        ('{"question": %s}' % ("9" * 5000), "cannot be read"),
        (json.dumps({**ROWS[0], "token_logprobs": [-(10**400)]}), "too large"),
        (json.dumps({**ROWS[0], "uncertainty": {"mine": 10**400}}), "too large"),
    ],
    ids=["brackets", "digits", "log-probability", "score"],
)
def test_lines_that_no_program_can_read_are_named(file: Path, line: str, message: str) -> None:
    file.write_text(f"{json.dumps(ROWS[0])}\n{line}\n")
    with pytest.raises(UQHarnessError, match=f"mine.jsonl, line 2.*{message}"):
        run(file, *LEXICAL)


def test_an_output_that_cannot_be_a_folder_is_found_before_the_work(file: Path) -> None:
    with pytest.raises(OSError, match=r"mine\.jsonl"):
        run(file, *LEXICAL, "--output", file / "out")


def test_names_of_methods_do_not_reach_the_terminal_as_they_are(file: Path) -> None:
    rows = [{**row, "uncertainty": {"\x1b[31mred\u202e": number}} for number, row in enumerate(ROWS)]
    file.write_text("\n".join(map(json.dumps, rows)))
    output = run(file, *LEXICAL)
    assert "⟨U+001B⟩[31mred⟨U+202E⟩" in output
    assert "\x1b[31m" not in output


@pytest.mark.parametrize("name", ["../x", "a/b", "x" * 200, "a\nb", "\x1b[31m", "\ud83d"])
def test_a_task_name_that_no_file_can_have_is_refused_before_the_work(file: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UQHarnessError, match=r"--task_name .* cannot be part of a file's name"):
        run(file, *LEXICAL, "--output", tmp_path / "out", "--task_name", name)
    assert not (tmp_path / "out").exists()
