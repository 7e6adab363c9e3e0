"""How requests travel: no redirects, replies of limited size, and a deadline for each request as a whole."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import zlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

import httpx

from uq_harness.endpoints.failures import NotAReply

T = TypeVar("T")
_GZIP_OR_DEFLATE = zlib.MAX_WBITS | 32


def http_client(largest_reply: int) -> httpx.AsyncClient:
    """The HTTP client. A redirect is not followed: it would carry the question to another address.

    Args:
        largest_reply: Bytes of a reply at most.
    """
    return httpx.AsyncClient(
        follow_redirects=False,
        timeout=None,  # `within` ends a request
        limits=httpx.Limits(max_connections=None),  # the caller sends no more than it may
        headers={"accept-encoding": "identity"},
        event_hooks={"response": [functools.partial(_limit, largest_reply)]},
    )


def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Does the work from a thread that waits for it, and ends it after so many seconds, wherever it is.

    Raises:
        TimeoutError: The time is over.
    """

    async def timed() -> T:
        async with asyncio.timeout(seconds):
            return await work

    return asyncio.run_coroutine_threadsafe(timed(), _loop(os.getpid())).result()


def close(client: Any) -> None:
    """Closes a client's connections some time soon."""
    asyncio.run_coroutine_threadsafe(client.close(), _loop(os.getpid()))


_starting = threading.Lock()


def _loop(process: int) -> asyncio.AbstractEventLoop:
    """The event loop of all requests of a process; a fork has no threads and starts its own."""
    with _starting:
        return _started_loop(process)


@functools.cache
def _started_loop(_: int) -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="uq-harness requests", daemon=True).start()
    return loop


async def _limit(largest_reply: int, response: httpx.Response) -> None:
    """Lets a reply be read up to the limit only, counted after decompression."""
    encoding = response.headers.pop("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "deflate", ""):
        raise NotAReply(f"compressed by {encoding}, which the request did not allow")
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _Limited(response.stream, largest_reply, compressed=encoding in ("gzip", "deflate"))


class _Limited(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, largest: int, compressed: bool) -> None:
        self._stream, self._largest = stream, largest
        self._decoder = zlib.decompressobj(_GZIP_OR_DEFLATE) if compressed else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._largest
        async for chunk in self._stream:
            decoded = self._decoded(chunk, left + 1)
            left -= len(decoded)
            if left < 0:
                raise NotAReply(f"more than {self._largest // 2**20} MB")
            yield decoded

    def _decoded(self, chunk: bytes, limit: int) -> bytes:
        if self._decoder is None:
            return chunk
        try:
            return self._decoder.decompress(chunk, limit)
        except zlib.error as error:
            raise NotAReply(f"damaged: {error}") from None

    async def aclose(self) -> None:
        await self._stream.aclose()
