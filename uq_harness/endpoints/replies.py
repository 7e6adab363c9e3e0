"""Replies on disk, so that the same request is never paid twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from platformdirs import user_cache_path

from uq_harness.endpoints.settings import Endpoint
from uq_harness.errors import UQHarnessError

log = logging.getLogger(__name__)
_SECONDS_TO_WAIT = 60  # for another process that writes
_AT_A_TIME = 500


def default_cache_file() -> Path:
    """The file of replies in the user's cache folder, which the system names: on Linux ``~/.cache/uq-harness``."""
    return user_cache_path("uq-harness", appauthor=False) / "replies.sqlite"


class ReplyCache:
    """A file of replies, one a request; several processes may use it at once.

    It holds hashes of the requests, not their texts, and the models' names and replies. A file that can no longer be
    read or written costs a warning: replies count as unknown, and new ones are not kept.

    Args:
        file: Where; None means `default_cache_file`.

    Raises:
        UQHarnessError: The file cannot be written, or is another kind of file.
    """

    def __init__(self, file: str | Path | None = None) -> None:
        self._usable = True
        try:
            self.file = Path(file).expanduser() if file is not None else default_cache_file()
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, model TEXT, reply TEXT)"
                )
                database.execute("BEGIN IMMEDIATE")  # shows whether it can be written
                database.execute("SELECT request, model, reply FROM replies LIMIT 1")
        except (OSError, sqlite3.Error, ValueError, RuntimeError) as error:  # ValueError: NUL; RuntimeError: ~nobody
            where = str(file if file is not None else default_cache_file())
            raise UQHarnessError(
                f"the file of replies {where!r} cannot be used ({error}): give another one with "
                "cache=/path/replies.sqlite"
            ) from None

    def get(self, requests: Sequence[str]) -> dict[str, str]:
        """The replies that are there, by request."""
        found: dict[str, str] = {}
        with self._unless_lost(), self._open() as database:
            for start in range(0, len(requests), _AT_A_TIME):
                part = requests[start : start + _AT_A_TIME]
                marks = ",".join("?" * len(part))
                found.update(database.execute(f"SELECT request, reply FROM replies WHERE request IN ({marks})", part))
        return found

    def put(self, request: str, model: str, reply: str) -> None:
        """Keeps a reply, whatever happens to this process next."""
        if not self._usable:
            return
        with self._unless_lost(), self._open() as database:
            database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", (request, model, reply))

    @contextlib.contextmanager
    def _unless_lost(self) -> Iterator[None]:
        """Gives the file up where it fails, and says so: what was paid for is worth more than the file."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if self._usable:
                log.warning(
                    "the file of replies %s cannot be used any more (%s): the run goes on, and its further replies "
                    "are not kept",
                    self.file,
                    error,
                )
            self._usable = False

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.file, timeout=_SECONDS_TO_WAIT)) as database, database:
            database.execute("PRAGMA synchronous = OFF")  # survives a killed process; waiting for the disk takes longer
            yield database


def request_key(endpoint: Endpoint, message: str) -> str:
    """Hash of all that a reply depends on: address, model, sampling, and the message with everything in it."""
    parts = [endpoint.url, endpoint.model, endpoint.temperature, endpoint.max_tokens, message]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
