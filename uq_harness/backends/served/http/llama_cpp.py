"""The dialect of llama.cpp's ``/completion``, written after its documentation; not run against a server here.

Sources: tools/server/README.md and server-context.cpp of ggml-org/llama.cpp (2026).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from uq_harness.backends.served.engine import Ability
from uq_harness.backends.served.http.dialect import UnexpectedReplyError
from uq_harness.backends.served.http.parts import forced_apart, samples_apart
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest, Usage
from uq_harness.backends.told_logprobs import likeliest, told_logprob
from uq_harness.errors import UQHarnessError

# llama.cpp has settings of its own for what a request leaves out, such as top_k 40 and min_p 0.05.
_NEUTRAL = {
    "min_p": 0.0,
    "typical_p": 1.0,
    "repeat_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "dry_multiplier": 0.0,
    "xtc_probability": 0.0,
    "dynatemp_range": 0.0,
    "mirostat": 0,
}
_SEEDS = 2**32 - 1  # the largest number stands for a random seed
_FORCING = 1e4  # far more than logits differ
_NEWER = "update llama.cpp: its /completion must have n_probs, return_tokens and post_sampling_probs"


class LlamaCpp:
    """``/completion`` with a prompt as token ids.

    Log-probabilities are those of the softmax of the logits, before any sampler (``post_sampling_probs: false``). There
    are none of a prompt's tokens, so a given token is forced by a bias on its logit, one request a token: the values do
    not move with the bias. Stop strings are not sent, since the server then drops values of the tokens before them.

    Args:
        root: The server's address, without the ``/v1`` of the API.
    """

    ways_out: Mapping[Ability, str] = {
        Ability.LOGPROBS: _NEWER,
        Ability.OWN_LAW: _NEWER,
        Ability.ALTERNATIVES: _NEWER,
        Ability.FORCED: f"{_NEWER}, and logit_bias for token ids",
        Ability.FORCED_ALTERNATIVES: _NEWER,
        Ability.SEEDS: "leave samples to one slot (--parallel 1), or take another server",
    }

    def __init__(self, root: str) -> None:
        self.path = f"{root}/completion"
        self._root = root

    def parts(self, request: TokenRequest) -> list[TokenRequest]:
        """One request an answer, or a given token; see `Dialect`."""
        return forced_apart(request) if request.forced else samples_apart(request)

    def body(self, request: TokenRequest) -> dict[str, Any]:
        """The body of a request; see `Dialect`."""
        ids = list(request.prompt_ids)
        forced = {"logit_bias": [[ids[-1], _FORCING]]} if request.forced else {}
        return {
            "prompt": ids[:-1] if request.forced else ids,
            "n_predict": max(1, request.max_tokens),
            "temperature": request.temperature,
            "top_p": request.top_p,
            "top_k": request.top_k,
            **_NEUTRAL,
            "seed": request.seed % _SEEDS,
            "n_probs": max(1, request.top, request.forced_top),
            "post_sampling_probs": False,
            "return_tokens": True,
            "cache_prompt": True,
            "stream": False,
            **forced,
        }

    def read(self, reply: Mapping[str, Any], request: TokenRequest) -> TokenReply:
        """The reply in plain numbers; see `Dialect`."""
        try:
            read, prompt = reply.get("tokens_evaluated"), len(request.prompt_ids) - bool(request.forced)
            if reply.get("truncated") or (read is not None and read != prompt):
                raise UnexpectedReplyError(f"the server read {read} tokens, and the prompt has {prompt}")
            tokens = [int(token) for token in reply["tokens"]]
            told = reply.get("completion_probabilities") or []
            usage = Usage(1, prompt, int(reply.get("tokens_predicted") or len(tokens)))
            if request.forced:
                return _forced(tokens, told, request, usage)
            return TokenReply(choices=(_choice(tokens, told, request, reply.get("stop_type")),), usage=usage)
        except UQHarnessError:  # a ValueError too
            raise
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise UnexpectedReplyError(f"its fields are not those of llama.cpp's /completion ({error!r})") from None

    def tokenize_text(self, text: str) -> tuple[str, dict[str, Any]]:
        """Address and body of a request for the server's tokens of a text; see `Dialect`."""
        return f"{self._root}/tokenize", {"content": text, "add_special": True, "parse_special": False}

    def tokenize_chat(self, message: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The same for a chat, of which the server tells the text only; see `Dialect`."""
        return f"{self._root}/apply-template", {"messages": [{"role": "user", "content": message}]}

    def tokens(self, reply: Mapping[str, Any]) -> Sequence[int] | None:
        """The tokens in the reply to that; see `Dialect`."""
        found = reply.get("tokens")
        return found if isinstance(found, list) and all(isinstance(one, int) for one in found) else None


def _choice(tokens: list[int], told: Sequence[Mapping[str, Any]], request: TokenRequest, stop_type: Any) -> Choice:
    """An answer; tokens that end within a character have no values, since the server leaves them out."""
    if len(tokens) > request.max_tokens:
        raise UnexpectedReplyError(f"{len(tokens)} tokens were written, and {request.max_tokens} allowed")
    places = _places(tokens, [int(one["id"]) for one in told])
    if request.top and any(place is None for place in places):
        raise QuestionRefusedError(
            "llama.cpp tells no likeliest tokens where a token ends within a character, which this answer has"
        )
    end = next((i for i, token in enumerate(tokens) if token in request.end_ids), None)
    count = len(tokens) if end is None else end + 1
    rows = [None if place is None else told[place] for place in places[:count]]
    return Choice(
        token_ids=tuple(tokens[:count]),
        logprobs=np.array(
            [math.nan if row is None else told_logprob(row["logprob"]) for row in rows], dtype=np.float64
        ),
        top=tuple(_likeliest(row, request.top) for row in rows if row is not None) if request.top else (),
        ended=end is not None or stop_type in ("eos", "word"),
    )


def _places(tokens: Sequence[int], told: Sequence[int]) -> list[int | None]:
    """For each token its place among those with values; ``None`` where it has none or could have several."""

    def first_fit(tokens: Sequence[int], told: Sequence[int]) -> list[int | None]:
        found: list[int | None] = []
        for token in tokens:
            place = sum(one is not None for one in found)
            found.append(place if place < len(told) and told[place] == token else None)
        return found

    forward = first_fit(tokens, told)
    backward = first_fit(tokens[::-1], told[::-1])[::-1]
    mirrored = [None if place is None else len(told) - 1 - place for place in backward]
    return [one if one == other else None for one, other in zip(forward, mirrored, strict=True)]


def _likeliest(row: Mapping[str, Any], most: int) -> dict[int, float]:
    return likeliest(((int(one["id"]), one["logprob"]) for one in row["top_logprobs"]), most)


def _forced(
    tokens: Sequence[int], told: Sequence[Mapping[str, Any]], request: TokenRequest, usage: Usage
) -> TokenReply:
    """The value of the one given token; ``nan`` where it ends within a character."""
    if list(tokens[:1]) != [request.prompt_ids[-1]]:
        raise UnexpectedReplyError("the server wrote another token than the one it was given (logit_bias)")
    row = next((one for one in told[:1] if int(one["id"]) == tokens[0]), None)
    top = [] if row is None else list(_likeliest(row, request.forced_top).values())
    return TokenReply(
        forced=np.array([math.nan if row is None else told_logprob(row["logprob"])]),
        forced_top=(np.array(top, dtype=np.float64),) if request.forced_top else (),
        usage=usage,
    )
