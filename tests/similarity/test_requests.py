"""From what questions need compared to arrays: pairs, places, one call for all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from tests.similarity.models import save_classifier, save_cross_encoder
from tests.tokenizers import byte_level, sentence_pieces, word_pieces
from uq_harness.functional import token_sar
from uq_harness.similarity.build import build_nli, build_similarity
from uq_harness.similarity.requests import (
    AgainstAnswer,
    AllPairs,
    LikeAnswer,
    TokenRemovals,
    Work,
    entailment,
    similarities,
)
from uq_harness.similarity.services import NLI, Similarity
from uq_harness.similarity.words import WordAlternatives

WORDS = ["<pad>", "</s>", "it", "was", "austen", "not", ""]
SPECIAL = frozenset({0, 1})


def decode(ids: Sequence[int]) -> str:
    return " ".join(WORDS[token] for token in ids if token not in SPECIAL)


@pytest.fixture(scope="module")
def nli(tmp_path_factory: pytest.TempPathFactory) -> NLI:
    return build_nli(save_classifier(tmp_path_factory.mktemp("nli")), device="cpu", cache_size=0)


@pytest.fixture(scope="module")
def similarity(tmp_path_factory: pytest.TempPathFactory) -> Similarity:
    return build_similarity(save_cross_encoder(tmp_path_factory.mktemp("similarity")), device="cpu", cache_size=0)


def test_all_pairs_are_premise_by_hypothesis_behind_the_question(nli: NLI) -> None:
    answers = ("austen", "it was austen", "eliot")
    (found,) = entailment(nli, [{"all": AllPairs("who?", answers)}])
    assert found["all"].shape == (3, 3, 3)
    for i, premise in enumerate(answers):
        for j, hypothesis in enumerate(answers):
            if i != j:
                expected = nli.probabilities([(f"who? {premise}", f"who? {hypothesis}")])[0]
                assert found["all"][i, j] == pytest.approx(expected, abs=1e-6)


def test_an_answer_entails_itself_and_equal_texts_are_asked_about_once(nli: NLI) -> None:
    before = nli.pairs_scored
    (found,) = entailment(nli, [{0: AllPairs("who?", ("austen", "austen", "austen"))}])
    assert nli.pairs_scored == before + 1
    assert found[0][np.arange(3), np.arange(3)].tolist() == [[1, 0, 0]] * 3
    assert found[0][0, 1] == pytest.approx(nli.probabilities([("who? austen", "who? austen")])[0], abs=1e-6)
    assert (found[0][0, 1] == found[0][2, 0]).all()


def test_an_answer_against_samples_goes_both_ways_answer_first(nli: NLI) -> None:
    (found,) = entailment(nli, [{0: AgainstAnswer("who?", "austen", ("eliot", "", "austen"))}])
    assert found[0].shape == (3, 2, 3)
    expected = nli.probabilities([("who? austen", "who? eliot"), ("who? eliot", "who? austen")])
    assert found[0][0] == pytest.approx(expected, abs=1e-6)
    assert (found[0][2, 0] == found[0][2, 1]).all()


def test_a_batch_of_questions_is_one_call_and_does_not_change_results(nli: NLI) -> None:
    batch = [
        {"all": AllPairs("who?", ("austen", "eliot")), "one": AgainstAnswer("who?", "austen", ("eliot", "austen"))},
        {},
        {"one": AgainstAnswer("who?", "austen", ())},
        {"all": AllPairs("who?", ("austen", "eliot", "x " * 30))},
        {"all": AllPairs("where?", ("austen", ""))},
    ]
    before = nli.pairs_scored
    together = entailment(nli, batch)
    # who?: 6 ordered pairs and austen with itself; where?: 2
    assert nli.pairs_scored - before == 9
    assert [set(found) for found in together] == [{"all", "one"}, set(), {"one"}, {"all"}, {"all"}]
    for requests, found in zip(batch, together, strict=True):
        (alone,) = entailment(nli, [requests])
        for key, array in found.items():
            assert array == pytest.approx(alone[key], abs=1e-6)


@pytest.mark.parametrize("answers", [(), ("austen",)])
def test_fewer_than_two_answers_need_no_model(answers: tuple[str, ...]) -> None:
    nli, similarity, n = build_nli("/nowhere"), build_similarity("/nowhere"), len(answers)
    assert entailment(nli, [{0: AllPairs("who?", answers)}])[0][0].shape == (n, n, 3)
    assert similarities(similarity, [{0: AllPairs("who?", answers)}], [])[0][0][0].tolist() == [[1.0]] * n
    assert entailment(nli, [{0: AgainstAnswer("who?", "austen", ())}])[0][0].shape == (0, 2, 3)
    assert entailment(nli, []) == []


def test_similarity_of_all_pairs_keeps_their_order_and_has_a_diagonal_of_ones(similarity: Similarity) -> None:
    answers = ("austen", "it was austen", "eliot")
    (found,), _ = similarities(similarity, [{0: AllPairs("who?", answers)}], [])
    assert np.diag(found[0]).tolist() == [1, 1, 1]
    assert found[0][0, 2] == pytest.approx(similarity.scores([("who? austen", "who? eliot")])[0], abs=1e-6)
    assert abs(found[0][0, 2] - found[0][2, 0]) > 1e-4


def test_samples_resemble_the_answer_by_the_mean_of_both_directions(similarity: Similarity) -> None:
    (found,), _ = similarities(similarity, [{0: LikeAnswer("who?", "austen", ("eliot", "austen", "", "eliot"))}], [])
    there, back = similarity.scores([("who? austen", "who? eliot"), ("who? eliot", "who? austen")])
    assert abs(there - back) > 1e-4
    assert found[0][[0, 3]] == pytest.approx((there + back) / 2, abs=1e-6)
    assert found[0][1] == 1
    assert found[0].shape == (4,)


@pytest.mark.parametrize("answer", ["", "austen"])
def test_equal_texts_are_alike_without_a_model(answer: str) -> None:
    (found,), _ = similarities(build_similarity("/nowhere"), [{0: LikeAnswer("who?", answer, (answer,) * 3)}], [])
    assert found[0].tolist() == [1, 1, 1]
    (none,), _ = similarities(build_similarity("/nowhere"), [{0: LikeAnswer("who?", answer, ())}], [])
    assert none[0].shape == (0,)


def test_relevance_is_what_a_token_takes_away_by_its_position(similarity: Similarity) -> None:
    ids = (3, 2, 3, 4)  # "was" twice
    _, (found,) = similarities(similarity, [{}], [{0: TokenRemovals("who?", (ids,), decode, SPECIAL)}])
    whole = "who? was it was austen"
    parts = ["who? it was austen", "who? was was austen", "who? was it austen", "who? was it was"]
    assert found[0][0] == pytest.approx(1 - similarity.scores([(whole, part) for part in parts]), abs=1e-6)
    assert found[0][0][0] != found[0][0][2]


def without_each(tokenizer: PreTrainedTokenizerBase, text: str) -> dict[str, str]:
    """The text without each of its tokens, by the token's name; the last of those that share one."""
    ids = tuple(tokenizer(text)["input_ids"])
    pairs = TokenRemovals("", (ids,), lambda some: tokenizer.decode(list(some), skip_special_tokens=True)).pairs()
    assert {whole for whole, _ in pairs} == {f" {text}"}
    names = tokenizer.convert_ids_to_tokens(list(ids))
    return {name: shorter.removeprefix(" ") for name, (_, shorter) in zip(names, pairs, strict=True)}


@pytest.mark.parametrize(
    ("tokenizer", "first", "whole_word"),
    [(byte_level(), "ĠK", "by"), (sentence_pieces(), "▁K", "▁by"), (word_pieces(), "K", "by")],
)
def test_the_rest_of_a_word_does_not_join_the_word_before(
    tokenizer: PreTrainedTokenizerBase, first: str, whole_word: str
) -> None:
    found = without_each(tokenizer, "by Kagoshima")
    assert found[first] == "by agoshima"
    assert found[whole_word] == "Kagoshima"


def test_a_word_that_goes_as_a_whole_leaves_no_double_space() -> None:
    assert without_each(byte_level(), "we go by sea")["Ġby"] == "we go sea"
    assert without_each(byte_level(), "go by")["Ġby"] == "go"


def test_the_first_token_of_an_answer_and_tokens_within_words() -> None:
    found = without_each(byte_level(), "xyz a")
    assert found["x"] == "yz a"
    assert found["y"] == "xz a"


@pytest.mark.parametrize("tokenizer", [byte_level(), sentence_pieces()])
def test_a_character_of_several_tokens_goes_as_a_whole(tokenizer: PreTrainedTokenizerBase) -> None:
    text = "by 北京"
    ids = tuple(tokenizer(text)["input_ids"])
    request = TokenRemovals("", (ids,), lambda some: tokenizer.decode(list(some)))
    removed = [shorter.removeprefix(" ") for _, shorter in request.pairs()]
    assert removed[-6:] == ["by 京"] * 3 + ["by 北"] * 3


def test_special_tokens_have_no_relevance_and_cost_nothing() -> None:
    service = build_similarity("lexical")
    _, (found,) = similarities(service, [], [{0: TokenRemovals("who?", ((0, 4, 1), (1,), ()), decode, SPECIAL)}])
    assert [relevance.tolist() for relevance in found[0]] == [[0, pytest.approx(1 / 3), 0], [0], []]
    assert service.pairs_scored == 1


def test_a_one_token_answer_is_compared_with_the_bare_question() -> None:
    request = TokenRemovals("who?", ((4,),), decode, SPECIAL)
    assert request.pairs() == [("who? austen", "who? ")]


def test_relevances_may_all_be_zero() -> None:
    empty = WORDS.index("")
    _, (found,) = similarities(
        build_similarity("lexical"), [], [{0: TokenRemovals("who?", ((empty, empty, 1),), decode, SPECIAL)}]
    )
    assert found[0][0].tolist() == [0, 0, 0]
    assert token_sar([[-1.0, -2.0, -3.0]], found[0]) == pytest.approx(2.0)  # all tokens weigh the same


def test_all_similarities_of_a_batch_are_one_call_with_distinct_pairs_once() -> None:
    service = build_similarity("lexical")
    work: list[Work[int]] = []
    pairwise = {0: AllPairs("who?", ("it was", "was"))}
    removals = {1: TokenRemovals("who?", ((2, 3), (2, 3)), decode)}
    squares, relevances = similarities(service, [pairwise, pairwise], [removals, removals], work.extend)
    # (it was, was) is asked by both; (was, it was) and (it was, it) by one
    assert service.pairs_scored == 3
    assert [one.count for one in work] == [3, 0]  # the second question asks the same
    both, one, other = ("who? it was", "who? was"), ("who? was", "who? it was"), ("who? it was", "who? it")
    assert work[0].pairs == {frozenset([0, 1]): 1, frozenset([0]): 1, frozenset([1]): 1}
    readers = {frozenset([0, 1]): both, frozenset([0]): one, frozenset([1]): other}
    assert work[0].characters == {keys: sum(map(len, pair)) for keys, pair in readers.items()}
    assert squares[0][0][0, 1] == 1 - relevances[1][1][0][0]


@given(st.lists(st.lists(st.text("ab ", max_size=4), max_size=4), max_size=4))
def test_every_array_is_at_its_place(batch: list[list[str]]) -> None:
    requests = [{0: AllPairs("q", tuple(answers))} for answers in batch]
    found = entailment(build_nli("lexical"), requests)
    for answers, arrays in zip(batch, found, strict=True):
        words = [[word for word in answer.split() if word != "a"] for answer in answers]
        assert arrays[0][..., 0].tolist() == [[float(a == b) for b in words] for a in words]


def test_a_long_answer_does_not_change_the_relevances_of_a_short_one(similarity: Similarity) -> None:
    long, short = tuple([2, 3, 4] * 50), (4,)
    _, together = similarities(similarity, [], [{0: TokenRemovals("who?", (long, short), decode, SPECIAL)}])
    _, alone = similarities(similarity, [], [{0: TokenRemovals("who?", (short,), decode, SPECIAL)}])
    assert len(together[0][0][0]) == 150
    assert (together[0][0][0] > 0).all()  # to the very end
    assert together[0][0][1] == pytest.approx(alone[0][0][0], abs=1e-6)


def test_alternatives_are_compared_both_ways_without_the_question(nli: NLI) -> None:
    request = WordAlternatives((("austen", "eliot", "austen"), ("it", "was", "not")))
    (found,) = entailment(nli, [{"words": request}])
    assert found["words"].shape == (2, 3, 2, 3)
    for token, (own, *others) in enumerate(request.words):
        for place, other in enumerate(others, 1):
            if own != other:
                expected = nli.probabilities([(own, other), (other, own)])
                assert found["words"][token, place] == pytest.approx(expected, abs=1e-6)
    assert found["words"][0, 2].tolist() == [[1, 0, 0]] * 2


def test_words_that_say_nothing_are_neutral_and_not_asked_about(nli: NLI) -> None:
    before = nli.pairs_scored
    request = WordAlternatives((("", "", "austen"), ("austen", "", "\ufffd"), ("\ufffd", "\ufffd", "x")))
    (found,) = entailment(nli, [{"words": request}])
    assert nli.pairs_scored == before
    labels = found["words"].argmax(axis=-1)[:, 1:]  # 0 is entailment, 1 neutral
    assert labels.tolist() == [[[0, 0], [1, 1]], [[1, 1], [1, 1]], [[1, 1], [1, 1]]]


def test_a_word_pair_goes_through_the_model_once_whatever_the_question(tmp_path: Path) -> None:
    service = build_nli(save_classifier(tmp_path), device="cpu")
    again = [{"words": WordAlternatives((("it", "was"), ("was", "it"), ("it", "was")))}] * 2
    counted: list[Work[str]] = []
    entailment(service, again, counted.extend)
    entailment(service, again, counted.extend)
    assert service.pairs_scored == 2
    assert [one.count for one in counted] == [2, 0, 0, 0]


def test_an_answer_without_tokens_has_no_alternatives(nli: NLI) -> None:
    (found,) = entailment(nli, [{"words": WordAlternatives(())}])
    assert found["words"].shape == (0, 0, 2, 3)
