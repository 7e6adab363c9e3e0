"""What all tests share: the folder of shared data, and small models."""

import os
from pathlib import Path

import pytest

_beside = Path(__file__).resolve().parents[2] / "shared"
SHARED: Path | None = Path(os.environ.get("UQ_HARNESS_SHARED", _beside))
if not SHARED.is_dir():
    SHARED = None

requires_shared = pytest.mark.skipif(
    SHARED is None, reason="needs the folder of golden numbers, data and models (../shared, or $UQ_HARNESS_SHARED)"
)
