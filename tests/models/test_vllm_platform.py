"""What ``uq-vllm`` sets where vLLM runs on a CPU; a stand-in says so, since vLLM need not be there."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from uq_harness.models.vllm_platform import on_this_platform


@pytest.mark.parametrize(
    ("on_cpu", "given", "expected"),
    [
        (True, {"seed": 1}, {"seed": 1, "enable_chunked_prefill": False}),
        (True, {"enable_chunked_prefill": True}, {"enable_chunked_prefill": True}),
        (False, {"seed": 1}, {"seed": 1}),
    ],
)
def test_on_a_cpu_prompts_are_read_whole_unless_the_user_says_otherwise(
    on_cpu: bool, given: dict[str, Any], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = SimpleNamespace(is_cpu=lambda: on_cpu)
    monkeypatch.setitem(sys.modules, "vllm.platforms", SimpleNamespace(current_platform=platform))  # type: ignore[arg-type]
    assert on_this_platform(given) == expected
