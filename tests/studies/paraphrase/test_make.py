"""Making paraphrases against real servers: complete, distinct, in order, resumable."""

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.servers import HANG_UP, Server, fails, says, serving
from tests.http_server import Response
from uq_harness.endpoints.failures import EndpointError
from uq_harness.endpoints.settings import Endpoint
from uq_harness.errors import UQHarnessError
from uq_harness.studies.paraphrase.file import open_output, read_paraphrases
from uq_harness.studies.paraphrase.make import Made, make_paraphrases
from uq_harness.studies.paraphrase.questions import Question

QUESTIONS = [Question(f"q-{number}", f"Who wrote book {number}?", (f"author {number}",)) for number in range(6)]


def wanted(message: str) -> int:
    found = re.search(r"list of (\d+) questions", message)
    return int(found[1]) if found else 0


def asked(message: str) -> str:
    found = re.search(r"^Question: (.*)$", message, re.MULTILINE)
    return found[1] if found else ""


def willing(message: str, number: int) -> Response:
    """As many new paraphrases as are wanted."""
    if not wanted(message):
        return says("yes")
    start = message.count("\n- ")
    return says("\n".join(f"{i}. {asked(message)[:-1]}, put {start + i}?" for i in range(1, wanted(message) + 1)))


def make(server: Server, output: Path, questions: list[Question] = QUESTIONS, **options: Any) -> Made:
    settings = {"temperature": 1.0, "retries": 0, "backoff": 0.0, "concurrency": options.pop("concurrency", 4)}
    settings["temperature"] = options.pop("temperature", 1.0)
    return make_paraphrases(Endpoint("m", server.url, **settings), questions, output, **options)


def rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_every_question_gets_n_paraphrases_in_the_questions_order(tmp_path: Path) -> None:
    first_waits = threading.Event()

    def behaviour(message: str, number: int) -> Response:
        if asked(message) == QUESTIONS[0].question:
            first_waits.wait(20)  # the first question's reply comes last
        if asked(message) == QUESTIONS[-1].question:
            first_waits.set()
        return willing(message, number)

    with serving(behaviour) as server:
        made = make(server, tmp_path / "new" / "p.jsonl", n=3)
        assert len(server.bodies) == 7  # the check, and one request a question
    assert (made.questions, made.known, made.short) == (6, 0, {})
    found = rows(tmp_path / "new" / "p.jsonl")
    assert [row["id"] for row in found] == [question.id for question in QUESTIONS]
    assert found[1] == {
        "id": "q-1",
        "question": "Who wrote book 1?",
        "answers": ["author 1"],
        "paraphrases": [f"Who wrote book 1, put {i}?" for i in (1, 2, 3)],
    }
    assert len(read_paraphrases(made.path).questions) == 6


def test_what_is_not_new_is_asked_for_again(tmp_path: Path) -> None:
    replies = ["1. who wrote book 0\n2. Book 0 is whose?", "1. Book 0 is whose", "1. Whose is book 0?\n2. And more?"]
    with serving(lambda _, number: says(replies[number - 1] if number else "yes")) as server:
        made = make(server, tmp_path / "p.jsonl", QUESTIONS[:1], n=2)
    assert rows(made.path)[0]["paraphrases"] == ["Book 0 is whose?", "Whose is book 0?"]
    assert [wanted(message) for message in server.messages[1:]] == [2, 1, 1]
    assert "- Book 0 is whose?\n" in server.messages[2]


def test_what_could_not_be_reached_is_reported(tmp_path: Path) -> None:
    def stubborn(message: str, number: int) -> Response:
        return says("1. The only one?") if "book 2" in message or "book 4" in message else willing(message, number)

    with serving(lambda m, n: says("no idea") if "book 4" in m and "only" in m else stubborn(m, n)) as server:
        made = make(server, tmp_path / "p.jsonl", n=2, rounds=3)
    assert made.short == {"Who wrote book 2?": 1}  # the unnumbered line of the other counts
    assert len(server.bodies) == 1 + 4 + 3 + 2


def test_a_question_with_none_is_not_in_the_file_but_in_the_report(tmp_path: Path) -> None:
    with serving(lambda m, n: says("") if "book 2" in m else willing(m, n)) as server:
        made = make(server, tmp_path / "p.jsonl", rounds=2)
    assert made.short == {"Who wrote book 2?": 0}
    assert [row["id"] for row in rows(made.path)] == ["q-0", "q-1", "q-3", "q-4", "q-5"]


def test_the_same_request_is_not_repeated_at_temperature_0(tmp_path: Path) -> None:
    with serving(lambda *_: says("")) as server:
        make(server, tmp_path / "p.jsonl", QUESTIONS[:1], temperature=0.0)
        assert len(server.bodies) == 2


def test_a_refused_question_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    with serving(lambda m, n: fails(400, "unfit") if "book 3" in m else willing(m, n)) as server:
        made = make(server, tmp_path / "p.jsonl", n=2)
    assert made.short == {"Who wrote book 3?": 0}
    assert "unfit" in made.refused["Who wrote book 3?"]
    assert len(rows(made.path)) == 5


def test_an_endpoint_that_dies_half_way_loses_nothing_and_the_next_run_goes_on(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    with (
        serving(lambda m, number: willing(m, number) if number < 4 else HANG_UP) as server,
        pytest.raises(
            EndpointError, match=r"cannot be reached.*3 of 6 questions are done and in .*p\.jsonl: start again"
        ),
    ):
        make(server, file, n=2, concurrency=1)
    assert len(rows(file)) == 3
    with serving(willing) as server:
        made = make(server, file, n=2)
        assert len(server.bodies) == 1 + 3
    assert (made.known, made.short) == (3, {})
    assert [row["id"] for row in rows(file)] == [question.id for question in QUESTIONS]


def test_paraphrases_found_before_the_endpoint_died_count(tmp_path: Path) -> None:
    replies = [says("yes"), says("1. One?"), HANG_UP]
    with serving(lambda _, number: replies[number]) as server, pytest.raises(EndpointError):
        make(server, tmp_path / "p.jsonl", QUESTIONS[:1], n=3)
    assert rows(tmp_path / "p.jsonl")[0]["paraphrases"] == ["One?"]
    with serving(willing) as server:
        made = make(server, tmp_path / "p.jsonl", QUESTIONS[:1], n=3)
        assert [wanted(message) for message in server.messages[1:]] == [2]
    assert len(rows(made.path)[0]["paraphrases"]) == 3


@pytest.mark.parametrize(
    "tail", ['{"id": "q-2", "quest', '{"id": "q-2", "question": "Who wrote book 2?", "paraphrases": ["a?"]']
)
def test_half_a_line_is_removed(tail: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "p.jsonl"
    whole = json.dumps({"id": "q-0", "question": "Who wrote book 0?", "paraphrases": ["Ä?", "Ö?"]}, ensure_ascii=False)
    file.write_text(f"{whole}\n{tail}", encoding="utf-8")
    with serving(willing) as server:
        made = make(server, file, n=2)
    assert "last line is half a line" in caplog.text
    assert made.known == 1
    assert rows(file)[0]["paraphrases"] == ["Ä?", "Ö?"]
    assert len(rows(file)) == 6


def test_a_last_line_without_its_end_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"question": "Who wrote book 5?", "paraphrases": ["One?", "Two?"]}))
    with serving(willing) as server:
        assert make(server, file, n=2).known == 1
    assert rows(file)[5] == {**rows(file)[5], "id": "q-5", "paraphrases": ["One?", "Two?"]}


def test_ids_and_other_fields_of_the_file_stay(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    row = {"id": "mine", "question": "Who wrote book 0?", "paraphrases": ["Whose is book 0?"], "checked": True}
    file.write_text(json.dumps(row) + "\n")
    with serving(willing) as server:
        make(server, file, QUESTIONS[:1], n=2)
    assert rows(file)[0] == {**rows(file)[0], "id": "mine", "checked": True, "answers": ["author 0"]}
    assert rows(file)[0]["paraphrases"][0] == "Whose is book 0?"
    assert len(rows(file)[0]["paraphrases"]) == 2


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "p.jsonl")
    with serving(willing) as server:
        make(server, tmp_path / "link.jsonl", n=1)
    assert (tmp_path / "link.jsonl").is_symlink()
    assert len(rows(tmp_path / "p.jsonl")) == 6


def test_nothing_to_do_asks_nobody(tmp_path: Path) -> None:
    with serving(willing) as server:
        make(server, tmp_path / "p.jsonl", n=2)
    before = (tmp_path / "p.jsonl").read_bytes()
    made = make(server, tmp_path / "p.jsonl", n=2)  # the server is gone
    assert made.known == 6
    assert (tmp_path / "p.jsonl").read_bytes() == before


def test_more_paraphrases_are_added_to_those_there(tmp_path: Path) -> None:
    with serving(willing) as server:
        make(server, tmp_path / "p.jsonl", n=2)
        made = make(server, tmp_path / "p.jsonl", n=5)
        assert [wanted(message) for message in server.messages[-6:]] == [3] * 6
        assert {len(row["paraphrases"]) for row in rows(made.path)} == {5}
        assert make(server, made.path, n=1).known == 6
        assert {len(row["paraphrases"]) for row in rows(made.path)} == {5}


def test_limit_takes_the_first_questions_and_keeps_what_is_there_of_others(tmp_path: Path) -> None:
    with serving(willing) as server:
        assert make(server, tmp_path / "p.jsonl", n=2, limit=4).questions == 4
        assert len(rows(tmp_path / "p.jsonl")) == 4
        assert make(server, tmp_path / "p.jsonl", n=2, limit=2).known == 2
        assert len(rows(tmp_path / "p.jsonl")) == 4


def test_a_file_of_other_questions_is_refused_before_any_request(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text('{"question": "Another?", "paraphrases": ["One more?"]}\n')
    with serving(willing) as server:
        with pytest.raises(UQHarnessError, match=r"line 1: the question 'Another[?]' is not among those"):
            make(server, tmp_path / "p.jsonl")
        assert server.bodies == []


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    refused = pytest.raises(UQHarnessError, match="another process writes")
    with open_output(tmp_path / "p.jsonl", []), serving(willing) as server, refused:
        make(server, tmp_path / "p.jsonl")


def test_an_unreachable_endpoint_and_bad_numbers_are_found_before_the_work(tmp_path: Path) -> None:
    with serving(lambda *_: fails(404, "no such model"), models=("n",)) as server:
        with pytest.raises(EndpointError, match=r"does not know the model 'm'.*lists the models n"):
            make(server, tmp_path / "p.jsonl")
        assert len(server.bodies) == 1
        assert not (tmp_path / "p.jsonl").exists()
        for options in ({"n": 0}, {"rounds": 0}, {"limit": 0}, {"n": True}):
            with pytest.raises(UQHarnessError, match=rf"{next(iter(options))}=.* whole number from 1 on"):
                make(server, tmp_path / "p.jsonl", **options)


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    with serving(willing) as server, pytest.raises(UQHarnessError, match="cannot be written"):
        make(server, tmp_path)
