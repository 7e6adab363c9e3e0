"""Pairs that come up again: remembered, forgotten in order, and never different for it."""

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.similarity.models import save_bi_encoder, save_classifier, save_cross_encoder
from tests.similarity.test_comparer import FIVE, TEN, comparer, evidence
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import PairwiseEntailment, TokenRelevance
from uq_harness.similarity.build import build_nli, build_similarity
from uq_harness.similarity.loading import CACHE_SIZE
from uq_harness.similarity.memory import PairMemory
from uq_harness.similarity.services import Service

TEXTS = ["who? austen", "who? it was austen", "who? eliot", "who? ", "x " * 30]
PAIRS = [(a, b) for a in TEXTS for b in TEXTS]
KINDS = {"nli": save_classifier, "cross-encoder": save_cross_encoder, "bi-encoder": save_bi_encoder}


def service(folder: Path, kind: str, cache_size: int = CACHE_SIZE) -> Service:
    build = build_nli if kind == "nli" else build_similarity
    return build(KINDS[kind](folder), device="cpu", cache_size=cache_size)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cache_size", [0, 3, CACHE_SIZE])
def test_numbers_are_the_same_with_and_without(tmp_path: Path, kind: str, cache_size: int) -> None:
    expected = service(tmp_path / "a", kind, 0).compare(PAIRS).rows
    some = service(tmp_path / "b", kind, cache_size)
    for start in (0, 3, 7, 0):
        assert some.compare(PAIRS[start : start + 12]).rows == pytest.approx(expected[start : start + 12], abs=1e-6)
    # 0 to 11, 12 to 14, 15 to 18, and nothing; without a memory 12 each time; of three pairs two calls find some
    assert some.pairs_scored == {0: 48, 3: 42, CACHE_SIZE: 19}[cache_size]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_goes_through_once_a_run_until_it_is_forgotten(tmp_path: Path, kind: str) -> None:
    some = service(tmp_path, kind)
    first = some.compare([("a", "b"), ("b", "a"), ("a", "b")])
    again = some.compare([("b", "a"), ("a", "c")])
    assert first.new.tolist() == [True, True, False]
    assert again.new.tolist() == [False, True]
    assert (again.rows[0] == first.rows[1]).all()
    assert some.pairs_scored == 3
    some.forget()
    assert some.compare([("a", "b")]).new.tolist() == [True]


def test_it_is_bounded_and_forgets_what_was_not_asked_for_longest() -> None:
    nli = build_nli("lexical", cache_size=3)
    ask = [("a", "b"), ("c", "d"), ("e", "f"), ("a", "b"), ("g", "h"), ("a", "b"), ("c", "d")]
    assert [bool(nli.compare([pair]).new[0]) for pair in ask] == [True, True, True, False, True, False, True]


def test_more_pairs_in_a_call_than_are_kept() -> None:
    pairs = [(str(i), str(j)) for i in range(6) for j in range(6)]
    assert (build_nli("lexical", cache_size=2).probabilities(pairs)[:, 0] == [float(a == b) for a, b in pairs]).all()


def test_pairs_whose_texts_join_to_the_same_are_told_apart() -> None:
    memory = PairMemory(9)
    memory.put(("ab", "c"), np.array([1.0]))
    assert memory.get(("a", "bc")) is None
    assert memory.get(("", "abc")) is None
    memory.put(("\ud800", "lone surrogate"), np.array([2.0]))
    assert memory.get(("\ud800", "lone surrogate")) == 2


def test_memory_does_not_grow_with_the_texts_and_stays_below_tens_of_megabytes() -> None:
    pairs, row = 2_000, np.zeros(3)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    memory = PairMemory(pairs)
    for number in range(3 * pairs):
        memory.put((f"{number} " * 500, "a long text " * 100), row)
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert len(memory) == pairs
    assert used / pairs * CACHE_SIZE < 40e6


def test_threads_send_each_pair_through_once(tmp_path: Path) -> None:
    some = service(tmp_path, "cross-encoder")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: some.compare(PAIRS), range(8)))
    assert some.pairs_scored == len(PAIRS)
    assert sum(int(one.new.sum()) for one in found) == len(PAIRS)
    assert all((one.rows == found[0].rows).all() for one in found)


def test_a_record_counts_the_pairs_that_went_through_for_it() -> None:
    answers = ((1, 2, 0), (2, 0), (3,))
    run = comparer([TEN, FIVE, PairwiseEntailment(TEN), TokenRelevance(FIVE)])

    def costs(*batch: str) -> list[tuple[float, float]]:
        found = run.add_similarity(run.add_entailment([evidence(question, *answers) for question in batch]))
        return [(one.cost["nli_pairs"], one.cost["similarity_pairs"]) for one in found]

    assert costs("who?", "who?", "where?") == [(6, 3), (0, 0), (6, 3)]
    assert costs("where?", "when?") == [(0, 0), (6, 3)]
    assert (run.nli.pairs_scored, run.similarity.pairs_scored) == (18, 9)
    run.forget()
    assert costs("when?") == [(6, 3)]


@pytest.mark.parametrize("size", [-1, 1.5, True, "many"])
def test_a_size_that_is_not_a_number_of_pairs_is_refused(size: object) -> None:
    with pytest.raises(UQHarnessError, match=r"nli_cache_size=.* is not allowed: use a whole number of pairs, 0 to"):
        build_nli("lexical", cache_size=size)  # type: ignore[arg-type]
