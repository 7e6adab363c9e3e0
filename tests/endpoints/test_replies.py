"""The file of replies: what its keys depend on, and that several processes may share it."""

import multiprocessing
import sqlite3
import sys
from pathlib import Path

import pytest

from uq_harness.endpoints.replies import ReplyCache, default_cache_file, request_key
from uq_harness.endpoints.settings import Endpoint
from uq_harness.errors import UQHarnessError


def test_replies_come_back_and_unknown_ones_do_not(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "new folder" / "replies.sqlite")
    cache.put("a", "m", "yes")
    cache.put("a", "m", "no")
    cache.put("b", "m", "Ünïcode\n")
    assert ReplyCache(cache.file).get(["a", "b", "c"]) == {"a": "no", "b": "Ünïcode\n"}


def test_more_requests_than_a_statement_holds(tmp_path: Path) -> None:
    cache = ReplyCache(tmp_path / "replies.sqlite")
    cache.put("1999", "m", "yes")
    assert cache.get([str(number) for number in range(2000)]) == {"1999": "yes"}


def test_a_key_depends_on_all_that_the_reply_depends_on_and_on_nothing_else() -> None:
    usual = Endpoint("m", "http://a/v1")
    others = [
        Endpoint("n", "http://a/v1"),
        Endpoint("m", "http://b/v1"),
        Endpoint("m", "http://a/v1", temperature=1.0),
        Endpoint("m", "http://a/v1", max_tokens=3),
    ]
    keys = [request_key(endpoint, "hello") for endpoint in (usual, *others)] + [request_key(usual, "hello!")]
    assert len(set(keys)) == 6
    same = Endpoint("m", "http://a/v1/", timeout=1, concurrency=2, retries=0, api_key_env="OTHER")
    assert request_key(same, "hello") == keys[0]


def write(file: Path, first: int) -> None:
    cache = ReplyCache(file)
    for number in range(first, first + 40):
        cache.put(str(number), "m", f"reply {number}")


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    file = tmp_path / "replies.sqlite"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=write, args=(file, 40 * rank)) for rank in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert ReplyCache(file).get([str(number) for number in range(120)]) == {str(n): f"reply {n}" for n in range(120)}


@pytest.mark.parametrize("content", [b"this is not a database, but long enough to be taken for one" * 50, None])
def test_another_kind_of_file_is_refused(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "replies.sqlite"
    if content is not None:
        file.write_bytes(content)
    else:
        sqlite3.connect(file).execute("CREATE TABLE replies (something TEXT)").connection.close()
    with pytest.raises(UQHarnessError, match=r"replies\.sqlite' cannot be used .*cache="):
        ReplyCache(file)


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UQHarnessError, match="cannot be used"):
        ReplyCache(tmp_path / "file" / "replies.sqlite")


@pytest.mark.parametrize("name", ["replies\0.sqlite", "~nobody-of-this-name/replies.sqlite", "x" * 400])
def test_a_name_that_no_file_can_have_is_refused(name: str) -> None:
    with pytest.raises(UQHarnessError, match=r"the file of replies .* cannot be used .*cache="):
        ReplyCache(name)


def test_a_file_that_is_lost_on_the_way_costs_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = ReplyCache(tmp_path / "replies.sqlite")
    cache.put("a", "m", "yes")
    cache.file.write_bytes(b"this is not a database, but long enough to be taken for one" * 50)
    for request in ("b", "c", "d"):
        cache.put(request, "m", "yes")
    assert cache.get(["a", "b"]) == {}
    assert [record.getMessage() for record in caplog.records if "cannot be used any more" in record.message] == [
        caplog.records[0].getMessage()
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other folders")
def test_it_lies_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_file() == tmp_path / "uq-harness" / "replies.sqlite"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_file() == Path.home() / ".cache" / "uq-harness" / "replies.sqlite"
