"""The engine of vLLM over a stand-in for its package: what it does where vLLM is given nothing to do."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from uq_harness.backends.served.requests import QuestionRefusedError, TokenRequest
from uq_harness.backends.served.vllm_engine import VLLMEngine


class StandIn:
    """vLLM's ``LLM`` that writes one token with the value −0.5; no prompts are an error."""

    def __init__(self) -> None:
        config = SimpleNamespace(get_vocab_size=lambda: 50, max_logprobs=20, max_model_len=64, dtype="float32")
        self.llm_engine = SimpleNamespace(model_config=config)
        self.calls = 0

    def generate(self, prompts: list[Any], parameters: list[Any], **_: Any) -> list[Any]:
        if not prompts:
            raise ValueError("no prompts")
        self.calls += 1
        return [self._output(prompt, how) for prompt, how in zip(prompts, parameters, strict=True)]

    def _output(self, prompt: Any, how: Any) -> Any:
        row = {token: SimpleNamespace(logprob=-0.5 - token) for token in range(50)}
        written = SimpleNamespace(index=0, token_ids=[0], logprobs=[row], finish_reason="length")
        ids = prompt.prompt_token_ids
        return SimpleNamespace(
            outputs=[SimpleNamespace(**{**vars(written), "index": i}) for i in range(how.n)],
            prompt_token_ids=ids,
            prompt_logprobs=[None, *({**row} for _ in ids[1:])],
            num_cached_tokens=0,
        )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> VLLMEngine:
    stand_in = SimpleNamespace(TokensPrompt=SimpleNamespace, SamplingParams=SimpleNamespace, __version__="0")
    monkeypatch.setitem(sys.modules, "vllm", stand_in)
    return VLLMEngine(StandIn(), (1, 2))


def test_a_round_whose_every_request_is_refused_beforehand_asks_vllm_nothing(engine: VLLMEngine) -> None:
    calls = engine._model.calls
    outcomes = engine._generate([TokenRequest((1,) * 64, 5), TokenRequest((99,), 5)])
    assert all(isinstance(one, QuestionRefusedError) for one in outcomes)
    assert engine._model.calls == calls
    refused, reply = engine._generate([TokenRequest((99,), 1), TokenRequest((1, 2), 1)])
    assert isinstance(refused, QuestionRefusedError)
    assert not isinstance(reply, QuestionRefusedError)
    assert reply.choices[0].token_ids == (0,)
