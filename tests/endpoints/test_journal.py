"""The journal: many threads, a killed process, files that cannot be used."""

import logging
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from uq_harness.endpoints.journal import Journal, check_server, request_hash
from uq_harness.errors import UQHarnessError


def test_what_was_put_is_there_for_all_threads_and_later_runs(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "sub" / "j")
    keys = [request_hash("http://x/v1", {"seed": number}) for number in range(200)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: journal.put(keys[number], str(number)), range(200)))
        assert list(pool.map(journal.get, keys)) == [str(number) for number in range(200)]
    later = Journal(tmp_path / "sub" / "j")
    assert len(later) == 200
    assert later.get(keys[7]) == "7"
    assert later.get(request_hash("http://y/v1", {"seed": 7})) is None


def test_the_order_of_a_body_s_fields_does_not_matter_and_all_else_does() -> None:
    one = request_hash("u", {"a": 1, "b": [1, 2]})
    assert one == request_hash("u", {"b": [1, 2], "a": 1})
    assert len({one, request_hash("v", {"a": 1, "b": [1, 2]}), request_hash("u", {"a": 1, "b": [2, 1]})}) == 3


def test_a_killed_process_loses_no_reply_that_was_put(tmp_path: Path) -> None:
    code = (
        "import sys; from uq_harness.endpoints.journal import Journal\n"
        f"journal = Journal({str(tmp_path / 'j')!r})\n"
        "for number in range(10 ** 9):\n"
        "    journal.put(b'%d' % number, 'x' * 1000)\n"
        "    print(number, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = [process.stdout.readline() for _ in range(50)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    journal = Journal(tmp_path / "j")
    assert all(journal.get(line.strip().encode()) == "x" * 1000 for line in seen)
    journal.put(b"more", "y")
    assert journal.get(b"more") == "y"


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to be looked at" * 30)
    with sqlite3.connect(tmp_path / "other") as database:
        database.execute("CREATE TABLE replies (request TEXT, text TEXT)")
    for name in ("text", "other"):
        with pytest.raises(UQHarnessError, match="give another file with journal="):
            Journal(tmp_path / name)


def test_a_journal_that_is_lost_costs_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(tmp_path / "j")
    with sqlite3.connect(tmp_path / "j") as database:
        database.execute("DROP TABLE replies")
    with caplog.at_level(logging.WARNING):
        journal.put(b"a", "1")
        journal.put(b"b", "2")
    assert caplog.text.count("cannot be used any more") == 1
    assert journal.get(b"a") is None


def test_it_is_bound_to_a_server(tmp_path: Path) -> None:
    check_server(Journal(tmp_path / "j"), {"base_url": "http://a/v1", "system_fingerprint": None})
    check_server(Journal(tmp_path / "j"), {"base_url": "http://a/v1", "system_fingerprint": None})
    with pytest.raises(UQHarnessError, match="base_url was 'http://a/v1' and is now 'http://b/v1'"):
        check_server(Journal(tmp_path / "j"), {"base_url": "http://b/v1", "system_fingerprint": None})
