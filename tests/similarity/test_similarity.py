"""Similarity with tiny cross-encoders of random weights."""

import random
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import RobertaModel

from tests.similarity.forward import rows_of
from tests.similarity.models import KINDS, save_classifier, save_cross_encoder
from uq_harness.errors import UQHarnessError
from uq_harness.similarity.build import DEFAULT_SIMILARITY, build_similarity
from uq_harness.similarity.cross_encoder import load
from uq_harness.similarity.loading import SIMILARITY_ROLE, Settings
from uq_harness.similarity.services import Similarity

TEXTS = ["who wrote it? jane austen", "who wrote it? it was jane austen, i think", "who? no one", "", "x " * 40]
PAIRS = [(a, b) for a in TEXTS for b in TEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_cross_encoder(tmp_path_factory.mktemp("similarity"))


def similarity(folder: str, **options) -> Similarity:
    return build_similarity(folder, device="cpu", **options)


def network(folder: str, dtype: str = "float32"):
    return load(Settings(SIMILARITY_ROLE, folder, 1, "cpu", dtype, None))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_sentence_transformers_for_each_pair_alone(tmp_path: Path, kind: str) -> None:
    saved = save_cross_encoder(tmp_path, kind)
    encoder = CrossEncoder(saved, device="cpu")
    expected = np.array([float(encoder.predict(pair)) for pair in PAIRS])
    assert 0 <= expected.min() < expected.max() - 0.01 <= 1
    for batch_size in (1, 3, 64):
        assert similarity(saved, batch_size=batch_size).scores(PAIRS) == pytest.approx(expected, abs=1e-6)


def test_order_of_the_pairs_does_not_change_scores(folder: str) -> None:
    expected = similarity(folder, batch_size=3).scores(PAIRS)
    order = list(range(len(PAIRS)))
    random.Random(0).shuffle(order)
    shuffled = similarity(folder, batch_size=3).scores([PAIRS[place] for place in order])
    assert shuffled == pytest.approx(expected[order], abs=1e-6)


def test_each_distinct_pair_goes_through_the_model_once_a_call(folder: str) -> None:
    service = similarity(folder)
    with rows_of(network(folder).encoder.model) as seen:
        found = service.scores([("a", "b"), ("b", "a"), ("a", "b"), ("a", "a")])
    assert [rows for rows, _ in seen] == [3]
    assert service.pairs_scored == 3
    assert found[0] == found[2] != found[1]


def test_no_pairs_give_no_scores(folder: str) -> None:
    assert similarity(folder).scores([]).shape == (0,)


def test_a_pair_too_long_keeps_its_ends(folder: str) -> None:
    found = similarity(folder, max_length=13).scores([("q " * 30 + "a b c d e", "q " * 30 + "f g h i j")])
    assert found == pytest.approx(similarity(folder).scores([("a b c d e", "f g h i j")]), abs=1e-6)


def test_pairs_as_long_as_the_model_are_read(tmp_path: Path, caplog) -> None:
    service = similarity(save_cross_encoder(tmp_path, max_position_embeddings=40))
    assert np.isfinite(service.scores([("a " * 60, "b " * 60)])).all()
    assert "the similarity model reads 39 tokens" in caplog.text  # RoBERTa's positions begin behind the padding's


def test_lack_of_memory_makes_batches_smaller_and_changes_nothing(folder: str, caplog, any_padding) -> None:
    expected = similarity(folder).scores(PAIRS)
    with rows_of(network(folder).encoder.model, fail_above=5):
        assert similarity(folder).scores(PAIRS) == pytest.approx(expected, abs=1e-6)
    assert "the similarity model ran out of memory with 25 pairs" in caplog.text


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_same(tmp_path: Path, dtype: str) -> None:
    saved = save_cross_encoder(tmp_path, initializer_range=0.2)
    assert similarity(saved, dtype=dtype).scores(PAIRS) == pytest.approx(similarity(saved).scores(PAIRS), abs=0.05)
    assert network(saved, dtype).encoder.model.dtype == getattr(torch, dtype)


def test_a_missing_model_is_reported_at_once_when_offline(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    start = time.monotonic()
    with pytest.raises(UQHarnessError, match=r"offline.*similarity_model=/path.*similarity_model=lexical"):
        build_similarity("nobody/has-this").prepare()
    assert time.monotonic() - start < 5


def test_a_missing_package_is_reported(folder: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UQHarnessError, match="pip install sentence-transformers"):
        similarity(str(tmp_path)).prepare()


def test_a_model_without_a_trained_classifier_is_refused(tmp_path: Path) -> None:
    plain = save_classifier(tmp_path, "roberta", None, num_labels=1)
    RobertaModel.from_pretrained(plain).save_pretrained(plain)
    with pytest.raises(UQHarnessError, match="without a trained classifier"):
        similarity(plain).prepare()


def test_a_model_with_several_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match="it has 3 outputs"):
        similarity(save_cross_encoder(tmp_path, num_labels=3)).prepare()


def test_a_model_whose_scores_have_no_bounds_is_refused(folder: str, tmp_path: Path) -> None:
    CrossEncoder(folder, device="cpu", activation_fn=torch.nn.Identity()).save_pretrained(str(tmp_path))
    with pytest.raises(UQHarnessError, match="goes through Identity, and only a sigmoid"):
        similarity(str(tmp_path)).prepare()


def test_a_plain_classifier_with_one_output_serves(tmp_path: Path) -> None:
    assert (similarity(save_classifier(tmp_path, "roberta", None, num_labels=1)).scores(PAIRS) <= 1).all()


def test_a_score_that_is_no_number_stays_none(folder: str, monkeypatch) -> None:
    monkeypatch.setattr(network(folder).encoder, "predict", lambda pairs, **_: np.full(len(pairs), np.nan))
    assert np.isnan(similarity(folder).scores(PAIRS)).all()


def test_an_unusable_device_is_reported(folder: str) -> None:
    with pytest.raises(UQHarnessError, match="similarity_device='cuda:99'"):
        build_similarity(folder, device="cuda:99").prepare()


def test_nothing_is_printed(folder: str, capsys) -> None:
    similarity(folder).prepare()
    capsys.readouterr()
    similarity(folder).scores(PAIRS)
    assert capsys.readouterr() == ("", "")


def test_it_describes_itself() -> None:
    assert build_similarity().describe()["model"] == DEFAULT_SIMILARITY
    assert build_similarity("lexical").describe() == {"model": "lexical"}
