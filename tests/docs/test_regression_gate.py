"""docs/regression_gate.md: its commands run, and so do those of its CI jobs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "regression_gate.md").read_text(encoding="utf-8")
SHELL, GITHUB, GITLAB = re.search(
    r"```bash\n(.*?)```.*?```yaml\n(.*?)```.*?```yaml\n(.*?)```", TEXT, flags=re.DOTALL
).groups()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A folder in which the page's first commands have run."""
    folder = tmp_path_factory.mktemp("repository")
    shell(SHELL, folder)
    return folder


def shell(script: str, folder: Path) -> str:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def offline(commands: list[str]) -> list[str]:
    """The commands that need neither the package index nor GitHub, each on one line."""
    joined = [" ".join(command.replace("\\\n", " ").split()) for command in commands]
    return [command for command in joined if not command.startswith(("pip ", "gh "))]


def steps_of_github() -> list[str]:
    steps = yaml.safe_load(GITHUB)["jobs"]["gate"]["steps"]
    return offline([step["run"] for step in steps if "run" in step])


def test_the_commands_compare_two_runs(repository):
    assert {path.name for path in repository.iterdir()} == {"baseline", "candidate"}


def test_the_github_job_runs(repository):
    evaluate, compare = steps_of_github()
    assert evaluate in offline(SHELL.replace("\\\n", " ").splitlines())  # has run already
    shell(compare, repository)
    assert (repository / "summary.md").read_text(encoding="utf-8").startswith("## ✅ No regression")
    assert (repository / "comparison.md").is_file()
    assert (repository / "comparison.xml").is_file()


def test_the_gitlab_job_runs_the_same():
    script = offline(yaml.safe_load(GITLAB)["uncertainty"]["script"])
    assert script == [command.removesuffix(' >> "$GITHUB_STEP_SUMMARY"') for command in steps_of_github()]
