"""What a file of saved answers may look like, and the messages about one that looks otherwise."""

import json
import math
from pathlib import Path
from typing import ClassVar

import pytest

from uq_harness.backends.saved.read import SavedTokens, read_saved
from uq_harness.errors import UQHarnessError

GOOD = {"question": "Who wrote Emma?", "answers": ["Jane Austen", " "], "answer": "Austen"}
TOKENS = {**GOOD, "prompt_token_ids": [4, 5, 6], "token_ids": [7, 8]}


def written(folder: Path, *rows: object) -> Path:
    file = folder / "saved.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return file


def test_a_line_holds_what_its_writer_has(tmp_path: Path) -> None:
    row = {
        **GOOD,
        "token_logprobs": [-0.5, None],
        "token_entropies": [0.1, 0.2],
        "samples": ["Eliot", {"text": "Austen", "token_logprobs": [-1.0], "tokens": ["Austen"]}],
        "uncertainty": {"mine": 0.5, "other": None},
        "id": 7,
    }
    (saved,) = read_saved(written(tmp_path, row)).answers
    assert saved.references == ("Jane Austen",)
    assert saved.logprobs is not None
    assert saved.logprobs[0] == -0.5
    assert math.isnan(saved.logprobs[1])
    assert [sample.text for sample in saved.sets[0].samples] == ["Eliot", "Austen"]
    assert saved.sets[0].samples[0].logprobs is None
    assert saved.sets[0].samples[1].tokens == ("Austen",)
    assert saved.uncertainty["mine"] == 0.5
    assert math.isnan(saved.uncertainty["other"])
    assert saved.prompt == saved.question


def test_sets_say_how_they_were_drawn(tmp_path: Path) -> None:
    row = {**GOOD, "sample_sets": [{"temperature": 0.7, "samples": ["a"]}, {"samples": ["b"]}]}
    warm, unknown = read_saved(written(tmp_path, row)).answers[0].sets
    assert warm.conditions == {"temperature": 0.7}
    assert not unknown.conditions


def test_tokens_are_read_where_they_are(tmp_path: Path) -> None:
    sample = {"text": "a", "token_ids": [1], "emitted_ids": [1, 3], "complete": False}
    row = {
        **TOKENS,
        "emitted_ids": [9, 7, 8],
        "message": "Who?",
        "semantic_token": {"position": -3, "text": "<x>"},
        "sample_sets": [{"groups": 1, "penalty": 0.5, "samples": [sample]}],
    }
    (saved,) = read_saved(written(tmp_path, row)).answers
    assert saved.tokens == SavedTokens((4, 5, 6), (7, 8), (9, 7, 8), "Who?", -3, "<x>")
    assert saved.sets[0].conditions == {"groups": 1, "penalty": 0.5}
    (read,) = saved.sets[0].samples
    assert (read.token_ids, read.emitted_ids, read.complete) == ((1,), (1, 3), False)
    assert {name: saved.record[name] for name in row if name in saved.record} == {
        name: row[name]
        for name in ("prompt_token_ids", "token_ids", "emitted_ids", "message", "semantic_token", "sample_sets")
    }


def test_a_line_without_the_tokens_of_its_prompt_is_read_as_before(tmp_path: Path) -> None:
    """Fields of a user's own that happen to have our names are no concern of ours then."""
    row = {**GOOD, "message": {"role": "user"}, "semantic_token": "last", "token_ids": [7, 8]}
    (saved,) = read_saved(written(tmp_path, row)).answers
    assert saved.tokens is None
    assert saved.record == {"token_ids": [7, 8]}


def test_the_first_sample_may_be_the_answer_and_is_no_sample_then(tmp_path: Path) -> None:
    row = {"question": "Who?", "answers": ["A"], "samples": [{"text": "A", "token_logprobs": [-1]}, "B"]}
    (saved,) = read_saved(written(tmp_path, row), first_sample_answers=True).answers
    assert saved.answer == "A"
    assert saved.logprobs is not None
    assert [sample.text for sample in saved.sets[0].samples] == ["B"]


def test_an_answer_of_its_own_comes_before_the_first_sample(tmp_path: Path) -> None:
    (saved,) = read_saved(written(tmp_path, {**GOOD, "samples": ["Eliot"]}), first_sample_answers=True).answers
    assert saved.answer == "Austen"
    assert len(saved.sets[0].samples) == 1


def test_texts_are_left_as_they_are(tmp_path: Path) -> None:
    text = '<b onload="x">\x1b[31m| \u202etxet'
    (saved,) = read_saved(written(tmp_path, {**GOOD, "answer": text, "samples": [text]})).answers
    assert saved.answer == saved.sets[0].samples[0].text == text


def test_a_field_that_resembles_a_known_one_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_saved(written(tmp_path, {**GOOD, "token_logprob": [-1.0], "id": 3}))
    assert "'token_logprob' is not read: is token_logprobs meant?" in caplog.text
    assert "'id'" not in caplog.text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"line 2: not valid JSON"),
        ([1], r"line 2: a JSON list"),
        ({"answers": ["a"]}, r"line 2: the field 'question' is missing"),
        ({**GOOD, "answers": []}, r"line 2: .* no reference answer"),
        ({**GOOD, "answers": "a"}, r"line 2: the answers are 'a'"),
        ({**GOOD, "answer": None}, r"line 2: the answer is None.*--first_sample_answers"),
        ({**GOOD, "answer": 3}, r"line 2: the answer is 3"),
        ({**GOOD, "answer": "\ud800"}, r"line 2: .*surrogate"),
        ({**GOOD, "token_logprobs": [0.9]}, r"line 2: token_logprobs holds 0\.9, .* logarithm of probabilities"),
        ({**GOOD, "token_logprobs": "-1"}, r"line 2: token_logprobs is '-1': .* list of numbers"),
        ({**GOOD, "token_logprobs": [-1], "token_entropies": [1, 2]}, r"line 2: 1 token_logprobs, 2 token_entropies"),
        ({**GOOD, "samples": "Austen"}, r"line 2: the samples are 'Austen'"),
        ({**GOOD, "samples": ["a", 3]}, r"line 2, sample 2: 3 is neither a text nor"),
        ({**GOOD, "samples": [{"text": "a", "tokens": ["a"], "token_logprobs": [-1, -2]}]}, r"sample 1: 2 token_logp"),
        ({**GOOD, "samples": [], "sample_sets": []}, r"line 2: samples and sample_sets"),
        ({**GOOD, "sample_sets": [{"temperature": 1}]}, r"line 2: sample_sets needs objects"),
        ({**GOOD, "sample_sets": [{"samples": [], "temp": 1}]}, r"line 2: a set of samples has no 'temp'"),
        ({**GOOD, "sample_sets": [{"samples": [], "temperature": "hot"}]}, r"line 2: temperature is 'hot'"),
        ({**GOOD, "uncertainty": [0.5]}, r"line 2: uncertainty is \[0\.5\]"),
        ({**GOOD, "token_ids": [1.5]}, r"line 2: token_ids is \[1\.5\]: .* whole and from 0 on"),
        ({**GOOD, "token_ids": [1, 2], "token_logprobs": [-1]}, r"line 2: 2 token_ids, 1 token_logprobs"),
        ({**TOKENS, "prompt_token_ids": [-1]}, r"line 2: prompt_token_ids is \[-1\]"),
        ({**TOKENS, "prompt_token_ids": []}, r"line 2: prompt_token_ids is empty"),
        ({**TOKENS, "emitted_ids": [7, 9, 8]}, r"line 2: the token_ids \[7, 8\] do not stand side by side"),
        ({**TOKENS, "emitted_ids": "7"}, r"line 2: emitted_ids is '7'"),
        ({**TOKENS, "message": 3}, r"line 2: the message is 3"),
        ({**TOKENS, "semantic_token": {"position": -4, "text": "x"}}, r"line 2: semantic_token is .* from -3 to -1"),
        ({**TOKENS, "semantic_token": {"position": -1}}, r"line 2: semantic_token is"),
        ({**GOOD, "samples": [{"text": "a", "token_ids": [True]}]}, r"line 2, sample 1: token_ids is \[True\]"),
        ({**GOOD, "samples": [{"text": "a", "complete": 1}]}, r"line 2, sample 1: complete is 1"),
        ({**GOOD, "samples": [{"text": "a", "token_ids": [1], "emitted_ids": [2]}]}, r"sample 1: the token_ids \[1\]"),
        ({**GOOD, "samples": [{"text": "a", "token_ids": [1, 2], "token_logprobs": [-1]}]}, r"sample 1: 2 token_ids"),
        ({**GOOD, "sample_sets": [{"samples": [], "groups": 2}]}, r"line 2: a set of a diverse .* groups, penalty"),
        ({**GOOD, "sample_sets": [{"samples": [], "groups": 2, "penalty": 1, "top_k": 3}]}, r"line 2: .* no 'top_k'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, row: object, message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        read_saved(written(tmp_path, GOOD, row))


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file(tmp_path: Path, content: str) -> None:
    with pytest.raises(UQHarnessError, match=r"saved\.jsonl' holds no answer"):
        read_saved(written(tmp_path, content))


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match="does not exist"):
        read_saved(tmp_path / "nowhere.jsonl")


class TestLogsOfLmEval:
    LINE: ClassVar[dict] = {
        "doc_id": 0,
        "doc": {"question": "Who wrote Emma?", "answers": ["Jane Austen"]},
        "arguments": {"gen_args_0": {"arg_0": "<user>Who wrote Emma?", "arg_1": {}}},
        "filtered_resps": ["Austen"],
        "filter": "bem",
    }

    def test_of_a_model_without_records(self, tmp_path: Path) -> None:
        (saved,) = read_saved(written(tmp_path, self.LINE)).answers
        assert (saved.answer, saved.prompt, saved.uncertainty) == ("Austen", "<user>Who wrote Emma?", {})

    def test_the_record_comes_before_what_filters_returned(self, tmp_path: Path) -> None:
        record = {"answer": "Jane", "uncertainty": {"g_nll": 1.5}, "judge": "bem", "correct": 0, "answer_tokens": 3}
        (saved,) = read_saved(written(tmp_path, {**self.LINE, "doc": {**self.LINE["doc"], "uq": record}})).answers
        assert (saved.answer, saved.uncertainty) == ("Jane", {"g_nll": 1.5})
        assert saved.record == {"answer_tokens": 3}

    def test_several_judges_are_one_answer_each(self, tmp_path: Path) -> None:
        assert len(read_saved(written(tmp_path, self.LINE, {**self.LINE, "filter": "f1"})).answers) == 1

    def test_of_another_task_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UQHarnessError, match="line 1: the field 'question' is missing"):
            read_saved(written(tmp_path, {**self.LINE, "doc": {"text": "x"}}))
