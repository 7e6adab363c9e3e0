"""``uq-harness engines``: a table over all engines, and one engine with what it lacks."""

import json

from typer.testing import CliRunner

from uq_harness.cli import app
from uq_harness.errors import UQHarnessError

runner = CliRunner(env={"COLUMNS": "200"})


def shown(*words: str) -> str:
    result = runner.invoke(app, ["engines", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_all_engines_beside_each_other() -> None:
    output = shown()
    assert "second pass" in output
    assert "from its documentation, not run" in output


def test_one_engine_with_what_it_lacks_and_the_way_out() -> None:
    output = " ".join(shown("vllm").split())
    assert "uq-harness score" in output
    assert "llama" not in output


def test_json_has_the_same() -> None:
    found = {one["engine"]: one for one in json.loads(shown("--json"))}
    assert found["vllm"]["methods"]["g_nll"] == {"way": "exact", "missing": None}
    assert found["chat-texts"]["methods"]["g_nll"]["way"] == "no"
    assert [one["engine"] for one in json.loads(shown("vllm", "--json"))] == ["vllm"]


def test_an_unknown_engine_is_named_with_those_that_are_known() -> None:
    result = runner.invoke(app, ["engines", "vlm"])
    assert isinstance(result.exception, UQHarnessError)
    assert "did you mean vllm" in str(result.exception)
