"""Values that a server does not know are told in many ways, and none of them is a number in any dialect."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from uq_harness.backends.chat_completions.reply import ChatReply
from uq_harness.backends.served.http.completions import Completions
from uq_harness.backends.served.http.kept import as_text
from uq_harness.backends.served.http.llama_cpp import LlamaCpp
from uq_harness.backends.served.http.sglang import SGLang
from uq_harness.backends.served.requests import TokenReply, TokenRequest
from uq_harness.functional import FloatArray

UNKNOWN = [None, -9999.0, -10000, float(np.finfo(np.float32).min), -math.inf, math.nan]
WRITES, READS = TokenRequest((1, 2), 1, top=2), TokenRequest((1, 2), 0, forced=1, forced_top=2)


def completions(value: Any, request: TokenRequest) -> TokenReply:
    told = {"token_logprobs": [value], "top_logprobs": [{"token_id:7": value, "token_id:8": -1.5}]}
    rows = [None, {"2": {"logprob": value}, "8": {"logprob": -1.5}}]
    choice = {"index": 0, "token_ids": [7], "logprobs": told, "finish_reason": "length", "prompt_logprobs": rows}
    return Completions("m", "http://x").read({"choices": [choice]}, request)


def sglang(value: Any, request: TokenRequest) -> TokenReply:
    told = {
        "prompt_tokens": 2,
        "completion_tokens": 1,
        "output_token_logprobs": [[value, 7, None]],
        "output_top_logprobs": [[[value, 7, None], [-1.5, 8, None]]],
        "input_token_logprobs": [[None, 1, None], [value, 2, None]],
        "input_top_logprobs": [None, [[value, 2, None], [-1.5, 8, None]]],
    }
    return SGLang("http://x", "m").read({"meta_info": told}, request)


def llama_cpp(value: Any, request: TokenRequest) -> TokenReply:
    token = 2 if request.forced else 7
    top = [{"id": token, "logprob": value}, {"id": 8, "logprob": -1.5}]
    told = [{"id": token, "logprob": value, "top_logprobs": top}]
    return LlamaCpp("http://x").read({"tokens": [token], "completion_probabilities": told}, request)


@pytest.mark.parametrize("value", UNKNOWN)
@pytest.mark.parametrize("dialect", [completions, sglang, llama_cpp])
def test_a_value_that_is_not_told_is_nan_and_no_likeliest_token_has_it(
    dialect: Callable[[Any, TokenRequest], TokenReply], value: Any
) -> None:
    (choice,) = dialect(value, WRITES).choices
    assert np.isnan(choice.logprobs).tolist() == [True]
    assert choice.top == ({8: -1.5},)
    read = dialect(value, READS)
    forced: FloatArray | None = read.forced
    assert forced is not None
    assert np.isnan(forced).tolist() == [True]
    assert [row.tolist() for row in read.forced_top] == [[-1.5]]
    assert as_text(read)  # JSON knows no infinity


@pytest.mark.parametrize("value", UNKNOWN)
def test_nor_is_it_a_number_in_a_chat(value: Any) -> None:
    token = {"token": "x", "logprob": value, "top_logprobs": [{"token": "x", "logprob": value}]}
    body = {"choices": [{"message": {"content": "x"}, "logprobs": {"content": [token]}}]}
    ((told,),) = (choice.tokens for choice in ChatReply.read(body).choices if choice.tokens)
    assert math.isnan(told.logprob)
    assert math.isnan(told.top["x"])
