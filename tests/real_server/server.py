"""A vLLM server on the CPU, as tests start, kill and start it again."""

import os
import signal
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

REQUIRED = bool(os.environ.get("UQ_HARNESS_VLLM"))
requires_vllm = [
    pytest.mark.real_server,
    pytest.mark.skipif(find_spec("vllm") is None and not REQUIRED, reason="needs vLLM: run `tox -e vllm`"),
]
# One GiB for the cache, no thread bound to a core, and nothing sent or downloaded.
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
# What vLLM does where a request does not say how texts are drawn: in the model's generation_config.json.
DRAWING = {"do_sample": True, "top_k": 2, "temperature": 0.7, "repetition_penalty": 1.5}
LONGEST = 1024  # tokens of prompt and answer
# A seeded request whose prompt is read in parts ends the engine on a CPU.
ARGUMENTS = (
    *("--dtype", "float32", "--max-model-len", str(LONGEST), "--max-num-seqs", "32", "--max-logprobs", "20"),
    *("--enforce-eager", "--no-enable-chunked-prefill", "--max-num-batched-tokens", "4096"),
)


class VLLMServer:
    """A server process with all its children.

    Args:
        model: The model's folder.
        name: The name by which it is served.
        log: A file for what the server prints.

    Attributes:
        base_url: Where ``/completions`` is.
    """

    def __init__(self, model: Path, name: str, log: Path) -> None:
        self.model, self.name, self.log = model, name, log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.base_url = f"http://127.0.0.1:{self._port}/v1"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The number of the process that started the others."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it, without waiting."""
        program = Path(sys.executable).parent / "vllm"
        address = ("--host", "127.0.0.1", "--port", str(self._port), "--served-model-name", self.name)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(program), "serve", str(self.model), *address, *ARGUMENTS],
                env={**os.environ, **ENVIRONMENT},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, seconds: float = 900) -> None:
        """Waits until it answers."""
        assert self._process is not None
        end = time.monotonic() + seconds
        while not self._healthy():
            if self._process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the server does not answer:\n{self.log.read_text(errors='replace')[-4000:]}")
            time.sleep(0.5)

    def kill(self) -> None:
        """Kills all its processes, and waits for their end."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _healthy(self) -> bool:
        try:
            with urlopen(self.base_url.removesuffix("/v1") + "/health", timeout=5) as reply:
                return bool(reply.status == 200)
        except (URLError, OSError):
            return False
