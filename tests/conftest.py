"""Settings for all tests: no network, one thread, and a failure where shared data must not be absent."""

import os
from importlib.util import find_spec

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import pytest

from tests.support import SHARED


def pytest_configure(config: pytest.Config) -> None:
    """CI may not pass by skipping what the shared folder is needed for; no example of a property has a time limit."""
    if find_spec("hypothesis"):  # the environment of the real server has none
        from hypothesis import settings

        settings.register_profile("untimed", settings.get_profile("default"), deadline=None)
        settings.load_profile("untimed")
    if os.environ.get("CI") and SHARED is None and not os.environ.get("UQ_HARNESS_WITHOUT_SHARED"):
        pytest.exit("CI needs the folder of shared data next to the checkout (../shared)", returncode=1)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    if find_spec("torch"):  # some tests run without
        import torch

        torch.set_num_threads(1)
