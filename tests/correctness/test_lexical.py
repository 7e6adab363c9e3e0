"""Judges that compare words."""

import itertools
import json

import pytest

from tests.support import SHARED, requires_shared
from uq_harness.correctness import build_judge
from uq_harness.errors import UQHarnessError
from uq_harness.text import normalize_answer, token_f1, tokens

LEXICAL = ["exact_match", "f1", "rouge_l", "token_recall"]
ENGLISH = [
    "Paris",
    "the city of Paris",
    "It is Paris, the capital of France.",
    "of Paris the city",
    "well-known_thing 2.5 km",
    "Paris Paris",
]


def score(name, answer, *references):
    return build_judge(name).score(["?"], [answer], [references])[0]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The  Eiffel Tower!", "eiffel tower"),
        ("an apple a day", "apple day"),
        ("theatre", "theatre"),
        ("AT&T, U.S.", "att us"),
        ("北京市", "北京市"),
        ("Москва", "москва"),
        ("the", ""),
    ],
)
def test_normalisation(text, normal):
    assert normalize_answer(text) == normal
    assert tokens(text) == normal.split()


def test_token_f1_of_texts_without_words():
    assert token_f1("the", "!") == 1
    assert token_f1("", "Paris") == 0


@pytest.mark.parametrize(
    ("name", "answer", "reference", "expected"),
    [
        ("exact_match", "the Paris!", "paris", 1),
        ("exact_match", "in Paris", "Paris", 0),
        ("f1", "in Paris", "Paris", 2 / 3),
        ("f1", "Paris Paris", "Paris", 2 / 3),
        ("token_recall", "It was in Paris, of course.", "Paris", 1),
        ("token_recall", "Paris", "Paris Hilton", 0.5),
        ("token_recall", "Paris", "Paris Paris", 0.5),
        ("rouge_l", "in Paris", "Paris", 2 / 3),
        ("rouge_l", "b a c", "a b c", 2 / 3),
    ],
)
def test_scores_by_hand(name, answer, reference, expected):
    assert score(name, answer, reference) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", LEXICAL)
def test_the_best_reference_counts(name):
    assert score(name, "Paris", "London", "Paris", "Rome") == 1
    assert score(name, "Paris", "London", "Rome") == 0


@pytest.mark.parametrize("name", LEXICAL)
def test_references_of_different_questions_are_kept_apart(name):
    judge = build_judge(name)
    assert judge.score(["?"] * 3, ["a1", "b2", "c3"], [["a1", "x"], ["c3"], ["x", "y", "c3"]]) == [1, 0, 1]


@pytest.mark.parametrize("name", LEXICAL)
@pytest.mark.parametrize("text", ["北京市", "Москва", "القاهرة", "दिल्ली", "กรุงเทพ"])
def test_scripts_other_than_latin_are_compared(name, text):
    assert score(name, text, text) == 1
    assert score(name, "東京", text) == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [(name, text) for name in LEXICAL for text in ("The The", "A", "?") if name != "rouge_l" or text == "?"],
)
def test_a_text_without_words_equals_only_itself(name, text):
    assert score(name, text.lower() + " ", text) == 1
    assert [score(name, answer, text) for answer in ("", "the", "!", "The The band")] == [0, 0, 0, 0]


def test_rouge_l_keeps_articles_as_rouge_score_does():
    assert score("rouge_l", "the", "The The") == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", LEXICAL)
def test_blank_references_are_passed_over(name):
    assert score(name, "", " ", "Paris") == 0
    with pytest.raises(UQHarnessError, match=r"no reference answer for the question '\?'"):
        score(name, "Paris", " ", "")


def test_references_must_be_lists_and_as_many_as_questions():
    judge = build_judge("f1")
    with pytest.raises(UQHarnessError, match="list of texts"):
        judge.score(["?"], ["Paris"], ["Paris"])
    with pytest.raises(UQHarnessError, match="2 questions, 1 answers"):
        judge.score(["?", "?"], ["Paris"], [["Paris"], ["Rome"]])


def test_no_questions_give_no_scores():
    assert [build_judge(name).score([], [], []) for name in LEXICAL] == [[], [], [], []]


def test_rouge_l_is_rouge_scores_on_english_text():
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    for answer, reference in itertools.product(ENGLISH, ENGLISH):
        expected = scorer.score(reference, answer)["rougeL"].fmeasure
        assert score("rouge_l", answer, reference) == pytest.approx(expected, abs=1e-12)


def read(name):
    text = (SHARED / "data" / "triviaqa" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.rstrip("\n").split("\n")]


@requires_shared
@pytest.mark.parametrize(
    ("name", "auroc", "accuracy"),
    [
        ("exact_match", 0.624, 0.363),
        ("f1", 0.905, 0.431),
        ("rouge_l", 0.882, 0.417),
        ("token_recall", 0.966, 0.936),
    ],
)
def test_agreement_with_people(name, auroc, accuracy):
    from sklearn.metrics import roc_auc_score

    questions = {row["id"]: row for row in read("questions.jsonl")}
    verdicts = read("human_judgements.jsonl")
    human = [row["human_correct"] for row in verdicts]
    judge = build_judge(name)
    scores = judge.score(
        [questions[row["id"]]["question"] for row in verdicts],
        [row["candidate"] for row in verdicts],
        [questions[row["id"]]["answers"] for row in verdicts],
    )
    assert len(scores) == 9690
    assert round(roc_auc_score(human, scores), 3) == auroc
    agree = [judge.correct(value) == verdict for value, verdict in zip(scores, human, strict=True)]
    assert round(sum(agree) / len(agree), 3) == accuracy
