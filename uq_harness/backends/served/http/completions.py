"""The dialect of ``/v1/completions`` with prompts as token ids, as vLLM's server has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from uq_harness.backends.served.engine import Ability
from uq_harness.backends.served.http.dialect import UnexpectedReplyError
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest, Usage
from uq_harness.backends.told_logprobs import likeliest, told_logprob
from uq_harness.errors import UQHarnessError
from uq_harness.functional import FloatArray

# What a request leaves out, vLLM takes from the model's generation_config.json.
_NEUTRAL = {
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
_ID = "token_id:"
_GIVEN_UP = ("abort", "error")  # the tokens that came back are no whole answer


class Completions:
    """``/v1/completions`` with vLLM's further fields.

    Args:
        model: The name by which the server knows the model.
        root: The server's address, without the ``/v1`` of the API.
    """

    path = "/completions"
    ways_out: Mapping[Ability, str] = {
        Ability.LOGPROBS: "take a server that gives log-probabilities, such as vLLM",
        Ability.OWN_LAW: "start vLLM with --logprobs-mode raw_logprobs (its default), or SGLang with "
        "SGLANG_RETURN_ORIGINAL_LOGPROB=1",
        Ability.ALTERNATIVES: "start vLLM with --max-logprobs 20 (its default)",
        Ability.FORCED: "take a server whose /v1/completions has prompt_logprobs, such as vLLM",
        Ability.FORCED_ALTERNATIVES: "take a server whose /v1/completions has prompt_logprobs, such as vLLM with "
        "--max-logprobs 20 (its default)",
        Ability.SEEDS: "take a server that heeds the seed of a request, such as vLLM, or SGLang with "
        "--enable-deterministic-inference",
    }

    def __init__(self, model: str, root: str) -> None:
        self._model, self._root = model, root

    def parts(self, request: TokenRequest) -> Sequence[TokenRequest]:
        """The request itself; see `Dialect`."""
        return (request,)

    def body(self, request: TokenRequest) -> dict[str, Any]:
        """The body of a request; see `Dialect`."""
        body = {
            "model": self._model,
            "prompt": list(request.prompt_ids),
            "max_tokens": max(1, request.max_tokens),
            "n": request.count,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k or -1,
            **_NEUTRAL,
            "seed": request.seed,
            "stop": list(request.stop_strings),
            "stop_token_ids": list(request.end_ids),
            "ignore_eos": True,  # the end tokens are those of the request
            "return_token_ids": True,
            "return_tokens_as_token_ids": True,
        }
        if request.max_tokens:
            body["logprobs"] = request.top
        if request.forced:
            body["prompt_logprobs"] = request.forced_top
        return body

    def read(self, reply: Mapping[str, Any], request: TokenRequest) -> TokenReply:
        """The reply in plain numbers; see `Dialect`."""
        choices = reply.get("choices")
        if not isinstance(choices, list) or len(choices) != request.count:
            count = len(choices) if isinstance(choices, list) else "no"
            raise UnexpectedReplyError(f"{count} answers came back, and {request.count} were asked for")
        try:
            ordered = sorted(choices, key=lambda choice: choice["index"])
            if [choice["index"] for choice in ordered] != list(range(request.count)):
                raise UnexpectedReplyError("the answers are not numbered from 0 on")
            _check_prompt(ordered[0].get("prompt_token_ids"), reply.get("usage") or {}, request)
            forced, forced_top = _forced(ordered[0].get("prompt_logprobs"), request)
            return TokenReply(
                choices=tuple(_choice(choice, request) for choice in ordered) if request.max_tokens else (),
                forced=forced,
                forced_top=forced_top,
                usage=_usage(reply.get("usage") or {}),
            )
        except UQHarnessError:  # a ValueError too
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnexpectedReplyError(f"its fields are not those of a completion ({error!r})") from None

    def tokenize_text(self, text: str) -> tuple[str, dict[str, Any]]:
        """A request for the server's tokens of a text; see `Dialect`."""
        return self._tokenize({"prompt": text})

    def tokenize_chat(self, message: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """A request for the server's tokens of a chat; see `Dialect`."""
        chat = {"messages": [{"role": "user", "content": message}], "add_generation_prompt": True}
        return self._tokenize({**chat, **({"chat_template_kwargs": dict(arguments)} if arguments else {})})

    def _tokenize(self, what: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return f"{self._root}/tokenize", {"model": self._model, **what}

    def tokens(self, reply: Mapping[str, Any]) -> Sequence[int] | None:
        """The tokens in the reply to these; see `Dialect`."""
        found = reply.get("tokens")
        return found if isinstance(found, list) and all(isinstance(one, int) for one in found) else None


def _check_prompt(echoed: Any, usage: Mapping[str, Any], request: TokenRequest) -> None:
    """Compares the tokens that the server read, or where it does not tell them their number, with the prompt's."""
    prompt = len(request.prompt_ids)
    if echoed is not None:
        if tuple(echoed) != request.prompt_ids:
            raise UnexpectedReplyError(
                f"the server read {len(echoed)} tokens, which are not the {prompt} of the prompt"
            )
        return
    read = usage.get("prompt_tokens")
    if read and read not in (prompt, prompt * request.count):  # some count the prompt once an answer
        raise UnexpectedReplyError(f"the server read {read} tokens, and the prompt has {prompt}")


def _choice(choice: Mapping[str, Any], request: TokenRequest) -> Choice:
    told = choice.get("logprobs") or {}
    ids = choice.get("token_ids")
    if ids is None:
        ids = [_token(name) for name in told.get("tokens") or ()]
        if not ids:
            raise UnexpectedReplyError("it does not tell the tokens that were written (return_token_ids)")
    if len(ids) > request.max_tokens:
        raise UnexpectedReplyError(f"{len(ids)} tokens were written, and {request.max_tokens} allowed")
    reason = choice.get("finish_reason")
    if reason in _GIVEN_UP:
        raise UnexpectedReplyError(f"the server gave the request up (finish_reason {reason})")
    if reason == "length" and len(ids) < request.max_tokens:
        raise QuestionRefusedError(
            f"the server cut an answer after {len(ids)} tokens, and {request.max_tokens} were allowed: its context is "
            "smaller than max_length says"
        )
    values = told.get("token_logprobs")
    values = [None] * len(ids) if values is None else values
    if len(values) != len(ids):
        raise UnexpectedReplyError(f"{len(values)} log-probabilities came back for {len(ids)} tokens")
    rows = told.get("top_logprobs") if request.top else None
    if rows is not None and len(rows) != len(ids):
        raise UnexpectedReplyError(f"the likeliest tokens of {len(rows)} places came back for {len(ids)} tokens")
    return Choice(
        token_ids=tuple(map(int, ids)),
        logprobs=np.array([told_logprob(one) for one in values], dtype=np.float64),
        # a server adds the token that was written where it is not among the likeliest
        top=tuple(
            likeliest(((_token(name), value) for name, value in (row or {}).items()), request.top) for row in rows or ()
        ),
        ended=reason != "length",
    )


def _forced(rows: Any, request: TokenRequest) -> tuple[FloatArray | None, tuple[FloatArray, ...]]:
    """The values of the prompt's last tokens, and of the likeliest tokens in their places."""
    if not request.forced:
        return None, ()
    if not isinstance(rows, list) or len(rows) != len(request.prompt_ids):
        raise UnexpectedReplyError("it has no log-probabilities of the prompt's tokens (prompt_logprobs)")
    own: list[float] = []
    top: list[FloatArray] = []
    for row, token in zip(rows[-request.forced :], request.prompt_ids[-request.forced :], strict=True):
        if not isinstance(row, Mapping) or str(token) not in row:
            raise UnexpectedReplyError(f"the log-probability of the prompt's token {token} is not in it")
        own.append(told_logprob(row[str(token)]["logprob"]))
        best = likeliest(((int(other), one["logprob"]) for other, one in row.items()), request.forced_top)
        top.append(np.array(list(best.values()), dtype=np.float64))
    return np.array(own, dtype=np.float64), tuple(top) if request.forced_top else ()


def _token(name: Any) -> int:
    if not isinstance(name, str) or not name.startswith(_ID):
        raise UnexpectedReplyError("it names tokens by their texts (return_tokens_as_token_ids)")
    return int(name.removeprefix(_ID))


def _usage(told: Mapping[str, Any]) -> Usage:
    return Usage(
        requests=1,
        prompt_tokens=int(told.get("prompt_tokens") or 0),
        completion_tokens=int(told.get("completion_tokens") or 0),
        cached_tokens=int((told.get("prompt_tokens_details") or {}).get("cached_tokens") or 0),
    )
