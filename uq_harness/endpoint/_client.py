"""The client: one request with its retries, and many requests at a time."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from uq_harness.endpoint._failures import (
    ABOUT_ONE_REQUEST,
    NotAReply,
    explain,
    is_transient,
    wanted_wait,
)
from uq_harness.endpoint._settings import Endpoint
from uq_harness.errors import UQHarnessError

if TYPE_CHECKING:
    from openai import OpenAI
    from tenacity import RetryCallState

T = TypeVar("T")
R = TypeVar("R")
LONGEST_WAIT = 60.0
log = logging.getLogger(__name__)
_THINKING = re.compile(r"\s*<think>.*?(</think>|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Reply:
    """What a chat model said.

    Attributes:
        text: The reply, without what the model thought aloud before it (``<think> ... </think>``).
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
        except (OpenAIError, NotAReply) as error:
            problem = explain(error, self.endpoint, self._key, self._models(error))
        raise problem  # outside the except clause: the client's own error holds the request, and with it the key

    def _wait(self, state: RetryCallState) -> float:
        from tenacity import wait_random_exponential

        wait = wait_random_exponential(multiplier=self.endpoint.backoff, max=LONGEST_WAIT)(state)
        return max(wait, wanted_wait(state.outcome.exception() if state.outcome else None))

    def _complete(self, message: str) -> Reply:
        settings = {"temperature": self.endpoint.temperature, "max_tokens": self.endpoint.max_tokens}
        completions: Any = self._openai.chat.completions
        try:
            completion = completions.create(
                model=self.endpoint.model,
                messages=[{"role": "user", "content": message}],
                **{name: value for name, value in settings.items() if value is not None},
            )
        except ValueError as error:  # a body that is no JSON
            raise NotAReply(f"no JSON: {error}") from None
        return _read(completion)

    def _models(self, error: Exception) -> list[str]:
        """The models that the endpoint lists, for a message about one that it may not know."""
        if getattr(error, "status_code", None) not in (404, *ABOUT_ONE_REQUEST):
            return []
        with contextlib.suppress(Exception):  # it is only for the message
            return [str(model.id) for model in self._openai.with_options(timeout=10).models.list()]
        return []


def _read(completion: Any) -> Reply:
    """Reads what came back; endpoints send all sorts of things with status 200.

    Raises:
        NotAReply: It is no chat completion.
    """
    choices = getattr(completion, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    text = getattr(message, "content", None)
    if message is None or not isinstance(text, str | None):
        raise NotAReply(completion if isinstance(completion, str) and completion.strip() else "no choices in it")
    answer = _THINKING.sub("", _writable(text or ""), count=1)
    return Reply(answer.strip(), getattr(choice, "finish_reason", None) == "length")


def _writable(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _openai_client(endpoint: Endpoint, key: str | None) -> OpenAI:
    try:
        import tenacity  # noqa: F401
        from openai import OpenAI
    except ImportError as error:
        raise UQHarnessError(f'a chat endpoint needs the package {error.name}: pip install "uq-harness[api]"') from None
    return OpenAI(api_key=key or "none", base_url=endpoint.url, timeout=endpoint.timeout, max_retries=0)
