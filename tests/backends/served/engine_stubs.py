"""Servers that reply in the shapes that SGLang and llama.cpp document, from the demo model."""

from dataclasses import dataclass
from typing import Any

from tests.backends.demo_writer import WRITER, Step
from tests.backends.json_server import Refused


@dataclass(frozen=True)
class SGLangStub:
    """SGLang's ``/generate``.

    Attributes:
        original: Whether values are the model's own (SGLANG_RETURN_ORIGINAL_LOGPROB).
        deterministic: Whether seeds are heeded (--enable-deterministic-inference).
    """

    original: bool = True
    deterministic: bool = True

    def routes(self) -> dict[str, Any]:
        return {
            "/generate": self.generate,
            "/get_model_info": lambda _: {"model_path": "demo", "is_generation": True},
            "/tokenize": self.tokenize,
            "/v1/models": lambda _: {"data": [{"id": "demo", "root": "demo", "max_model_len": 1024}]},
        }

    def tokenize(self, body: dict[str, Any]) -> dict[str, Any]:
        if "prompt" not in body:
            raise Refused("prompt: field required")
        return {"tokens": WRITER.tokenizer(body["prompt"])["input_ids"], "count": 1}

    def generate(self, body: dict[str, Any]) -> dict[str, Any]:
        ids, how = body["input_ids"], body["sampling_params"]
        if how["n"] != 1:
            raise Refused("this stub gives one answer")
        seed = how["sampling_seed"] if self.deterministic else id(body)
        temperature = how["temperature"]
        cuts = how["top_p"], max(0, how["top_k"])
        steps = WRITER.write(ids, how["max_new_tokens"], temperature, *cuts, seed if temperature else 0)
        ended = steps[-1].token in {2, *how["stop_token_ids"]}
        own, top = self.original or not temperature, body["top_logprobs_num"]
        told: dict[str, Any] = {
            "prompt_tokens": len(ids),
            "completion_tokens": len(steps),
            "cached_tokens": 0,
            "finish_reason": {"type": "stop", "matched": 2} if ended else {"type": "length", "length": len(steps)},
            "output_token_logprobs": [[float((s.own if own else s.drawn)[s.token]), s.token, None] for s in steps],
        }
        if top:
            told["output_top_logprobs"] = [[[v, t, None] for t, v in s.top(top, own)] for s in steps]
        start = body["logprob_start_len"]
        if start >= 0:
            law = WRITER.read(ids)
            told["input_token_logprobs"] = [[None, ids[start], None]] + [
                [float(law[i - 1, ids[i]]), ids[i], None] for i in range(start + 1, len(ids))
            ]
            if top:
                rows = [law[i - 1].topk(top) for i in range(start + 1, len(ids))]
                told["input_top_logprobs"] = [None] + [
                    [[float(v), int(t), None] for v, t in zip(*row, strict=True)] for row in rows
                ]
        return {"text": "", "output_ids": [s.token for s in steps], "meta_info": told}


@dataclass(frozen=True)
class LlamaCppStub:
    """llama.cpp's ``/completion``.

    Attributes:
        raw: Whether values are those before the samplers.
        biased: Whether a bias on a logit moves the values.
        drops: Whether it leaves values of tokens out that end within a character.
    """

    raw: bool = True
    biased: bool = False
    drops: bool = True

    def routes(self) -> dict[str, Any]:
        return {
            "/completion": self.complete,
            "/props": lambda _: {"default_generation_settings": {"n_ctx": 1024}, "build_info": "b1-demo"},
            "/tokenize": lambda body: {"tokens": WRITER.tokenizer(body["content"])["input_ids"]},
            "/v1/models": lambda _: {"data": [{"id": "demo"}]},
        }

    def complete(self, body: dict[str, Any]) -> dict[str, Any]:
        ids, temperature = body["prompt"], body["temperature"]
        bias = dict(body.get("logit_bias", ()))
        cuts = body["top_p"], body["top_k"]
        seed = body["seed"] if temperature else 0
        steps = WRITER.write(ids, body["n_predict"], temperature, *cuts, seed, bias)
        ended = steps[-1].token == 2
        tokens = [s.token for s in steps]
        told = [s for n, s in enumerate(steps, 1) if not (self.drops and WRITER.decode(tokens[:n]).endswith("\ufffd"))]
        return {
            "content": WRITER.decode(tokens),
            "tokens": tokens,
            "stop": True,
            "stop_type": "eos" if ended else "limit",
            "stopping_word": "",
            "tokens_predicted": len(steps),
            "tokens_evaluated": len(ids),
            "truncated": False,
            "completion_probabilities": [self._value(s, body["n_probs"], bool(bias)) for s in told],
        }

    def _value(self, step: Step, top: int, biased: bool) -> dict[str, Any]:
        own = self.raw and not (biased and self.biased)
        law = step.own if own else step.drawn
        likeliest = [{"id": t, "token": "", "bytes": [], "logprob": v} for t, v in step.top(top, own)]
        return {
            "id": step.token,
            "token": "",
            "bytes": [],
            "logprob": float(law[step.token]),
            "top_logprobs": likeliest,
        }
