"""The journal of a run: the replies of a server on disk, so that a run that was killed sends nothing twice."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uq_harness.endpoints.first_token import changed
from uq_harness.errors import UQHarnessError

log = logging.getLogger(__name__)
_SECONDS_TO_WAIT = 60  # for another process that writes


def request_hash(url: str, body: Mapping[str, Any]) -> bytes:
    """What a reply is found by: a hash of the address and of all that was sent; no text can be had back from it."""
    return hashlib.blake2b(json.dumps([url, body], sort_keys=True).encode(), digest_size=16).digest()


class Journal:
    """A file of replies by the hash of their request; threads share it.

    It holds what its user puts there, which is numbers and token ids, and facts about the server. A reply is there for
    good as soon as `put` returns, whatever happens to the process next. Where the file can no longer be written, the
    run goes on with a warning.

    Args:
        file: Where; made if it is not there.

    Raises:
        UQHarnessError: The file cannot be written, or is another kind of file.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file).expanduser()
        self._lock = threading.Lock()
        self._usable = True
        self._counted: set[bytes] = set()
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            # autocommit; one connection under a lock, so there is one writer
            self._database = sqlite3.connect(
                self.file, timeout=_SECONDS_TO_WAIT, check_same_thread=False, isolation_level=None
            )
            self._database.execute("PRAGMA synchronous = OFF")  # survives a killed process; the disk would take longer
            self._database.execute("CREATE TABLE IF NOT EXISTS replies (request BLOB PRIMARY KEY, reply TEXT NOT NULL)")
            self._database.execute("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
            self._database.execute("SELECT request, reply FROM replies LIMIT 1").fetchone()
            self._database.execute("BEGIN IMMEDIATE")  # shows whether it can be written
            self._database.execute("COMMIT")
        except (OSError, sqlite3.Error, ValueError, RuntimeError) as error:  # ValueError: NUL; RuntimeError: ~nobody
            raise UQHarnessError(
                f"the journal {str(file)!r} cannot be used ({error}): give another file with journal=/path/run.journal"
            ) from None

    def get(self, request: bytes) -> str | None:
        """The reply to a request; ``None`` where there is none."""
        return self._value("SELECT reply FROM replies WHERE request = ?", request)

    def put(self, request: bytes, reply: str) -> None:
        """Keeps a reply."""
        with self._lock:
            self._counted.add(request)
        self._write("INSERT OR REPLACE INTO replies VALUES (?, ?)", request, reply)

    def is_earlier(self, request: bytes) -> bool:
        """Whether an earlier run paid for a reply; says so once, so that what it cost is counted once."""
        with self._lock:
            earlier = request not in self._counted
            self._counted.add(request)
        return earlier

    def fact(self, name: str) -> dict[str, Any] | None:
        """What is known by a name about the server whose replies these are; ``None`` for nothing."""
        value = self._value("SELECT value FROM facts WHERE name = ?", name)
        return None if value is None else dict(json.loads(value))

    def note(self, name: str, fact: Mapping[str, Any]) -> None:
        """Keeps something about the server."""
        self._write("INSERT OR REPLACE INTO facts VALUES (?, ?)", name, json.dumps(dict(fact), sort_keys=True))

    def __len__(self) -> int:
        with self._lock:
            return int(self._database.execute("SELECT count(*) FROM replies").fetchone()[0])

    def _value(self, query: str, name: str | bytes) -> str | None:
        try:
            with self._lock:
                row = self._database.execute(query, (name,)).fetchone()
        except sqlite3.Error as error:
            self._give_up(error)
            return None
        return None if row is None else str(row[0])

    def _write(self, statement: str, *values: str | bytes) -> None:
        if not self._usable:
            return
        try:
            with self._lock:
                self._database.execute(statement, values)
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: sqlite3.Error) -> None:
        if self._usable:
            log.warning(
                "the journal %s cannot be used any more (%s): the run goes on, and its further replies are not kept",
                self.file,
                error,
            )
        self._usable = False


def check_server(journal: Journal, now: Mapping[str, Any]) -> None:
    """Binds a new journal to a server, or compares the server with that of an old one.

    Args:
        journal: The journal.
        now: What the server is known by: its address, the model, the version, the first token that it writes; plain
            JSON values.

    Raises:
        UQHarnessError: The replies are those of another server or model.
    """
    then = journal.fact("server")
    if then is None:
        journal.note("server", now)
        return
    changes = changed(then, now)
    if changes:
        raise UQHarnessError(
            f"the journal {journal.file} holds the replies of another server ({changes}): choose another journal and "
            "another --use_cache path, or run against the same server"
        )
