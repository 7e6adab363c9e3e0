"""A method in a package of its own: installed, it is one of ours."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import uq_harness

EXAMPLE = Path(__file__).parent / "example_method"
OURS = Path(uq_harness.__file__).parents[1]

USE = """
import numpy as np
from uq_harness.evidence import Answer, Evidence, Sample, Samples
from uq_harness.methods import build_methods, settings

(method,) = build_methods("distinct_answers", {"distinct_samples": "3"})
drawn = tuple(Sample(text, (1,), np.zeros(1), True) for text in ("Rome", "rome.", "Paris"))
answer = Answer("Rome", (1,), np.zeros(1), np.zeros(1), True)
print(method.score(Evidence("Where?", answer, {Samples(3, 1.0): drawn})), settings([method]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the example package was installed into, offline."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(EXAMPLE, folder / "source")  # a build leaves folders next to its source
    target = folder / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(source)], check=True)
    return target


def run(*command: str, path: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter that finds what is in the given folder, and this very uq_harness."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(OURS), str(path)]), "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, *command], check=True, env=environment, cwd=path, capture_output=True, text=True
    )


def test_it_is_listed(installed: Path) -> None:
    listed = json.loads(run("-m", "uq_harness", "methods", "--json", path=installed).stdout)
    (found,) = [method for method in listed if method["name"] == "distinct_answers"]
    assert found["sampling"]
    assert found["sets"] == []
    assert found["options"]["distinct_samples"]["default"] == 5


def test_it_can_be_chosen_with_its_option_and_scores(installed: Path) -> None:
    value, options = run("-c", USE, path=installed).stdout.split(" ", 1)
    assert float(value) == pytest.approx(2 / 3)
    assert options.strip() == "{'distinct_samples': 3}"


def test_without_the_package_it_is_unknown(tmp_path: Path) -> None:
    listed = json.loads(run("-m", "uq_harness", "methods", "--json", path=tmp_path).stdout)
    assert "distinct_answers" not in [method["name"] for method in listed]


def test_a_broken_package_takes_no_method_down(tmp_path: Path) -> None:
    metadata = tmp_path / "broken_method-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-method\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[uq_harness.methods]\nbroken = no_such_module:Broken\n")
    result = run("-m", "uq_harness", "methods", "--json", path=tmp_path)
    assert "semgrad" in [method["name"] for method in json.loads(result.stdout)]
    assert "method plug-in no_such_module:Broken could not be loaded" in result.stderr
