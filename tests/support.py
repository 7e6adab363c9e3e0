"""What all tests share: the folder of shared data, and small models."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from uq_harness.methods import all_methods

_beside = Path(__file__).resolve().parents[2] / "shared"
SHARED: Path | None = Path(os.environ.get("UQ_HARNESS_SHARED", _beside))
if not SHARED.is_dir():
    SHARED = None

requires_shared = pytest.mark.skipif(
    SHARED is None, reason="needs the folder of golden numbers, data and models (../shared, or $UQ_HARNESS_SHARED)"
)

# The methods that give a score to every answer of the small models: these know no numbers, and so state no probability.
SCORING = tuple(name for name in all_methods() if name != "verbalized_confidence")


def read_questions(file: str | Path) -> list[dict[str, Any]]:
    """The rows of a file of questions."""
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What has been logged as a warning or worse; lm_eval tells more where an earlier test has run it."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
