"""What every client of an endpoint does: requests with retries, failures in words, many at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any, TypeVar

from uq_harness.endpoints.failures import ABOUT_ONE_REQUEST, EndpointDown, NotAReply, explain, is_transient, wanted_wait
from uq_harness.endpoints.pace import Pace
from uq_harness.endpoints.settings import Endpoint
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


class EndpointClient:
    """Sends requests to an endpoint; threads may share it.

    Args:
        endpoint: Where to, and how.
        largest_reply: Bytes of a reply at most.

    Raises:
        UQHarnessError: A package or the key is missing.
    """

    def __init__(self, endpoint: Endpoint, largest_reply: int = 8 * 2**20) -> None:
        self.endpoint = endpoint
        self._key = endpoint.key()
        self._openai = _openai_client(endpoint, self._key, largest_reply)
        weakref.finalize(self, _close, self._openai).atexit = False
        self._stopped = threading.Event()
        self._pace = Pace(endpoint.requests_per_minute)

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
            self.go_on()

    def stop(self) -> None:
        """Lets `map` begin no further item, and no request be sent again, until `go_on`."""
        self._stopped.set()

    def go_on(self) -> None:
        """Takes `stop` back."""
        self._stopped.clear()

    def _unless_stopped(self, work: Callable[[T], R], item: T) -> list[R]:
        return [] if self._stopped.is_set() else [work(item)]

    def _with_retries(self, once: Callable[[], T], retries: int) -> tuple[T, int]:
        """What a request gets, and how often it was sent; again where it may succeed a little later.

        Raises:
            EndpointError: The endpoint cannot be used, after all retries; `RequestRefused` where only this request
                was refused.
        """
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
            return attempts(once), attempts.statistics["attempt_number"]
        except (OpenAIError, NotAReply, TimeoutError) as error:
            problem = explain(error, self.endpoint, self._key, self._models(error))
        raise problem  # outside the except clause: the client's own error holds the request, and with it the key

    def _within_time(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What one request gets, within the time that it has, at the pace that is allowed."""
        from openai import APIConnectionError

        from uq_harness.endpoints.transport import within

        if not self._pace.wait(self._stopped):
            raise EndpointDown(f"the endpoint {self.endpoint.url} was not asked: the run is ending")
        try:
            return within(self.endpoint.timeout, work())
        except (ValueError, RecursionError) as error:  # a body that is not JSON, or nested too deeply
            raise NotAReply(f"no JSON: {error}") from None
        except APIConnectionError as error:
            if isinstance(error.__cause__, NotAReply):  # some versions of the client wrap what ends the reading
                raise error.__cause__ from None
            raise

    def _wait(self, state: RetryCallState) -> float:
        from tenacity import wait_random_exponential

        wait = wait_random_exponential(multiplier=self.endpoint.backoff, max=LONGEST_WAIT)(state)
        return max(wait, wanted_wait(state.outcome.exception() if state.outcome else None))

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


def _openai_client(endpoint: Endpoint, key: str | None, largest_reply: int) -> AsyncOpenAI:
    try:
        import tenacity  # noqa: F401
        from openai import AsyncOpenAI

        from uq_harness.endpoints.transport import http_client
    except ImportError as error:
        raise UQHarnessError(
            f'an endpoint needs the package {error.name}: in the folder of uq-harness\'s source: pip install ".[api]"'
        ) from None
    client: Any = http_client(largest_reply)
    try:
        return AsyncOpenAI(
            api_key=key or "none", base_url=endpoint.url, timeout=None, max_retries=0, http_client=client
        )
    except Exception as error:  # each HTTP library has an error of its own for an address; the rest is ours
        raise UQHarnessError(
            f"endpoint: base_url={brief(endpoint.url)!r} is not allowed ({error}), use an address such as "
            "http://localhost:8000/v1"
        ) from None


def _close(client: AsyncOpenAI) -> None:
    from uq_harness.endpoints.transport import close

    close(client)
