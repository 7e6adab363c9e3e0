"""Running sums give the plain definition, however the prompts are cut into batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from uq_harness.functional import semantic_preservation_score
from uq_harness.studies.sps.measure import CosineSums, Segment, UnitSums


@given(
    sizes=st.lists(st.integers(2, 5), min_size=2, max_size=6),
    cuts=st.lists(st.integers(1, 7), min_size=1),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_any_division_into_batches_gives_the_plain_definition(sizes: list[int], cuts: list[int], seed: int) -> None:
    layers, positions, width = 2, 3, 4
    rng = np.random.default_rng(seed)
    states = [rng.normal(size=(size, layers, positions, width)) + 0.5 for size in sizes]
    sums = CosineSums(sizes)
    for batch in batches([(q, v) for q, size in enumerate(sizes) for v in range(size)], cuts):
        sums.add(unit_sums(states, batch))
    within, between = sums.means()
    for layer in range(layers):
        for position in range(positions):
            plain = semantic_preservation_score([state[:, layer, position] for state in states])
            assert (within - between)[layer, position] == pytest.approx(plain, abs=1e-12)


def batches(rows: list[tuple[int, int]], cuts: list[int]) -> list[list[tuple[int, int]]]:
    found, number = [], 0
    while rows:
        size = cuts[number % len(cuts)]
        found.append(rows[:size])
        rows, number = rows[size:], number + 1
    return found


def unit_sums(states: list[np.ndarray], batch: list[tuple[int, int]]) -> UnitSums:
    units = {row: states[row[0]][row[1]] / np.linalg.norm(states[row[0]][row[1]], axis=-1)[..., None] for row in batch}
    questions = list(dict.fromkeys(question for question, _ in batch))
    totals = [sum(unit for (q, _), unit in units.items() if q == question) for question in questions]
    own = [unit for (_, variant), unit in units.items() if variant == 0]
    segments = [Segment(question, sum(q == question for q, _ in batch)) for question in questions]
    zero = np.zeros(states[0].shape[1:])
    return UnitSums(segments, torch.tensor(np.array(totals)), torch.tensor(sum(own, zero)))


def test_equal_vectors_have_cosine_one_to_the_last_digits_of_many() -> None:
    count, unit = 20_000, torch.tensor([[[0.6, 0.8]]], dtype=torch.float64)
    sums = CosineSums([2] * count)
    for number in range(0, count, 1000):
        segments = [Segment(number + i, 2) for i in range(1000)]
        sums.add(UnitSums(segments, (2 * unit).expand(1000, 1, 1, 2), 1000 * unit))
    within, between = sums.means()
    assert within.item() == pytest.approx(1, abs=1e-12)
    assert between.item() == pytest.approx(1, abs=1e-12)
