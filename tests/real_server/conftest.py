"""One server for all tests, and the demo model in this process: by vLLM, and by torch."""

import json
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.real_server.server import DRAWING, ENVIRONMENT, LONGEST, VLLMServer
from uq_harness.backends.served.engine import Engine
from uq_harness.backends.served.http.completions import Completions
from uq_harness.backends.served.http.server import open_server
from uq_harness.demo import MODEL_DIR
from uq_harness.endpoints.settings import Endpoint
from uq_harness.endpoints.tokens import TokenClient
from uq_harness.models import UQHFLM

if TYPE_CHECKING:
    from uq_harness.models.vllm import UQVLLM


@pytest.fixture(scope="session")
def _starting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VLLMServer]:
    """The server, begun; what else takes long can begin meanwhile.

    Its model's folder sets how texts are drawn, which no request may leave to it.
    """
    model = tmp_path_factory.mktemp("model") / "demo"
    shutil.copytree(MODEL_DIR, model)
    file = model / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **DRAWING}), encoding="utf-8")
    server = VLLMServer(model, "demo", tmp_path_factory.mktemp("server") / "server.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def in_process(_starting: VLLMServer) -> "UQVLLM":
    """The demo model in this process by vLLM."""
    os.environ |= ENVIRONMENT
    from uq_harness.models.vllm import UQVLLM

    return UQVLLM("demo", dtype="float32", max_model_len=LONGEST, max_num_seqs=32, enforce_eager=True, seed=1)


@pytest.fixture(scope="session")
def server(_starting: VLLMServer) -> VLLMServer:
    """The server, up."""
    _starting.wait()
    return _starting


@pytest.fixture(scope="session")
def local(in_process: "UQVLLM") -> Engine:
    """vLLM in this process as an engine."""
    return in_process._engine


@pytest.fixture(scope="session")
def http(server: VLLMServer, in_torch: UQHFLM) -> Engine:
    """The server as an engine."""
    client = TokenClient(Endpoint(server.name, server.base_url, concurrency=16))
    dialect = Completions(server.name, client.root)
    return open_server(client, dialect, None, in_torch.tokenizer("What is the capital of France?")["input_ids"])


@pytest.fixture(params=["local", "http"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Both engines, one after the other."""
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def in_torch() -> UQHFLM:
    """The demo model in torch."""
    return UQHFLM("demo", dtype="float32", device="cpu", batch_size=8)
