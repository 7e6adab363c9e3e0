"""Run configurations of the paper: YAML files for ``lm_eval run --config``."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def configuration_files() -> list[Path]:
    """The files, two for each of the paper's models: what the paper's text says, and what its code does.

    >>> [file.name for file in configuration_files()]
    ['paper_code_llama3.1_8b.yaml', 'paper_code_mistral_nemo_12b.yaml', 'paper_code_qwen3_4b.yaml',
     'paper_llama3.1_8b.yaml', 'paper_mistral_nemo_12b.yaml', 'paper_qwen3_4b.yaml']
    """
    return sorted(Path(str(files(__package__))).glob("configurations/*.yaml"))
