"""Every function of `uq_harness.functional` on the cases of the shared golden file."""

import json
from typing import Any

import numpy as np
import pytest

from tests.support import SHARED, requires_shared
from uq_harness import functional

CASES: dict[str, list[dict[str, Any]]] = (
    json.loads((SHARED / "golden/functional.json").read_text(encoding="utf-8")) if SHARED else {}
)


@requires_shared
def test_golden_file_has_cases():
    assert sum(map(len, CASES.values())) > 200


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{index}")
        for name, cases in CASES.items()
        for index, case in enumerate(cases)
    ],
)
def test_golden(name, case):
    result = getattr(functional, name)(**case["inputs"])
    assert_matches(result, case["expected"])


def assert_matches(result, expected):
    if isinstance(expected, dict):
        assert result._fields == tuple(expected)
        for field, value in expected.items():
            assert_matches(getattr(result, field), value)
    elif isinstance(expected, list) and isinstance(expected[0], str):
        assert result == expected
    else:
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)
