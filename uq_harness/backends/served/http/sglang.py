"""The dialect of SGLang's ``/generate``, written after its documentation; not run against a server here.

Sources: docs.sglang.io, sampling parameters and native APIs (2026); in the repository the classes GenerateReqInput and
SamplingParams and the processing of a batch's results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from uq_harness.backends.served.engine import Ability
from uq_harness.backends.served.http.dialect import UnexpectedReplyError
from uq_harness.backends.served.http.parts import samples_apart
from uq_harness.backends.served.requests import Choice, TokenReply, TokenRequest, Usage
from uq_harness.backends.told_logprobs import likeliest, told_logprob
from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray

# What a request leaves out, SGLang takes from the model's generation_config.json (--sampling-defaults).
_NEUTRAL = {
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}


class SGLang:
    """SGLang's native ``/generate`` with ``input_ids``.

    A reply to several answers would be a list, and all of them would have one seed: each is asked for apart.

    Args:
        root: The server's address, without the ``/v1`` of the API.
        model: The name by which the server knows the model.
    """

    ways_out: Mapping[Ability, str] = {
        Ability.LOGPROBS: "update SGLang to a version whose /generate has return_logprob",
        Ability.OWN_LAW: "start SGLang with the environment variable SGLANG_RETURN_ORIGINAL_LOGPROB=1",
        Ability.ALTERNATIVES: "update SGLang to a version whose /generate has top_logprobs_num",
        Ability.FORCED: "update SGLang to a version whose /generate has logprob_start_len",
        Ability.FORCED_ALTERNATIVES: "update SGLang to a version whose /generate has top_logprobs_num",
        Ability.SEEDS: "start SGLang with --enable-deterministic-inference, without which it heeds no seed",
    }

    def __init__(self, root: str, model: str) -> None:
        self.path = f"{root}/generate"
        self._root, self._model = root, model

    def parts(self, request: TokenRequest) -> list[TokenRequest]:
        """One request an answer; see `Dialect`."""
        return samples_apart(request)

    def body(self, request: TokenRequest) -> dict[str, Any]:
        """The body of a request; see `Dialect`."""
        return {
            "input_ids": list(request.prompt_ids),
            "sampling_params": {
                "max_new_tokens": max(1, request.max_tokens),
                "n": request.count,
                "temperature": request.temperature,
                "top_p": request.top_p,
                "top_k": request.top_k or -1,
                **_NEUTRAL,
                "sampling_seed": request.seed,
                "stop": list(request.stop_strings),
                "stop_token_ids": list(request.end_ids),
            },
            "return_logprob": True,
            # the value of the first place from there on is not told
            "logprob_start_len": max(0, len(request.prompt_ids) - request.forced - 1) if request.forced else -1,
            "top_logprobs_num": max(request.top, request.forced_top),
            "return_text_in_logprobs": False,
        }

    def read(self, reply: Mapping[str, Any], request: TokenRequest) -> TokenReply:
        """The reply in plain numbers; see `Dialect`."""
        try:
            told = reply["meta_info"]
            if told["prompt_tokens"] != len(request.prompt_ids):
                raise UnexpectedReplyError(
                    f"the server read {told['prompt_tokens']} tokens, and the prompt has {len(request.prompt_ids)}"
                )
            reason = (told.get("finish_reason") or {}).get("type")
            if reason == "abort":
                raise UnexpectedReplyError(f"the server gave the request up ({told['finish_reason'].get('message')})")
            forced, forced_top = _forced(told, request)
            return TokenReply(
                choices=(_choice(told, request, reason != "length"),) if request.max_tokens else (),
                forced=forced,
                forced_top=forced_top,
                usage=Usage(1, told["prompt_tokens"], told["completion_tokens"], told.get("cached_tokens") or 0),
            )
        except UQHarnessError:  # a ValueError too
            raise
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise UnexpectedReplyError(f"its fields are not those of SGLang's /generate ({error!r})") from None

    def tokenize_text(self, text: str) -> tuple[str, dict[str, Any]]:
        """Address and body of a request for the server's tokens of a text; see `Dialect`."""
        return f"{self._root}/tokenize", {"model": self._model, "prompt": text}

    def tokenize_chat(self, message: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The same for a chat, which a server of another kind replies to; see `Dialect`."""
        return f"{self._root}/tokenize", {
            "model": self._model,
            "messages": [{"role": "user", "content": message}],
            "add_generation_prompt": True,
            **({"chat_template_kwargs": dict(arguments)} if arguments else {}),
        }

    def tokens(self, reply: Mapping[str, Any]) -> Sequence[int] | None:
        """The tokens in the reply to that; see `Dialect`."""
        found = reply.get("tokens")
        return found if isinstance(found, list) and all(isinstance(one, int) for one in found) else None


def _choice(told: Mapping[str, Any], request: TokenRequest, ended: bool) -> Choice:
    written = told["output_token_logprobs"]
    if len(written) > request.max_tokens:
        raise UnexpectedReplyError(f"{len(written)} tokens were written, and {request.max_tokens} allowed")
    rows = told.get("output_top_logprobs") if request.top else None
    if rows is not None and len(rows) != len(written):
        raise UnexpectedReplyError(f"the likeliest tokens of {len(rows)} places came back for {len(written)} tokens")
    return Choice(
        token_ids=tuple(int(one[1]) for one in written),
        logprobs=np.array([told_logprob(one[0]) for one in written], dtype=np.float64),
        top=tuple(_likeliest(row, request.top) for row in rows or ()),
        ended=ended,
    )


def _likeliest(row: Sequence[Sequence[Any]], most: int) -> dict[int, float]:
    return likeliest(((int(token), value) for value, token, *_ in row), most)


def _forced(told: Mapping[str, Any], request: TokenRequest) -> tuple[FloatArray | None, tuple[FloatArray, ...]]:
    if not request.forced:
        return None, ()
    rows = (told.get("input_token_logprobs") or [])[-request.forced :]
    given = request.prompt_ids[-request.forced :]
    if [row[1] or token for row, token in zip(rows, given, strict=False)] != list(given):  # 0 for the very last token
        raise UnexpectedReplyError("the log-probabilities are not those of the prompt's last tokens")
    own = np.array([told_logprob(row[0]) for row in rows], dtype=np.float64)
    if not request.forced_top:
        return own, ()
    tops = (told.get("input_top_logprobs") or [])[-request.forced :]
    if len(tops) != request.forced:
        raise UnexpectedReplyError("the likeliest tokens beside the prompt's last ones are not in it")
    return own, tuple(
        np.array(list(_likeliest(row or (), request.forced_top).values()), dtype=np.float64) for row in tops
    )
