"""BEM as an `evaluate` module."""

from pathlib import Path

import evaluate
import pytest

from tests.correctness.models import save_bert
from uq_harness.correctness.base import build_judge

ROOT = Path(__file__).resolve().parents[2]
QUESTIONS, ANSWERS = ["capital of france?", "who wrote it?"], ["paris", "jane austen"]
REFERENCES = [["paris", "paris, france"], ["austen"]]


@pytest.fixture(scope="module")
def metric(tmp_path_factory):
    return evaluate.load(str(ROOT / "metrics" / "bem"), cache_dir=str(tmp_path_factory.mktemp("cache")))


def test_it_gives_the_judges_scores_their_mean_and_the_share_at_the_threshold(metric, tmp_path):
    folder = save_bert(tmp_path)
    scores = build_judge({"name": "bem", "model": folder, "device": "cpu"}).score(QUESTIONS, ANSWERS, REFERENCES)
    result = metric.compute(
        predictions=ANSWERS,
        references=REFERENCES,
        questions=QUESTIONS,
        model=folder,
        device="cpu",
        threshold=max(scores),
    )
    assert result["scores"] == pytest.approx(scores, abs=1e-6)
    assert result["bem"] == pytest.approx(sum(scores) / 2, abs=1e-6)
    assert result["accuracy"] == 0.5


def test_unknown_options_are_refused(metric):
    with pytest.raises(ValueError, match="did you mean threshold"):
        metric.compute(predictions=ANSWERS, references=REFERENCES, questions=QUESTIONS, treshold=0.5)
