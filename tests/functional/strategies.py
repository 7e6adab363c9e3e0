"""Data for property tests: rankings with ties, and samples with token log-probabilities."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def rankings(draw, max_size=40):
    """Scores with many ties, and correctness with both classes."""
    rows = draw(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), max_size=max_size))
    rows += [(draw(st.integers(-5, 5)), True), (draw(st.integers(-5, 5)), False)]
    uncertainty, correct = zip(*draw(st.permutations(rows)), strict=True)
    return np.array(uncertainty, dtype=float), np.array(correct, dtype=int)


logprobs = st.floats(-60, 0)
token_lists = st.lists(st.lists(logprobs, min_size=1, max_size=6), min_size=1, max_size=7)


@st.composite
def samples_with_clusters(draw):
    """Token log-probabilities of samples, and a cluster id for each."""
    tokens = draw(token_lists)
    return tokens, draw(st.lists(st.integers(0, 4), min_size=len(tokens), max_size=len(tokens)))


def matrices(entries, max_size=6):
    """Square matrices as lists."""
    return st.integers(1, max_size).flatmap(
        lambda n: st.lists(st.lists(entries, min_size=n, max_size=n), min_size=n, max_size=n)
    )


def similarity_matrix(n, seed):
    """A symmetric matrix of numbers between 0 and 1 with a diagonal of ones."""
    half = np.random.default_rng(seed).random((n, n))
    matrix = (half + half.T) / 2
    np.fill_diagonal(matrix, 1.0)
    return matrix
