"""What is asked for, and how replies of all kinds are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uq_harness.endpoints.chat import Reply
from uq_harness.functional.text import normalize_answer
from uq_harness.studies.paraphrase.prompt import further, prompt, read_reply


def test_the_request_names_number_question_and_what_is_taken() -> None:
    text = prompt("Who wrote {it}?", 3, ["Who was it written by?"])
    assert "list of 3 questions" in text
    assert "Question: Who wrote {it}?\n" in text
    assert "taken:\n- Who was it written by?\n" in text
    assert "taken" not in prompt("Who?", 3, [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. Who is it?\n2. Who may it be?", ["Who is it?", "Who may it be?"]),
        ("Here you are:\n\n1) Who is it?\n2) Who may it be?\n\nAnything else?", ["Who is it?", "Who may it be?"]),
        ("Rephrase 1: Who is it?\nParaphrase 2: Who may it be?", ["Who is it?", "Who may it be?"]),
        ("**1.** Who is it?\n(2) Who may it be?", ["Who is it?", "Who may it be?"]),
        ("- Who is it?\n* Who may it be?\nThat is all.", ["Who is it?", "Who may it be?"]),
        ("Who is it?\n\n  Who may it be?  ", ["Who is it?", "Who may it be?"]),
        ('1. "Who is it?"\n2. **Who may it be?**', ["Who is it?", "Who may it be?"]),
        ('1. Who said "To be"?\n2. "To be" was said by "whom"', ['Who said "To be"?', '"To be" was said by "whom"']),
        ("1. Who ruled in 1984?\n1984 was ruled by whom?", ["Who ruled in 1984?"]),
        ("", []),
        ("\n \n", []),
    ],
)
def test_a_reply_is_read(text: str, expected: list[str]) -> None:
    assert read_reply(Reply(text, cut=False)) == expected


def test_a_line_that_was_cut_is_left_out() -> None:
    assert read_reply(Reply("1. Who is it?\n2. Who m", cut=True)) == ["Who is it?"]
    assert read_reply(Reply("Who m", cut=True)) == []


@given(st.text(), st.lists(st.text(max_size=8), max_size=4), st.lists(st.text(max_size=8), max_size=8))
def test_what_is_new_is_distinct_and_never_the_question(question: str, taken: list[str], candidates: list[str]) -> None:
    found = further(question, taken, candidates)
    keys = [normalize_answer(text) for text in found]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & {normalize_answer(text) for text in (question, *taken, "")}
    assert {normalize_answer(text) for text in candidates} <= {
        normalize_answer(t) for t in (question, *taken, *found, "")
    }
