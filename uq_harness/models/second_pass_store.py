"""What a second pass has computed, kept in a folder so that a killed one goes on where it stopped.

Every process has its own SQLite file in it and reads those of all others when it starts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from uq_harness.errors import UQHarnessError
from uq_harness.rendering.secrets import without_secrets

log = logging.getLogger(__name__)
PREFIX = "second_pass_"


class SecondPassStore:
    """The results of answers by their keys.

    Args:
        output: The folder for results; the store is a folder in it.
        stamp: What the results depend on beside the answers themselves; another stamp has another store.

    Attributes:
        folder: The folder.

    Raises:
        UQHarnessError: A file in it is damaged, or cannot be written.
    """

    def __init__(self, output: Path, stamp: Mapping[str, Any]) -> None:
        text = json.dumps(without_secrets(dict(stamp)), sort_keys=True, default=str)
        self.folder = output / f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        self._others = [other for other in sorted(output.glob(f"{PREFIX}*")) if other != self.folder and _kept(other)]
        self._lock = FileLock(self.folder / "lock")
        self._database: sqlite3.Connection | None = None

    def lock(self) -> None:
        """Keeps other programs away until `release`: they would read the same answers, and delete what is kept.

        Raises:
            UQHarnessError: Another program is at it, or the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UQHarnessError(
                f"another second pass of the same model and methods is at work in {self.folder}: wait until it has "
                "ended, or name another --output"
            ) from None
        except OSError as error:
            raise UQHarnessError(
                f"{self.folder} cannot be written ({error.strerror or error}): name another --output"
            ) from error

    def release(self) -> None:
        """Ends `lock`, and leaves no folder behind in which nothing is kept."""
        self.close()
        if self._lock.is_locked:
            empty = not _kept(self.folder)
            if empty:
                shutil.rmtree(self.folder, ignore_errors=True)
            self._lock.release()
            if empty:
                with suppress(OSError):  # Windows keeps a folder in which a lock is held
                    self.folder.rmdir()

    def warn_of_others(self) -> None:
        """Names what other second passes have left behind in the same folder."""
        for other in self._others:
            log.warning(
                "%s is left from a second pass of another model, type or methods that did not end: delete it, unless "
                "you want to go on with that one",
                other,
            )

    def earlier(self) -> dict[str, dict[str, Any]]:
        """All results that processes have put here before."""
        found: dict[str, dict[str, Any]] = {}
        for file in sorted(self.folder.glob("rank*.sqlite")):
            database = self._opened(file)
            try:
                rows = database.execute("SELECT key, found FROM answers").fetchall()
                found |= {key: json.loads(text) for key, text in rows}
            except (sqlite3.Error, ValueError) as error:
                raise _damaged(file, error) from error
            finally:
                database.close()
        return found

    def put(self, key: str, found: Mapping[str, Any], rank: int) -> None:
        """Keeps a result; once this returns, the end of the process does not lose it."""
        file = self.folder / f"rank{rank}.sqlite"
        if self._database is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._database = self._opened(file)
        try:
            with self._database:
                self._database.execute("INSERT OR REPLACE INTO answers VALUES (?, ?)", (key, json.dumps(found)))
        except sqlite3.Error as error:
            raise UQHarnessError(f"{file} cannot be written ({error}): is there space on the disk?") from error

    def close(self) -> None:
        """Closes this process's file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def remove(self) -> None:
        """Deletes the folder, when its results are written elsewhere."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _opened(file: Path) -> sqlite3.Connection:
        try:
            database = sqlite3.connect(file, timeout=30)
            with database:
                database.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, found TEXT NOT NULL)")
        except sqlite3.Error as error:
            raise _damaged(file, error) from error
        return database


def _kept(folder: Path) -> bool:
    return any(folder.glob("rank*.sqlite"))


def _damaged(file: Path, why: object) -> UQHarnessError:
    return UQHarnessError(f"{file}, which keeps what a second pass has computed, cannot be read ({why}): delete it")
