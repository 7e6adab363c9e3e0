"""Response caches that cannot be used: each is refused before the first answer, and the message says what to do."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlitedict import SqliteDict

from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import UQText
from uq_harness.models.cache_stamp import STAMP, check_cache, check_stamp


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    file = tmp_path / "cache_rank0.db"
    with SqliteDict(str(file), autocommit=True) as database:
        check_stamp(database, str(file), {"methods": ["g_nll"]})
        database["a question"] = UQText("Paris", {"uncertainty": {"g_nll": 0.5}})
    return file


def with_value(value: bytes) -> Callable[[Path], object]:
    def change(file: Path) -> None:
        with closing(sqlite3.connect(file)) as database:
            database.execute("UPDATE unnamed SET value = ? WHERE key = 'a question'", (value,))
            database.commit()

    return change


def test_a_whole_one_is_taken(cache: Path) -> None:
    check_cache(str(cache))


def test_one_that_is_yet_to_come_is_taken(tmp_path: Path) -> None:
    check_cache(str(tmp_path / "none.db"))
    check_cache(None)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b"rubbish"),
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        lambda file: file.write_bytes(file.read_bytes()[:4096] + b"\xff" * 4096),
        with_value(b""),
        with_value(b"\x80\x04"),
        with_value(b"cnowhere\nNothing\n."),
        with_value(b"N."),
    ],
    ids=["rubbish", "truncated", "overwritten", "empty", "cut", "of another program", "none"],
)
def test_a_damaged_one_is_refused(damage: Callable[[Path], object], cache: Path) -> None:
    damage(cache)
    with pytest.raises(UQHarnessError, match=r"--use_cache .*cache_rank0\.db is damaged .*: delete it, or choose"):
        check_cache(str(cache))


def test_one_of_another_release_is_refused_and_not_called_damaged(cache: Path) -> None:
    with_value(b"cuq_harness.response\nUQText\n.")(cache)
    with pytest.raises(UQHarnessError, match=r"of another release of uq-harness .*: choose another path"):
        check_cache(str(cache))


def test_one_that_another_program_has_locked_is_refused(cache: Path) -> None:
    with closing(sqlite3.connect(cache, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(
            UQHarnessError, match=r"cannot be read \(database is locked\): end the program that uses it"
        ):
            check_cache(str(cache))


def test_a_folder_in_its_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match=r"cannot be read \((unable to open|disk I/O error)"):
        check_cache(str(tmp_path))


@pytest.mark.parametrize("stamp", [5, "text", None, ["methods"]])
def test_a_stamp_of_another_type_is_refused(stamp: object, cache: Path) -> None:
    with SqliteDict(str(cache), autocommit=True) as database:
        database[STAMP] = stamp
        with pytest.raises(UQHarnessError, match=r"is damaged \(its stamp is"):
            check_stamp(database, str(cache), {"methods": ["g_nll"]})
