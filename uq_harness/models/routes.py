"""The ways to ask a server that ``route=`` of ``uq-api`` names, and how a further one is added.

A route is a class: its constructor finds out by a few tiny requests what the server gives, and `Route.backend` makes a
backend of that. `ROUTES` names it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from transformers import PreTrainedTokenizerBase

from uq_harness.answering.template import rendered
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.backends.served.http.completions import Completions
from uq_harness.backends.served.http.dialect import Dialect, UnexpectedReplyError
from uq_harness.backends.served.http.llama_cpp import LlamaCpp
from uq_harness.backends.served.http.server import Properties, open_server
from uq_harness.backends.served.http.sglang import SGLang
from uq_harness.backends.served.http.tokenizer_check import SAMPLE, check_tokenizer
from uq_harness.backends.served.requests import TokenRequest
from uq_harness.endpoints.failures import EndpointDown, EndpointError
from uq_harness.endpoints.journal import Journal
from uq_harness.endpoints.tokens import TokenClient
from uq_harness.evidence.backend import Backend

_PROBE = "What is the capital of France?"


@dataclass(frozen=True)
class Asked:
    """A server, and what a run knows of its model.

    Attributes:
        client: Sends requests.
        tokenizer: The tokenizer of the model.
        tokenizer_name: What the user called it.
        template_arguments: Further arguments of the chat template.
        journal: Where replies are kept; ``None`` for nowhere.
        alternatives: How many likeliest tokens the wanted methods need at each step.
    """

    client: TokenClient
    tokenizer: PreTrainedTokenizerBase
    tokenizer_name: str
    template_arguments: Mapping[str, Any]
    journal: Journal | None
    alternatives: int = 0


class Route(Protocol):
    """A way to ask a server.

    Attributes:
        max_length: The context of its model in tokens; ``None`` where the server does not tell.
        identity: What the server's replies depend on; a response cache is bound to it.
    """

    max_length: int | None
    identity: Mapping[str, Any]

    def backend(self, *, max_length: int, seed: int, end_ids: Collection[int]) -> Backend:
        """A backend over the server.

        Args:
            max_length: The context that is used.
            seed: Seed of all samples.
            end_ids: Tokens that end an answer.
        """


class TokenRoute:
    """A server that takes prompts as tokens.

    Args:
        asked: The server.
        dialect: How it puts requests; that of vLLM's ``/v1/completions`` if absent.
        properties: Asks for what servers of the kind tell about themselves.

    Raises:
        UQHarnessError: It cannot be used, its tokenizer is another one, or it is not that of the journal.
    """

    def __init__(
        self,
        asked: Asked,
        dialect: Dialect | None = None,
        properties: Callable[[TokenClient], Properties] = lambda _: Properties(),
    ) -> None:
        self._tokenizer = asked.tokenizer
        if dialect is None:
            dialect = Completions(asked.client.endpoint.model, asked.client.root)
        probe_ids = asked.tokenizer(_PROBE)["input_ids"]
        self._engine = open_server(asked.client, dialect, asked.journal, probe_ids, asked.alternatives, properties)
        self.max_length, self.identity = self._engine.server.max_length, self._engine.server.identity
        if self._engine.server.reached:
            check_tokenizer(
                asked.client,
                dialect,
                asked.tokenizer_name,
                asked.tokenizer(SAMPLE)["input_ids"],
                _chat_ids(asked),
                dict(asked.template_arguments),
            )

    def backend(self, *, max_length: int, seed: int, end_ids: Collection[int]) -> Backend:
        """A backend over the server; see `Route`."""
        return ServedBackend(self._engine, self._tokenizer, max_length=max_length, seed=seed, end_ids=end_ids)


def _chat_ids(asked: Asked) -> list[int] | None:
    """The tokens of a chat with the sample as the user's message; ``None`` where there is no chat template."""
    if asked.tokenizer.chat_template is None:
        return None

    def apply(messages: list[dict[str, Any]]) -> str:
        text: str = asked.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, **asked.template_arguments
        )
        return text

    text = rendered(apply, [{"role": "user", "content": SAMPLE}])
    ids: list[int] = asked.tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


class SGLangRoute(TokenRoute):
    """SGLang's native ``/generate``; arguments and errors as those of `TokenRoute`."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked, SGLang(asked.client.root, asked.client.endpoint.model))


class LlamaCppRoute(TokenRoute):
    """llama.cpp's ``/completion``; arguments and errors as those of `TokenRoute`."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked, LlamaCpp(asked.client.root), llama_cpp_properties)


def llama_cpp_properties(client: TokenClient) -> Properties:
    """The build and the context of a llama.cpp server, from its ``/props``, where it tells them."""
    try:
        told = client.get(f"{client.root}/props")
    except EndpointDown:
        raise
    except EndpointError:
        return Properties()
    build, context = told.get("build_info"), (told.get("default_generation_settings") or {}).get("n_ctx")
    return Properties({"build": build} if isinstance(build, str) else {}, context if isinstance(context, int) else None)


ROUTES: Mapping[str, Callable[[Asked], Route]] = {
    "tokens": TokenRoute,
    "sglang": SGLangRoute,
    "llama.cpp": LlamaCppRoute,
}
CHAT, AUTO = "chat", "auto"


def find_route(client: TokenClient) -> str:
    """The route to a server: by the addresses that only SGLang and llama.cpp have, else by what it makes of tokens.

    Raises:
        EndpointError: The server cannot be used.
    """
    if _has(client, "props", "default_generation_settings"):
        return "llama.cpp"
    if _has(client, "get_model_info", "is_generation"):
        return "sglang"
    dialect = Completions(client.endpoint.model, client.root)
    request = TokenRequest((1, 2, 3), max_tokens=1)
    try:
        dialect.read(client.post(dialect.path, dialect.body(request)), request)
    except EndpointDown:
        raise
    except (EndpointError, UnexpectedReplyError):
        return CHAT
    return "tokens"


def _has(client: TokenClient, path: str, field: str) -> bool:
    try:
        return field in client.get(f"{client.root}/{path}", retries=min(1, client.endpoint.retries))
    except EndpointDown:
        raise
    except EndpointError:
        return False
