"""Black-box scores tell right from wrong on real samples of LLaMA-13B, with equal words as entailment."""

import json

import numpy as np
import pytest

from tests.support import SHARED, requires_shared
from uq_harness import functional
from uq_harness.correctness.judges.lexical import TokenRecall
from uq_harness.functional.text import normalize_answer

pytestmark = requires_shared


@pytest.fixture(scope="module")
def questions() -> list[dict]:
    path = SHARED / "data/uqnlg_llama13b_triviaqa/generations.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def correct(questions: list[dict]) -> list[int]:
    """Whether each question's first sample, which stands for the answer, has half of a reference's words."""
    judge = TokenRecall()
    scores = judge.score(
        [q["question"] for q in questions], [q["samples"][0] for q in questions], [q["answers"] for q in questions]
    )
    return [int(value >= judge.threshold) for value in scores]


def equal_pairs(texts: list[str]) -> np.ndarray:
    normalised = np.array([normalize_answer(text) for text in texts])
    return (normalised[:, np.newaxis] == normalised).astype(np.float64)


SCORES = {
    "degree": lambda equal: functional.degree(equal[1:, 1:]),
    "discrete_semantic_entropy": lambda equal: functional.discrete_semantic_entropy(
        functional.cluster_by_entailment(2 * equal[1:, 1:])
    ),
    "self_consistency": lambda equal: functional.self_consistency(equal[0, 1:]),
}


@pytest.mark.parametrize("name", SCORES)
def test_real_samples(name: str, questions: list[dict], correct: list[int]) -> None:
    uncertainty = [SCORES[name](equal_pairs(question["samples"])) for question in questions]
    area = functional.auroc(uncertainty, correct)
    print(f"{name}: AUROC {area:.3f} over {len(correct)} questions, {np.mean(correct):.1%} right")
    assert area > 0.6
