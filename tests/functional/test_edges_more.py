"""Edge cases of the scores that other toolkits offer too: nan where nothing is scored, ties, wrong input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uq_harness import functional
from uq_harness.errors import UQHarnessError

NAN, INF = math.nan, math.inf
ALIKE, APART = np.ones((5, 5)), np.eye(5)
ENTAILED, CONTRADICTED = (
    {"contradiction": np.zeros((5, 5)), "entailment": np.ones((5, 5))},
    {
        "contradiction": np.ones((5, 5)),
        "entailment": np.zeros((5, 5)),
    },
)
PAIR_OF_NAN = np.array([[1.0, NAN], [NAN, 1.0]])


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        # no tokens, no samples
        ("perplexity", [[]], NAN),
        ("mean_token_entropy", [[]], NAN),
        ("max_token_entropy", [[]], NAN),
        ("max_token_nll", [[]], NAN),
        ("eigenvalue_laplacian", [[]], NAN),
        ("eccentricity", [[]], NAN),
        ("kernel_language_entropy", [[]], NAN),
        ("luq", [[], []], NAN),
        ("num_semantic_sets", [[], []], NAN),
        ("lexical_similarity", [[]], NAN),
        ("noncontradiction", [[]], NAN),
        ("answer_entailment", [[]], NAN),
        ("predictive_entropy", [[]], NAN),
        ("monte_carlo_probability", [[]], NAN),
        ("label_prob", [[]], NAN),
        ("exact_match", ["a", []], NAN),
        # one sample
        ("eigenvalue_laplacian", [[[1.0]]], 1.0),
        ("num_semantic_sets", [[[0.0]], [[1.0]]], 1.0),
        ("eccentricity", [[[1.0]]], 0.0),
        ("kernel_language_entropy", [[[2.0]]], 0.0),
        ("label_prob", [[7]], 0.0),
        ("luq", [[[0.0]], [[1.0]]], NAN),
        ("lexical_similarity", [["Rome"]], NAN),
        ("noncontradiction", [[[0.5, 0.25]]], 0.375),
        ("predictive_entropy", [[[-0.5, -0.25]]], 0.75),
        # all alike
        ("eigenvalue_laplacian", [ALIKE], 1.0),
        ("eccentricity", [ALIKE], 0.0),
        ("lexical_similarity", [["Rome"] * 3], 0.0),
        ("num_semantic_sets", list(ENTAILED.values()), 1.0),
        ("luq", list(ENTAILED.values()), 0.0),
        ("label_prob", [[2, 2, 2]], 0.0),
        # all different
        ("eigenvalue_laplacian", [APART], 5.0),
        ("eccentricity", [APART], 2.0),
        ("num_semantic_sets", list(CONTRADICTED.values()), 5.0),
        ("luq", list(CONTRADICTED.values()), 1.0),
        ("kernel_language_entropy", [2 * APART], 1.0),
        ("lexical_similarity", [["Rome", "Paris", "Bern"]], 1.0),
        # neutral pairs support neither side
        ("luq", [np.zeros((3, 3)), np.eye(3)], 0.5),
        ("num_semantic_sets", [np.zeros((3, 3)), np.zeros((3, 3))], 3.0),
        # a sample without tokens
        ("predictive_entropy", [[[-0.5], []]], NAN),
        ("monte_carlo_probability", [[[-0.5], []]], NAN),
        # nan among inputs
        ("perplexity", [[-0.5, NAN]], NAN),
        ("max_token_nll", [[NAN, -0.5]], NAN),
        ("mean_token_entropy", [[0.5, NAN]], NAN),
        ("max_token_entropy", [[NAN, 0.5]], NAN),
        ("eigenvalue_laplacian", [PAIR_OF_NAN], NAN),
        ("eccentricity", [PAIR_OF_NAN], NAN),
        ("kernel_language_entropy", [PAIR_OF_NAN], NAN),
        ("luq", [PAIR_OF_NAN, np.eye(2)], NAN),
        ("num_semantic_sets", [np.zeros((2, 2)), PAIR_OF_NAN], NAN),
        ("noncontradiction", [[[0.5, NAN]]], NAN),
        ("answer_entailment", [[[0.5, NAN]]], NAN),
        ("predictive_entropy", [[[-0.5, NAN]]], NAN),
        # probability 0
        ("perplexity", [[-INF, -0.5]], INF),
        ("max_token_nll", [[-INF, -0.5]], INF),
        ("predictive_entropy", [[[-INF], [-0.5]]], INF),
        ("monte_carlo_probability", [[[-INF], [0.0]]], 0.5),
        # texts
        ("lexical_similarity", [["", ""]], 0.0),
        ("lexical_similarity", [["?!", "?!"]], 0.0),
        ("lexical_similarity", [["?", "!"]], 1.0),
        ("lexical_similarity", [["北京市", "北京"]], 0.2),
        ("lexical_similarity", [["в Москве", "Москва"]], 1.0),
        ("lexical_similarity", [["naïve answer", "nai\u0308ve answers"]], 0.0),
        ("lexical_similarity", [["कौन है", "कौन था"]], 0.5),
        ("exact_match", ["", ["", "x"]], 0.5),
    ],
)
def test_the_table(name: str, arguments: list, expected: float) -> None:
    assert getattr(functional, name)(*arguments) == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("perplexity", [[0.5]], "a log-probability is at most 0"),
        ("max_token_entropy", [[-0.5]], "an entropy is at least 0"),
        ("eigenvalue_laplacian", [[[1.0, 1.5], [1.5, 1.0]]], "must be between 0 and 1"),
        ("eigenvalue_laplacian", [[[1.0, 0.5], [0.1, 1.0]]], "is not symmetric"),
        ("eccentricity", [[[0.9, 0.5], [0.5, 1.0]]], "has 0.9 on the diagonal"),
        ("eccentricity", [[[1.0]], 0.0], "threshold is 0.0, but must be above 0"),
        ("kernel_language_entropy", [[[2.0, 2.5], [2.5, 2.0]]], "must be between 0 and 2"),
        ("kernel_language_entropy", [[[2.0]], -1.0], "time is -1.0, but must be above 0"),
        ("luq", [[[0.0, 0.7], [0.7, 0.0]], [[1.0, 0.7], [0.7, 1.0]]], "sum to 1.4, but must not exceed 1"),
        ("num_semantic_sets", [[[0.0]], np.eye(2)], "must be 1 by 1"),
        ("noncontradiction", [[[0.1, 0.2, 0.3]]], "must have two columns"),
    ],
)
def test_wrong_input_is_an_error(name: str, arguments: list, message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        getattr(functional, name)(*arguments)


@settings(max_examples=60)
@given(
    texts=st.lists(st.sampled_from(["a b", "b a", "a b c", "c", ""]), min_size=2, max_size=7), seed=st.integers(0, 99)
)
def test_the_order_of_samples_changes_no_digit(texts: list[str], seed: int) -> None:
    """Few distinct texts: rows are equal and eigenvalues tie."""
    order = np.random.default_rng(seed).permutation(len(texts))
    overlap = functional.word_overlap(texts)
    for name, graph in (("eigenvalue_laplacian", overlap), ("eccentricity", overlap)):
        score = getattr(functional, name)
        assert score(graph[np.ix_(order, order)]) == pytest.approx(score(graph), abs=1e-9)
    entropy = functional.kernel_language_entropy(2 * overlap)
    assert functional.kernel_language_entropy(2 * overlap[np.ix_(order, order)]) == pytest.approx(entropy, abs=1e-9)
    assert functional.lexical_similarity([texts[at] for at in order]) == functional.lexical_similarity(texts)


def test_long_answers_do_not_underflow() -> None:
    long = np.full(5000, -3.0)
    assert functional.perplexity(long) == pytest.approx(3.0)
    assert functional.predictive_entropy([long]) == pytest.approx(15000.0)
    assert functional.lexical_similarity(["word " * 5000, "word " * 5000 + "end"]) == pytest.approx(1 / 10001)


@settings(max_examples=60)
@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_the_longest_common_subsequence_is_that_of_the_table(first: str, second: str) -> None:
    table = np.zeros((len(first) + 1, len(second) + 1), dtype=int)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1, j + 1] = table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
    expected = 1.0 if first == second else 0.0
    if first != second and first and second:
        expected = 2 * table[-1, -1] / (len(first) + len(second))
    assert functional.lexical_similarity([" ".join(first), " ".join(second)]) == pytest.approx(1 - expected)
