"""The chat model as judge, against real servers: verdicts, cache, failures, two judges side by side."""

import contextlib
import json
import logging
import math
import re
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.endpoints.servers import HANG_UP, Response, Server, fails, says, serving
from tests.test_task import DEMO, demo_questions, evaluate, write_questions
from uq_harness.correctness.base import build_judge
from uq_harness.errors import UQHarnessError

QUESTIONS = ["Who wrote Emma?", "Who wrote Ulysses?", "Who wrote Dracula?"]
ANSWERS = ["It was Austen.", "Woolf", ""]
REFERENCES = [["Jane Austen", " ", "Austen"], ["James Joyce"], ["Stoker"]]


def judge(server: Server, folder: Path, **options: Any) -> Any:
    settings = {"model": "m", "base_url": server.url, "cache": str(folder / "replies.sqlite"), "retries": 0}
    return build_judge({"name": "llm_judge", **settings, **options})


def fair(message: str, _: int) -> Response:
    """Judges as exact match of a reference within the answer would."""
    listed = re.search(r"Reference answers:\n(.*)\nCandidate answer: (.*)\n\nReply", message, re.DOTALL)
    if listed is None:  # the request that only checks whether the server is there
        return says("yes")
    right = any(reference.removeprefix("- ") in listed[2] for reference in listed[1].split("\n"))
    return says("Yes." if right else "No, it is not.")


def test_the_first_word_decides(tmp_path: Path) -> None:
    with serving(fair) as server:
        found = judge(server, tmp_path)
        assert found.score(QUESTIONS, ANSWERS, REFERENCES) == [1.0, 0.0, 0.0]
        assert [found.correct(score) for score in (1.0, 0.0, math.nan)] == [True, False, False]


def test_the_prompt_holds_question_references_and_answer_and_is_sent_at_temperature_0(tmp_path: Path) -> None:
    with serving(lambda *_: says("yes")) as server:
        judge(server, tmp_path).score(QUESTIONS[:1], ANSWERS[:1], REFERENCES[:1])
        judge(server, tmp_path).score(QUESTIONS[2:], ANSWERS[2:], REFERENCES[2:])
    assert "Question: Who wrote Emma?\n" in server.messages[0]
    assert "Reference answers:\n- Jane Austen\n- Austen\nCandidate answer: It was Austen.\n" in server.messages[0]
    assert "Candidate answer: (no answer)\n" in server.messages[1]
    assert all(body["temperature"] == 0 and body["max_tokens"] == 16 for body in server.bodies)


@pytest.mark.parametrize("reply", ["Perhaps.", "I think yes", "", None, "nope", "42", "不"])
def test_any_other_reply_is_undefined_and_counted(
    reply: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lambda message, _: fair(message, 0) if "Emma" in message else says(reply)) as server:
        scores = judge(server, tmp_path).score(QUESTIONS, ANSWERS, REFERENCES)
    assert scores[0] == 1.0
    assert all(map(math.isnan, scores[1:]))
    assert "2 of 3 replies begin with neither yes nor no" in caplog.text


def test_a_second_run_costs_nothing(tmp_path: Path) -> None:
    with serving(lambda message, _: says("Hm.") if "Emma" in message else fair(message, 0)) as server:
        first = judge(server, tmp_path).score(QUESTIONS, ANSWERS, REFERENCES)
        assert len(server.bodies) == 3
        assert str(judge(server, tmp_path).score(QUESTIONS, ANSWERS, REFERENCES)) == str(first)
        assert len(server.bodies) == 3
        judge(server, tmp_path, concurrency=1, timeout=9).score(QUESTIONS, ANSWERS, REFERENCES)
        assert len(server.bodies) == 3


@pytest.mark.parametrize(
    "change", [{"model": "other"}, {"temperature": 0.5}, {"questions": 1}, {"answers": 1}, {"references": 1}]
)
def test_what_changes_a_verdict_asks_again(change: dict, tmp_path: Path) -> None:
    with serving(lambda *_: says("yes")) as server:
        judge(server, tmp_path).score(["q"], ["a"], [["r"]])
        options = {name: value for name, value in change.items() if name in ("model", "temperature")}
        texts = [f"{name[0]}{'!' if name in change else ''}" for name in ("questions", "answers", "references")]
        judge(server, tmp_path, **options).score([texts[0]], [texts[1]], [[texts[2]]])
        assert len(server.bodies) == 2


def test_the_same_question_and_answer_are_asked_about_once(tmp_path: Path) -> None:
    with serving(fair) as server:
        assert judge(server, tmp_path).score(["q"] * 4, ["a"] * 4, [["a"]] * 4) == [1.0] * 4
    assert len(server.bodies) == 1


def test_an_endpoint_that_dies_half_way_leaves_the_rest_undefined_and_what_was_said_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    questions = [f"Question {number}?" for number in range(8)]
    arguments = (questions, ["a"] * 8, [["a"]] * 8)
    with serving(lambda message, number: fair(message, 0) if number < 3 else HANG_UP) as server:
        scores = judge(server, tmp_path, concurrency=1).score(*arguments)
        assert scores[:3] == [1.0] * 3
        assert all(map(math.isnan, scores[3:]))
        assert len(server.bodies) < 8  # not every question is tried in vain
    assert "5 of 8 questions have no reply" in caplog.text
    assert any(record.levelno == logging.ERROR for record in caplog.records)


def test_a_refused_question_is_undefined_and_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serving(lambda message, _: fails(400, "unfit") if "Ulysses" in message else fair(message, 0)) as server:
        scores = judge(server, tmp_path).score(QUESTIONS, ANSWERS, REFERENCES)
    assert str(scores) == "[1.0, nan, 0.0]"
    assert "1 of 3 questions were refused" in caplog.text
    assert "unfit" in caplog.text


def test_prepare_finds_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        nobody = Server(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        with pytest.raises(UQHarnessError, match=f"{nobody.url} cannot be reached.*correct base_url"):
            judge(nobody, tmp_path).prepare()
        (tmp_path / "text").write_text("no database, but a text that goes on and on" * 50)
        with pytest.raises(UQHarnessError, match="cache="):
            judge(nobody, tmp_path, cache=str(tmp_path / "text")).prepare()
        with pytest.raises(UQHarnessError, match="the environment variable that api_key_env names is not set"):
            judge(nobody, tmp_path, api_key_env="NO_SUCH_KEY").prepare()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": ""}, "model=''.*chat model that judges"),
        ({"base_url": "nowhere"}, "base_url='nowhere'"),
        ({"retries": -1}, "retries=-1"),
        ({"temperature": "cold"}, "temperature='cold'"),
        ({"cache": 3}, "cache=3"),
        ({"api_key": "sk-secret"}, "did you mean api_key_env"),
        ({"label": "accuracy"}, "label='accuracy'"),
        ({"label": "a,b"}, "label='a,b'"),
        ({"label": "auroc_mine"}, "label='auroc_mine'"),
        ({"label": "bem"}, "another judge's name"),
        ({"questions": 3}, "unknown option"),
    ],
)
def test_bad_options_are_refused(options: dict, words: str) -> None:
    with pytest.raises(UQHarnessError, match=words) as error:
        build_judge({"name": "llm_judge", "model": "m", "base_url": "http://here/v1", **options})
    assert "sk-secret" not in str(error.value)


def test_the_key_is_sent_and_neither_described_nor_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "sk-secret")
    with serving(fair) as server:
        found = judge(server, tmp_path, api_key_env="JUDGE_KEY")
        found.prepare()
        found.score(QUESTIONS, ANSWERS, REFERENCES)
    assert set(server.keys) == {"Bearer sk-secret"}
    described = found.describe()
    assert described["base_url"] == server.url
    assert "sk-secret" not in json.dumps(described) + repr(found)
    assert b"sk-secret" not in (tmp_path / "replies.sqlite").read_bytes()
    assert b"Emma" not in (tmp_path / "replies.sqlite").read_bytes()


@pytest.mark.parametrize(
    "reply", ["Is it yes? No, it is not.</think>Yes.", "<think>No?</think>yes", "a</think>b</think>yes"]
)
def test_thoughts_before_the_verdict_do_not_decide(reply: str, tmp_path: Path) -> None:
    with serving(lambda *_: says(reply)) as server:
        assert judge(server, tmp_path).score(QUESTIONS[:1], ANSWERS[:1], REFERENCES[:1]) == [1.0]


def test_replies_that_were_kept_with_their_thoughts_are_read_without(tmp_path: Path) -> None:
    with serving(lambda *_: says("no")) as server:
        found = judge(server, tmp_path)
        assert found.score(QUESTIONS[:1], ANSWERS[:1], REFERENCES[:1]) == [0.0]
        with sqlite3.connect(tmp_path / "replies.sqlite") as database:
            database.execute("UPDATE replies SET reply = 'no doubt it is right.</think>yes'")
        assert found.score(QUESTIONS[:1], ANSWERS[:1], REFERENCES[:1]) == [1.0]
        assert len(server.bodies) == 1


def test_replies_that_end_while_the_model_thinks_say_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(lambda *_: says("<think>Well", finish_reason="length")) as server:
        assert math.isnan(judge(server, tmp_path).score(QUESTIONS[:1], ANSWERS[:1], REFERENCES[:1])[0])
    assert "1 of 1 new replies ended at the token limit before a yes or no: raise max_tokens" in caplog.text


def wait_for_replies(file: Path, number: int) -> None:
    """Returns when so many replies stand in the file; the one that writes them has done with it then."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.closing(sqlite3.connect(file, timeout=60)) as database:
            if database.execute("SELECT count(*) FROM replies").fetchone()[0] >= number:
                return
        time.sleep(0.01)
    raise AssertionError(f"{file} never held {number} replies")


def spoil(file: Path) -> None:
    file.write_bytes(b"this is not a database, but long enough to be taken for one" * 50)


def test_a_reply_file_that_is_spoilt_half_way_costs_no_verdict(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def behaviour(message: str, number: int) -> Response:
        if number == 1:
            wait_for_replies(tmp_path / "replies.sqlite", 1)  # spoilt while it is written, it may be whole again
            spoil(tmp_path / "replies.sqlite")
        return fair(message, number)

    with serving(behaviour) as server:
        scores = judge(server, tmp_path, concurrency=1).score(QUESTIONS, ANSWERS, REFERENCES)
    assert scores == [1.0, 0.0, 0.0]
    assert caplog.text.count("replies.sqlite") == 1


def test_a_reply_file_that_is_lost_before_the_verdicts_costs_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(fair) as server:
        found = judge(server, tmp_path)
        found.prepare()
        spoil(tmp_path / "replies.sqlite")
        assert found.score(QUESTIONS, ANSWERS, REFERENCES) == [1.0, 0.0, 0.0]
    assert "The run goes on without it" in caplog.text


@pytest.mark.parametrize("file", ["r\0.sqlite", "~nobody-of-this-name/r.sqlite"])
def test_a_reply_file_that_cannot_be_is_found_before_the_first_answer(file: str, tmp_path: Path) -> None:
    with serving(fair) as server, pytest.raises(UQHarnessError, match=r"cannot be used .*cache="):
        judge(server, tmp_path, cache=file).prepare()


class TestRuns:
    """Whole runs of lm_eval."""

    def run(self, folder: Path, judges: list, **options: Any) -> dict:
        metadata = write_questions(folder, demo_questions()[:12]) | {"correctness": judges}
        return evaluate(metadata=metadata, limit=None, model_args={**DEMO, "methods": "g_nll"}, **options)

    def test_two_models_judge_side_by_side(self, tmp_path: Path) -> None:
        with serving(fair) as server:
            shared = {"name": "llm_judge", "base_url": server.url, "cache": str(tmp_path / "replies.sqlite")}
            judges = ["exact_match", {**shared, "model": "m"}, {**shared, "model": "n", "label": "judge_n"}]
            found = self.run(tmp_path, judges)
        results = found["results"]["uq_demo"]
        assert {key.partition(",")[2] for key in results if "," in key} == {"exact_match", "llm_judge", "judge_n"}
        for name in ("llm_judge", "judge_n"):
            assert results[f"{name},{name}"] == results[f"accuracy,{name}"] == results["accuracy,exact_match"]
            assert results[f"{name}_stderr,{name}"] == results["accuracy_stderr,exact_match"]
            assert results[f"auroc_g_nll,{name}"] == results["auroc_g_nll,exact_match"]
            assert results[f"undefined_verdicts,{name}"] == 0
            assert found["higher_is_better"]["uq_demo"][name]
        described = found["configs"]["uq_demo"]["metadata"]["judges"]
        assert [judge.get("label", judge["name"]) for judge in described] == ["exact_match", "llm_judge", "judge_n"]
        assert [judge.get("model") for judge in described] == [None, "m", "n"]
        for sample in found["samples"]["uq_demo"]:
            assert sample["doc"]["uq"]["judge"] == sample["filter"]

    def test_two_judges_of_one_name_need_a_label(self, tmp_path: Path) -> None:
        judge = {"name": "llm_judge", "model": "m", "base_url": "http://here/v1"}
        with pytest.raises(UQHarnessError, match="each once; two of one kind need a label"):
            self.run(tmp_path, [judge, {**judge, "model": "n"}])

    def test_answers_without_a_verdict_are_left_out_and_counted(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        rows = demo_questions()[:12]
        silent = {row["question"] for row in rows[:4]}

        def behaviour(message: str, number: int) -> Response:
            return says("Hm.") if any(question in message for question in silent) else fair(message, number)

        with serving(behaviour) as server:
            options = {"name": "llm_judge", "model": "m", "base_url": server.url, "cache": str(tmp_path / "r.sqlite")}
            found = self.run(tmp_path, [options, "exact_match"])
        results = found["results"]["uq_demo"]
        by_judge: dict[str, list] = {"llm_judge": [], "exact_match": []}
        for sample in found["samples"]["uq_demo"]:
            json.dumps(sample["doc"]["uq"], allow_nan=False)
            by_judge[sample["filter"]].append(sample["doc"]["uq"])
        assert [record["correct"] for record in by_judge["llm_judge"][:4]] == [None] * 4
        assert [record["correctness"] for record in by_judge["llm_judge"][:4]] == [None] * 4
        rest = [record["correct"] for record in by_judge["exact_match"][4:]]
        assert [record["correct"] for record in by_judge["llm_judge"][4:]] == rest
        assert results["undefined_verdicts,llm_judge"] == 4
        assert results["undefined_verdicts,exact_match"] == 0
        assert results["accuracy,llm_judge"] == results["llm_judge,llm_judge"] == pytest.approx(sum(rest) / 8)
        from sklearn.metrics import roc_auc_score

        scores = [record["uncertainty"]["g_nll"] for record in by_judge["exact_match"][4:]]
        expected = roc_auc_score([1 - correct for correct in rest], scores)
        assert results["auroc_g_nll,llm_judge"] == pytest.approx(expected)
        assert "leaves out 4 of 12 answers without a score or a verdict" in caplog.text

    def test_an_unreachable_judge_is_found_before_the_first_answer(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from uq_harness.models import UQHFLM

        monkeypatch.setattr(UQHFLM, "generate_until", lambda *_: pytest.fail("an answer was generated"))
        with serving(lambda *_: fails(401, "who are you?")) as server:
            options = {"name": "llm_judge", "model": "m", "base_url": server.url, "cache": str(tmp_path / "r.sqlite")}
            with pytest.raises(UQHarnessError, match=f"{server.url} refuses access"):
                self.run(tmp_path, [options])
