"""The arguments of ``uq-api``, read before any work."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from uq_harness.answering.options import check_template_arguments, read_context
from uq_harness.answering.semantic_token import SemanticToken
from uq_harness.answering.stopping import end_tokens
from uq_harness.endpoints.settings import ServerEndpoint
from uq_harness.errors import UQHarnessError
from uq_harness.methods.arguments import read_argument, read_flag, read_whole
from uq_harness.models.prices import Prices
from uq_harness.models.repository import Repository

log = logging.getLogger(__name__)
_KEYS = ("auth_token", "header", "headers", "api_key", "key", "token")
_LARGEST = 2**31 - 1


def refuse_keys(arguments: Mapping[str, Any]) -> None:
    """Refuses arguments that hold a key: lm_eval writes arguments into logs and results.

    Raises:
        UQHarnessError: There is one. Its value is not quoted.
    """
    for name in _KEYS:
        if arguments.get(name) is not None:
            raise UQHarnessError(
                f"{name}= is not taken, since lm_eval writes the model arguments into its log and results: set an "
                "environment variable to the key and name it with api_key_env=NAME. If the key is real, replace it"
            )


def read_endpoint(
    base_url: Any,
    model: Any,
    api_key_env: Any,
    num_concurrent: Any,
    timeout: Any,
    max_retries: Any,
    requests_per_minute: Any,
) -> ServerEndpoint:
    """Where the server is, and how it is asked.

    Raises:
        UQHarnessError: A value is missing or not allowed, or there is no key in the environment variable.
    """
    if not isinstance(base_url, str) or not base_url.strip():
        raise UQHarnessError(
            "--model_args names no server: give base_url=http://localhost:8000/v1, the address of its API"
        )
    if not isinstance(model, str) or not model.strip():
        raise UQHarnessError("--model_args names no model: give model=NAME, by which the server knows it")
    url = base_url.strip().rstrip("/")
    end = re.search(r"/(chat/)?completions$", url)
    if end is not None:
        raise UQHarnessError(
            f"base_url={url!r} is the address of one kind of request: leave out {end[0]}, so that it ends in /v1"
        )
    endpoint = ServerEndpoint(
        model=model,
        base_url=url,
        api_key_env=api_key_env,
        timeout=_above_zero("timeout", timeout),
        concurrency=read_whole("num_concurrent", num_concurrent, 1, _LARGEST),
        retries=read_whole("max_retries", max_retries, 0, _LARGEST),
        requests_per_minute=(
            None if requests_per_minute is None else _above_zero("requests_per_minute", requests_per_minute)
        ),
    )
    endpoint.key()
    return endpoint


def read_prices(prompt: Any, completion: Any) -> Prices | None:
    """The prices of a million tokens; ``None`` where none are given.

    Raises:
        UQHarnessError: One of the two is missing, or is not a price.
    """
    if prompt is None and completion is None:
        return None
    if prompt is None or completion is None:
        missing = "prompt_price" if prompt is None else "completion_price"
        raise UQHarnessError(f"{missing} is missing: give both prices of a million tokens, 0 for what is free")
    return Prices(_price("prompt_price", prompt), _price("completion_price", completion))


def read_semantic_token(value: str | float, engine: str) -> SemanticToken:
    """The semantic-preserving token, which a second pass reads; what takes the model's states cannot be had.

    Args:
        value: The argument ``sp_token``.
        engine: What does not show states, for the message.

    Raises:
        UQHarnessError: The value is not allowed.
    """
    token = SemanticToken.parse(value)
    if token.to_measure or token.recommended is not None:
        raise UQHarnessError(
            f"sp_token={value} takes the model's hidden states or weights, which {engine} does not show: use auto, "
            "last, or the position itself, such as sp_token=-3"
        )
    return token


def read_template_arguments(arguments: Any, enable_thinking: Any) -> dict[str, Any]:
    """Further arguments of the chat template.

    Raises:
        UQHarnessError: They are not allowed, or ``enable_thinking`` is neither true nor false.
    """
    check_template_arguments(arguments)
    thinking = {} if enable_thinking is None else {"enable_thinking": read_flag("enable_thinking", enable_thinking)}
    return {**(arguments or {}), **thinking}


def journal_beside(cache: str | None) -> Path | None:
    """The journal beside the file of ``--use_cache``; ``None`` where there is none."""
    return None if cache is None else Path(cache).with_suffix(".journal")


def context_of(max_length: Any, of_server: int | None, repository: Repository) -> int:
    """The context in tokens: the user's, else the server's, else that of the model's configuration.

    Raises:
        UQHarnessError: It is not allowed, larger than the server's, or nobody knows it.
    """
    if of_server is not None:
        return of_server if max_length is None else read_whole("max_length", max_length, 1, of_server)
    if max_length is not None:
        return read_whole("max_length", max_length, 1, _LARGEST)
    known: int | None = None if repository.configuration is None else read_context(None, repository.configuration)
    configured = getattr(repository.configuration, "max_position_embeddings", known)
    if configured is None:
        raise UQHarnessError(
            "the server does not tell the context of its model: give it with max_length=TOKENS, so that nothing is cut"
        )
    return int(configured)


def end_ids_of(given: Any, repository: Repository, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that end an answer: those that are given, else those of the repository; and the tokenizer's own.

    Raises:
        UQHarnessError: What is given are no tokens.
    """
    if given is None:
        if repository.generation is None:
            log.warning(
                "tokenizer=%s has no generation_config.json: answers end at %r alone. Where the model has other "
                "tokens that end them, as chat models do, give end_token_ids",
                *(repository.name, tokenizer.eos_token),
            )
        return end_tokens(repository.generation, tokenizer)
    numbers = str(given).strip("[] ").replace(",", "+").split("+") if not isinstance(given, list | tuple) else given
    most = (repository.vocabulary or len(tokenizer)) - 1
    found = [read_whole("end_token_ids", number, 0, most) for number in numbers]
    return end_tokens(None, tokenizer) | frozenset(found)


def _above_zero(name: str, value: Any) -> float:
    def read(given: Any) -> float:
        number = float(given)
        if isinstance(given, bool) or not 0 < number < float("inf"):
            raise ValueError(number)
        return number

    return read_argument(name, value, read, "a number above 0")


def _price(name: str, value: Any) -> float:
    def read(given: Any) -> float:
        number = float(given)
        if isinstance(given, bool) or not 0 <= number < float("inf"):
            raise ValueError(number)
        return number

    return read_argument(name, value, read, "a price from 0 on, for a million tokens")
