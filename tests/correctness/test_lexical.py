"""Judges that compare words."""

import itertools
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import SHARED, requires_shared
from uq_harness.correctness.base import build_judge
from uq_harness.errors import UQHarnessError
from uq_harness.functional.text import normalize_answer, token_f1, tokens

LEXICAL = ["exact_match", "f1", "rouge_l", "token_recall"]
ENGLISH = [
    "Paris",
    "the city of Paris",
    "It is Paris, the capital of France.",
    "of Paris the city",
    "well-known_thing 2.5 km",
    "Paris Paris",
]


# As the judges are described in the papers: every word counts, and a half is enough.
ALL_WORDS = {
    "exact_match": {},
    "f1": {"question_words": "count"},
    "rouge_l": {"question_words": "count"},
    "token_recall": {"question_words": "count", "strict": False},
}


def score(name, answer, *references, question="?"):
    return build_judge(name).score([question], [answer], [references])[0]


def all_words(name):
    return build_judge({"name": name, **ALL_WORDS[name]})


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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rubik's Cube", "Rubik\u2019s Cube"),
        ("Rubik's Cube", "Rubik\u00b4s Cube"),
        ("Hawai'i", "Hawai\u02bbi"),
        ("Beyonc\u00e9", "Beyonce\u0301"),
        ("1914-1918", "1914\u20131918"),
        ("-5", "\u22125"),
        ("El Ni\u00f1o", "\u201cEl Ni\u00f1o\u201d"),
        ("\u5317\u4eac", "\u5317\u4eac\u3002"),
        ("Stra\u00dfe", "STRASSE"),
        ("\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", "\u03a3\u038a\u03a3\u03a5\u03a6\u039f\u03a3"),
        ("ABC 12", "\uff21\uff22\uff23\u3000\uff11\uff12"),
        ("1/2", "\u00bd"),
        ("coopera\u00adtion", "cooperation"),
        ("hello", "\ufeffhe\u200bllo"),
        ("office", "o\ufb03ce"),
        ("\u2764", "\u2764\ufe0f"),
        ("\u00bfQui\u00e9n?", "qui\u00e9n"),
    ],
)
def test_variants_of_a_character_are_equal(one, other):
    assert normalize_answer(one) == normalize_answer(other) != ""


@pytest.mark.parametrize(
    ("question", "reference", "answer"),
    [
        ("Toy?", "Rubik's Cube", "Rubik\u2019s Cube"),
        ("Singer?", "Beyonc\u00e9", "Beyonce\u0301"),
        ("Years?", "1914-1918", "1914\u20131918"),
        ("Wind?", "El Ni\u00f1o", "\u201cEl Ni\u00f1o\u201d"),
        ("City?", "\u5317\u4eac", "\u5317\u4eac\u3002"),
    ],
)
@pytest.mark.parametrize("name", LEXICAL)
def test_typographic_variants_of_a_right_answer_are_right(name, question, reference, answer):
    judge = build_judge(name)
    assert judge.score([question], [answer], [[reference]]) == [1]


@pytest.mark.parametrize("text", ["Paris\u2014the capital", "Paris \u2014 the capital", "Paris\u3002 capital"])
def test_dashes_and_full_stops_without_spaces_separate_words(text):
    assert tokens(text) == ["paris", "capital"]


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_texts_are_normalised_as_squads_script_does(text):
    import re
    import string

    bare = "".join(character for character in text.lower() if character not in set(string.punctuation))
    assert normalize_answer(text) == " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


@given(st.text())
def test_compositions_of_a_text_are_equal(text):
    forms = {normalize_answer(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {normalize_answer(text)}


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
    text = (SHARED / "data" / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.rstrip("\n").split("\n")]


RESTATES = {
    "question": "Where did fortune cookies originate?",
    "reference": "Fortune cookies originated in California",
}


@pytest.mark.parametrize(
    ("name", "counted", "ignored"),
    [
        ("f1", 2 * 3 / 9, 2 * 1 / 5),  # fortune cookies in; only "in" was not asked
        ("rouge_l", 2 * 3 / 9, 2 * 1 / 5),
        ("token_recall", 3 / 5, 1 / 3),
    ],
)
def test_the_questions_words_do_not_count_unless_one_asks_for_it(name, counted, ignored):
    arguments = [RESTATES["question"]], ["Fortune cookies come in"], [[RESTATES["reference"]]]
    answers = {"count": counted, "ignore": ignored}
    for question_words, expected in answers.items():
        judge = build_judge({"name": name, "question_words": question_words})
        assert judge.score(*arguments) == [pytest.approx(expected, abs=1e-12)]
    assert build_judge(name).score(*arguments) == [pytest.approx(ignored, abs=1e-12)]


@pytest.mark.parametrize("name", LEXICAL)
def test_the_question_repeated_is_no_answer(name):
    judge = build_judge(name)
    question = RESTATES["question"]
    assert not judge.correct(score(name, question, RESTATES["reference"], question=question))


@pytest.mark.parametrize("name", [*LEXICAL])
def test_a_reference_that_is_in_the_question_is_compared_whole(name):
    question = "Which is larger, the sun or the moon?"
    assert score(name, "the sun", "the sun", question=question) == 1
    assert score(name, "the moon", "the sun", question=question) < 0.6  # ROUGE-L counts articles


def test_a_reference_of_which_only_articles_are_left_is_compared_whole():
    question = "Which is larger, sun or moon?"
    assert score("rouge_l", "the moon", "the sun", question=question) == pytest.approx(0.5)


def test_a_full_answer_is_not_punished_for_restating_the_question():
    question = "Which city is the capital of France?"
    assert score("f1", "The capital of France is Paris.", "Paris", question=question) == 1


def test_exact_match_counts_all_words_unless_one_asks_for_less():
    question, answer, reference = "Did it rain?", "No, it did not rain", "No, not"
    assert score("exact_match", answer, reference, question=question) == 0
    less = build_judge({"name": "exact_match", "question_words": "ignore"})
    assert less.score([question], [answer], [[reference]]) == [1]


def test_token_recall_wants_more_than_half_unless_one_asks_for_less():
    judge, lenient = build_judge("token_recall"), build_judge({"name": "token_recall", "strict": False})
    assert [judge.correct(value) for value in (0.49, 0.5, 0.51)] == [False, False, True]
    assert [lenient.correct(value) for value in (0.49, 0.5, 0.51)] == [False, True, True]
    assert not judge.correct(float("nan"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "f1", "question_words": "skip"}, "question_words='skip' is not allowed, use ignore or count"),
        ({"name": "f1", "question_words": True}, "question_words=True"),
        ({"name": "token_recall", "strict": "no"}, "strict='no' is not allowed, use true or false"),
        ({"name": "token_recall", "threshold": 1}, "threshold=1 is not allowed, use a number below 1"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(UQHarnessError, match=words):
        build_judge(options)


def test_the_description_says_whether_the_questions_words_count():
    assert build_judge("f1").describe() == {"name": "f1", "threshold": 0.5, "question_words": "ignore"}
    assert build_judge("token_recall").describe()["strict"]
    assert build_judge("exact_match").describe()["question_words"] == "count"


def human_verdicts():
    questions = {row["id"]: row for row in read("triviaqa/questions.jsonl")}
    verdicts = read("triviaqa/human_judgements.jsonl")
    asked = [questions[row["id"]] for row in verdicts]
    human = [row["human_correct"] for row in verdicts]
    arguments = (
        [row["question"] for row in asked],
        [row["candidate"] for row in verdicts],
        [row["answers"] for row in asked],
    )
    assert len(human) == 9690
    return human, arguments


@requires_shared
@pytest.mark.parametrize(
    ("judge", "auroc", "accuracy", "balanced", "wrong_called_right"),
    [
        (all_words("exact_match"), 0.624, 0.363, 0.624, 0.001),
        (all_words("f1"), 0.907, 0.432, 0.654, 0.028),
        (all_words("rouge_l"), 0.882, 0.417, 0.646, 0.025),
        (all_words("token_recall"), 0.968, 0.940, 0.902, 0.154),
        (build_judge("f1"), 0.948, 0.719, 0.821, 0.033),
        (build_judge("rouge_l"), 0.941, 0.708, 0.814, 0.035),
        (build_judge("token_recall"), 0.969, 0.936, 0.946, 0.040),
    ],
)
def test_agreement_with_people(judge, auroc, accuracy, balanced, wrong_called_right):
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score, roc_auc_score

    human, arguments = human_verdicts()
    scores = judge.score(*arguments)
    verdicts = [judge.correct(value) for value in scores]
    assert round(roc_auc_score(human, scores), 3) == auroc
    assert round(accuracy_score(human, verdicts), 3) == accuracy
    assert round(balanced_accuracy_score(human, verdicts), 3) == balanced
    assert round(1 - recall_score(human, verdicts, pos_label=False), 3) == wrong_called_right


@requires_shared
@pytest.mark.parametrize("data", ["sciq", "truthfulqa", "triviaqa"])
@pytest.mark.parametrize("name", LEXICAL)
def test_few_questions_are_taken_for_an_answer_to_themselves(name, data):
    rows = read(f"{data}/questions.jsonl")
    questions = [row["question"] for row in rows]
    judge = build_judge(name)
    scores = judge.score(questions, questions, [row["answers"] for row in rows])
    assert sum(map(judge.correct, scores)) < 0.06 * len(rows)
