"""docs/running_at_scale.md and its recipes: the tables are those of the code, and what can be read is read."""

import json
import re
import shlex
import subprocess

import pytest
import yaml

from tests.docs.blocks import ROOT, text_of
from tests.docs.parsing import check, own_arguments
from uq_harness.models.routes import AUTO, CHAT, ROUTES
from uq_harness.studies.engines.table import engine_table

PAGE = "docs/running_at_scale.md"
RECIPES = ROOT / "examples" / "scale"
JOBS = sorted(RECIPES.glob("*.sbatch"))
COMPOSE = yaml.safe_load((RECIPES / "compose.yaml").read_text(encoding="utf-8"))
TRAPS = 24


def rows_of(table: str) -> list[list[str]]:
    """The cells of the page's table whose first heading is given, without the headings."""
    lines = text_of(PAGE).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {table} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_the_table_of_engines_is_the_one_that_the_backends_make() -> None:
    assert engine_table().markdown() in text_of(PAGE), "take that of: uq-harness engines --markdown"


@pytest.mark.parametrize("model", ["uq-api", "uq-vllm"])
def test_the_arguments_are_those_of_the_model(model: str) -> None:
    own, documented = own_arguments(model), {}
    for names, default, _ in rows_of(f"argument of `{model}`"):
        found = re.findall(r"`(\w+)`", names)
        values = default.split(", ")
        documented |= dict(zip(found, values if len(values) == len(found) else [default] * len(found), strict=True))
    assert documented.keys() == own.keys()
    told = {name: value.strip("`") for name, value in documented.items() if re.fullmatch(r"`[^`]+`", value)}
    same_as_another = {name for name, value in told.items() if value in own}
    assert same_as_another <= {"tokenizer"}
    for name in told.keys() - same_as_another - {"api_key_env"}:
        assert str(own[name]).lower() == told[name], name


def test_the_routes_are_those_of_the_model() -> None:
    (meaning,) = (row[2] for row in rows_of("argument of `uq-api`") if row[0] == "`route`")
    assert set(re.findall(r"`([\w.]+)`(?= \(|, which)", meaning)) == {*ROUTES, CHAT, AUTO}


def test_every_trap_is_told() -> None:
    section = text_of(PAGE).partition("## Traps of servers")[2].partition("\n## ")[0]
    assert [int(number) for number in re.findall(r"^(\d+)\. ", section, re.MULTILINE)] == list(range(1, TRAPS + 1))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_a_job_is_a_script_whose_command_can_be_read(job) -> None:
    subprocess.run(["bash", "-n", job], check=True)
    text = job.read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"^(?:lm_eval|accelerate) .*$", text, re.MULTILINE)
    command = command.replace("${TASKS:-uq_bench}", "uq_bench")
    check(shlex.split(re.sub(r"\$\(\(.*?\)\)", "64", command)))


@pytest.mark.parametrize("service", ["evaluate", "second_pass"])
def test_a_service_runs_a_command_that_can_be_read(service: str) -> None:
    words = COMPOSE["services"][service]["command"]
    if words[:2] == ["bash", "-c"]:
        words = shlex.split(words[2])
    words = [re.sub(r"\$\{\w+:-?(\w*)\??\}", lambda found: found[1] or "any", word) for word in words]
    check([part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])])


def test_services_fit_together() -> None:
    """The client waits for the server, both have the same key, and no command holds it."""
    services = COMPOSE["services"]
    assert services["evaluate"]["depends_on"] == {"vllm": {"condition": "service_healthy"}}
    key = services["vllm"]["environment"]["VLLM_API_KEY"]
    assert services["evaluate"]["environment"]["UQ_SERVER_KEY"] == key == "${UQ_SERVER_KEY:?}"
    commands = json.dumps([service.get("command") for service in services.values()])
    assert "api_key_env=UQ_SERVER_KEY" in commands
    assert "${UQ_SERVER_KEY" not in commands
    assert all(service.get("volumes") for service in services.values())
