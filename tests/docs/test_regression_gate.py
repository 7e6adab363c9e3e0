"""docs/regression_gate.md: its commands compare two runs, and those of its CI jobs run."""

import yaml

from tests.docs.blocks import blocks

PAGE = "docs/regression_gate.md"
GITHUB, GITLAB = (yaml.safe_load(block.text) for block in blocks(PAGE, "yaml"))


def offline(commands: list[str]) -> list[str]:
    """The commands that need neither the package index nor GitHub, each on one line."""
    joined = [" ".join(command.replace("\\\n", " ").split()) for command in commands]
    return [command for command in joined if not command.startswith(("pip ", "gh "))]


def steps_of_github() -> list[str]:
    return offline([step["run"] for step in GITHUB["jobs"]["gate"]["steps"] if "run" in step])


def test_the_commands_compare_two_runs(read) -> None:
    page = read(PAGE)
    assert (page.folder / "baseline").is_dir()
    assert (page.folder / "candidate").is_dir()
    assert "No regression was shown" in page.output


def test_the_github_job_runs(read) -> None:
    evaluate, compare = steps_of_github()
    (shell,) = blocks(PAGE, "bash")
    assert evaluate in offline(shell.text.replace("\\\n", " ").splitlines())  # has run already
    terminal = read(PAGE).terminal
    terminal.run(compare)
    headline = (terminal.folder / "summary.md").read_text(encoding="utf-8").splitlines()[0]
    assert headline == "## ⚠️ No regression was shown, but a large one could be missed"
    assert (terminal.folder / "comparison.md").is_file()
    assert (terminal.folder / "comparison.xml").is_file()


def test_the_gitlab_job_runs_the_same() -> None:
    script = offline(GITLAB["uncertainty"]["script"])
    assert script == [command.removesuffix(' >> "$GITHUB_STEP_SUMMARY"') for command in steps_of_github()]
