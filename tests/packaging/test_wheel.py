"""What the wheel and the source distribution hold, and that the package declares all that it imports."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# The folder in the source, and where it is in the wheel.
FOLDERS = {"uq_harness": "uq_harness", "metrics": "uq_harness/metrics", "tasks": "uq_harness/tasks"}
# Brought by whoever wants the engine: its builds differ from machine to machine.
NOT_DECLARED = {"vllm"}


def sources() -> dict[str, Path]:
    """All files of the package by their names in the wheel."""
    return {
        f"{installed}/{file.relative_to(ROOT / folder).as_posix()}": file
        for folder, installed in FOLDERS.items()
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".pyc"
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel that is made from the source distribution."""
    folder = tmp_path_factory.mktemp("source")
    left_out = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "out", "*.egg-info", "uq_harness-*")
    shutil.copytree(ROOT, folder / "checkout", ignore=left_out, symlinks=True)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), "."]
    done = subprocess.run(command, cwd=folder / "checkout", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(file) as content:
        yield content


def test_the_wheel_holds_every_package_and_every_file_of_data(wheel: zipfile.ZipFile) -> None:
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    beside = {"_uq_harness_autoload.py", "uq_harness.pth", "uq_harness.start"}
    assert files == set(sources()) | beside


def test_the_metadata_say_what_a_package_index_shows(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    text = wheel.read(name).decode()
    assert "Author: The uq-harness authors" in text
    assert "Requires-Python: >=3.11" in text
    assert re.search(r"^Requires-Dist: lm-eval\[hf\].*<0\.5", text, re.MULTILINE)
    assert "# uq-harness" in text  # README.md


def imported() -> dict[str, str]:
    """Packages of others that the package imports, each with one file that does."""
    found: dict[str, str] = {}
    for name, file in sources().items():
        if file.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            else:
                continue
            found |= {module.split(".")[0]: name for module in modules}
    return {module: name for module, name in found.items() if module not in {*sys.stdlib_module_names, "uq_harness"}}


def test_all_that_is_imported_is_declared() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].splitlines()
    for extra, requirements in setup["options.extras_require"].items():
        lines += [] if extra == "dev" else requirements.splitlines()
    declared = {Requirement(line).name.lower() for line in lines if line and not line.startswith("#")}
    distributions = packages_distributions()
    for module, name in imported().items():
        homes = {home.lower().replace("_", "-") for home in distributions.get(module, [module])}
        assert homes & declared or module in NOT_DECLARED, f"{name} imports {module}, which setup.cfg does not declare"
