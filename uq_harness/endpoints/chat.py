"""The client: one request with its retries, and many requests at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from uq_harness.endpoints.failures import (
    ABOUT_ONE_REQUEST,
    NotAReply,
    explain,
    is_transient,
    refused_setting,
    wanted_wait,
)
from uq_harness.endpoints.settings import Endpoint
from uq_harness.endpoints.thinking import without_thoughts
from uq_harness.errors import UQHarnessError
from uq_harness.hub import brief

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from tenacity import RetryCallState

T = TypeVar("T")
R = TypeVar("R")
LONGEST_WAIT = 60.0
log = logging.getLogger(__name__)
_SECONDS_TO_LIST_MODELS = 10.0
# What models refused, by address and name, so that only the first request of a run finds out.
_refused: dict[tuple[str, str], frozenset[str]] = {}


@dataclass(frozen=True)
class Reply:
    """What a chat model said.

    Attributes:
        text: The reply, without what the model thought aloud before it.
        cut: Whether it ended at the token limit.
    """

    text: str
    cut: bool


class ChatClient:
    """Sends requests to an endpoint; threads may share it.

    Args:
        endpoint: Where to, and how.

    Raises:
        UQHarnessError: A package or the key is missing.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._key = endpoint.key()
        self._openai = _openai_client(endpoint, self._key)
        weakref.finalize(self, _close, self._openai).atexit = False
        self._stopped = threading.Event()

    def check(self) -> None:
        """Sends one small request, tried twice, so that a wrong address, key or model shows before any work.

        Raises:
            EndpointError: The endpoint cannot be used; the message names its address and the fix.
        """
        self._send("Reply with one word: yes", retries=min(1, self.endpoint.retries))

    def ask(self, message: str) -> Reply:
        """The reply to a user's message.

        Raises:
            EndpointError: The endpoint cannot be used, after all retries; `RequestRefused` where only this request
                was refused.
        """
        return self._send(message, self.endpoint.retries)

    def map(self, work: Callable[[T], R], items: Sequence[T]) -> Iterator[tuple[T, R]]:
        """Does the work for many items at a time, each in a thread.

        After `stop`, and when the iterator is closed, no further item is begun and no request sent again.

        Args:
            work: What to do with an item; it calls `ask`.
            items: The items.

        Yields:
            Items and results in the order in which they come.
        """
        try:
            with ThreadPoolExecutor(self.endpoint.concurrency) as pool:
                futures = {pool.submit(self._unless_stopped, work, item): item for item in items}
                try:
                    for future in as_completed(futures):
                        for result in future.result():
                            yield futures[future], result
                except KeyboardInterrupt:
                    log.warning("interrupted: waiting for the requests under way, at most %g s", self.endpoint.timeout)
                    raise
                finally:
                    self.stop()  # before the pool waits for its threads
        finally:
            self._stopped.clear()

    def stop(self) -> None:
        """Lets `map` begin no further item."""
        self._stopped.set()

    def _unless_stopped(self, work: Callable[[T], R], item: T) -> list[R]:
        return [] if self._stopped.is_set() else [work(item)]

    def _send(self, message: str, retries: int) -> Reply:
        from openai import OpenAIError
        from tenacity import Retrying, retry_if_exception, sleep_using_event, stop_after_attempt, stop_when_event_set

        attempts = Retrying(
            retry=retry_if_exception(is_transient),
            wait=self._wait,
            stop=stop_after_attempt(retries + 1) | stop_when_event_set(self._stopped),
            sleep=sleep_using_event(self._stopped),
            reraise=True,
        )
        try:
            return attempts(self._complete, _writable(message))
        except (OpenAIError, NotAReply, TimeoutError) as error:
            problem = explain(error, self.endpoint, self._key, self._models(error))
        raise problem  # outside the except clause: the client's own error holds the request, and with it the key

    def _wait(self, state: RetryCallState) -> float:
        from tenacity import wait_random_exponential

        wait = wait_random_exponential(multiplier=self.endpoint.backoff, max=LONGEST_WAIT)(state)
        return max(wait, wanted_wait(state.outcome.exception() if state.outcome else None))

    def _complete(self, message: str) -> Reply:
        from openai import APIStatusError

        while True:
            settings = self._settings()
            try:
                return self._read(self._request(message, settings))
            except APIStatusError as error:
                setting = refused_setting(error)
                if setting not in settings:
                    raise
                self._learn(setting)

    def _settings(self) -> dict[str, Any]:
        """What is sent with the message: the endpoint's settings, less what its model refuses."""
        endpoint = self.endpoint
        refused = _refused.get((endpoint.url, endpoint.model), frozenset())
        limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
        settings = {"temperature": endpoint.temperature, limit: endpoint.max_tokens}
        return {name: value for name, value in settings.items() if value is not None and name not in refused}

    def _learn(self, setting: str) -> None:
        key = (self.endpoint.url, self.endpoint.model)
        if setting in _refused.setdefault(key, frozenset()):
            return  # another thread learnt it
        _refused[key] |= {setting}
        instead = {"max_tokens": "max_completion_tokens takes its place"}.get(setting, "it is left to the endpoint")
        log.warning("the model %s refuses the setting %s: %s", self.endpoint.model, setting, instead)

    def _request(self, message: str, settings: dict[str, Any]) -> Any:
        from openai import APIConnectionError

        from uq_harness.endpoints.transport import within

        completions: Any = self._openai.chat.completions
        work = completions.create(
            model=self.endpoint.model, messages=[{"role": "user", "content": message}], **settings
        )
        try:
            return within(self.endpoint.timeout, work)
        except (ValueError, RecursionError) as error:  # a body that is not JSON, or nested too deeply
            raise NotAReply(f"no JSON: {error}") from None
        except APIConnectionError as error:
            if isinstance(error.__cause__, NotAReply):  # some versions of the client wrap what ends the reading
                raise error.__cause__ from None
            raise

    def _read(self, completion: Any) -> Reply:
        text, cut = _read(completion)
        return Reply(without_thoughts(text, self.endpoint.think_end), cut)

    def _models(self, error: Exception) -> list[str]:
        """The models that the endpoint lists, for a message about one that it may not know."""
        from uq_harness.endpoints.transport import within

        if getattr(error, "status_code", None) not in (404, *ABOUT_ONE_REQUEST):
            return []
        with contextlib.suppress(Exception):  # it is only for the message
            return [str(model.id) for model in within(_SECONDS_TO_LIST_MODELS, _listed(self._openai))]
        return []


async def _listed(client: Any) -> list[Any]:
    return list((await client.models.list()).data)


def _read(completion: Any) -> tuple[str, bool]:
    """The text that came back, and whether it was cut; endpoints send all sorts of things with status 200.

    Raises:
        NotAReply: It is not a chat completion.
    """
    choices = getattr(completion, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    text = getattr(message, "content", None)
    if message is None or not isinstance(text, str | None):
        raise NotAReply(completion if isinstance(completion, str) and completion.strip() else "no choices in it")
    return _writable(text or ""), getattr(choice, "finish_reason", None) == "length"


def _writable(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _openai_client(endpoint: Endpoint, key: str | None) -> AsyncOpenAI:
    try:
        import tenacity  # noqa: F401
        from openai import AsyncOpenAI

        from uq_harness.endpoints.transport import http_client
    except ImportError as error:
        raise UQHarnessError(f'a chat endpoint needs the package {error.name}: pip install "uq-harness[api]"') from None
    client: Any = http_client()
    try:
        return AsyncOpenAI(
            api_key=key or "none", base_url=endpoint.url, timeout=None, max_retries=0, http_client=client
        )
    except Exception as error:  # each HTTP library has an error of its own for an address; the rest is ours
        raise UQHarnessError(
            f"chat endpoint: base_url={brief(endpoint.url)!r} is not allowed ({error}), use an address such as "
            "http://localhost:8000/v1"
        ) from None


def _close(client: AsyncOpenAI) -> None:
    from uq_harness.endpoints.transport import close

    close(client)
