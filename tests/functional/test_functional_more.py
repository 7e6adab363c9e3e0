"""The scores that other toolkits offer too, on the numbers of the peers' own code."""

import json
from typing import Any

import numpy as np
import pytest

from tests.support import SHARED, requires_shared
from uq_harness import functional

CASES: dict[str, list[dict[str, Any]]] = (
    json.loads((SHARED / "golden/functional_more.json").read_text(encoding="utf-8")) if SHARED else {}
)


@requires_shared
def test_every_function_of_the_golden_file_is_there() -> None:
    assert len(CASES) == 30
    assert set(CASES) <= set(functional.__all__)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{index}")
        for name, cases in CASES.items()
        for index, case in enumerate(cases)
    ],
)
def test_golden(name: str, case: dict[str, Any]) -> None:
    found = getattr(functional, name)(**case["inputs"])
    np.testing.assert_allclose(found, case["expected"], rtol=1e-9, atol=1e-9)
