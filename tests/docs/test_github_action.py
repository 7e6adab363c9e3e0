"""action.yml: its steps run as GitHub's runner would run them, on the demo model; its page names its inputs."""

import re
import shlex
from typing import Any

import pytest
import yaml

from tests.docs.blocks import ROOT, blocks, text_of
from tests.docs.terminal import Terminal

PAGE = "docs/github_action.md"
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
(WORKFLOW,) = (yaml.safe_load(block.text) for block in blocks(PAGE, "yaml"))
(USE,) = (step for step in WORKFLOW["jobs"]["gate"]["steps"] if "uq-harness" in step["uses"])


def inputs(**given: str) -> dict[str, str]:
    """What the action's inputs are for a workflow: its own values, else the defaults."""
    values = {name: str(described.get("default", "")) for name, described in ACTION["inputs"].items()}
    return values | given


def script(step: dict[str, Any], values: dict[str, str]) -> str:
    """A step's shell commands, with its environment filled in."""
    known = {f"inputs.{name}": value for name, value in values.items()} | {"github.action_path": str(ROOT)}
    filled = {
        name: re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], value) for name, value in step["env"].items()
    }
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in filled.items()) + step["run"]


def steps(values: dict[str, str]) -> dict[str, str]:
    return {step["name"]: script(step, values) for step in ACTION["runs"]["steps"] if "run" in step}


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Terminal:
    """A repository with the baseline of the page."""
    place = Terminal(tmp_path_factory.mktemp("repository"))
    place.run("".join(block.text for block in blocks(PAGE, "bash")))
    return place


def test_the_workflow_of_the_page_passes(terminal: Terminal) -> None:
    assert set(USE["with"]) <= set(ACTION["inputs"])
    for text in steps(inputs(**{name: str(value) for name, value in USE["with"].items()})).values():
        terminal.run(text)
    made = terminal.folder / "uq-gate"
    assert (made / "report" / "report.html").is_file()
    comparison = (made / "comparison.md").read_text(encoding="utf-8")
    assert "No regression was shown" in comparison.splitlines()[0]
    assert "<testsuite" in (made / "comparison.xml").read_text(encoding="utf-8")
    assert (terminal.folder / "summary.md").read_text(encoding="utf-8") == comparison


def test_a_candidate_that_lost_a_method_fails(terminal: Terminal) -> None:
    values = inputs(**{name: str(value) for name, value in USE["with"].items()} | {"output": "lost"})
    every = steps(values | {"model_args": "pretrained=demo,methods=g_nll"})
    terminal.run(every["Evaluate"])
    with pytest.raises(AssertionError):
        terminal.run(every["Compare"])
    assert "semgrad" in (terminal.folder / "lost" / "comparison.md").read_text(encoding="utf-8")


def test_nothing_of_a_workflow_is_pasted_into_a_script() -> None:
    assert all("${{" not in step["run"] for step in ACTION["runs"]["steps"] if "run" in step)


def test_the_page_names_every_input_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*?)\|", text_of(PAGE), re.MULTILINE))
    assert set(rows) == set(ACTION["inputs"])
    shown = {name: value.strip(" `") for name, value in rows.items() if name != "torch_index"}
    assert shown == {name: inputs()[name] for name in shown}
