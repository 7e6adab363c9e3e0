"""Similarity with tiny bi-encoders of random weights."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer, util
from transformers import BertModel

from tests.similarity.forward import rows_of
from tests.similarity.models import save_bi_encoder, save_classifier, save_cross_encoder
from uq_harness.errors import UQHarnessError
from uq_harness.similarity.bi_encoder import load
from uq_harness.similarity.build import build_similarity
from uq_harness.similarity.loading import SIMILARITY_ROLE, Settings
from uq_harness.similarity.requests import LikeAnswer, TokenRemovals, similarities
from uq_harness.similarity.services import Similarity

TEXTS = ["who wrote it? jane austen", "who wrote it? it was jane austen, i think", "who? no one", "b", "x " * 40]
PAIRS = [(a, b) for a in TEXTS for b in TEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_bi_encoder(tmp_path_factory.mktemp("similarity"))


def similarity(folder: str, **options) -> Similarity:
    return build_similarity(folder, device="cpu", cache_size=0, **options)


def network(folder: str, dtype: str = "float32"):
    return load(Settings(SIMILARITY_ROLE, folder, 1, "cpu", dtype, None))


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2"])
def test_scores_are_cosines_of_sentence_transformers_embeddings(tmp_path: Path, kind: str) -> None:
    saved = save_bi_encoder(tmp_path, kind)
    encoder = SentenceTransformer(saved, device="cpu")
    vectors = [torch.as_tensor(encoder.encode(text)).double() for text in TEXTS]
    expected = np.array([float(util.cos_sim(a, b)) for a in vectors for b in vectors]).clip(0, 1)
    assert np.ptp(expected) > 0.1
    for batch_size in (1, 3, 64):
        assert similarity(saved, batch_size=batch_size).scores(PAIRS) == pytest.approx(expected, abs=1e-6)


def test_order_of_the_pairs_does_not_change_scores(folder: str) -> None:
    expected = similarity(folder, batch_size=3).scores(PAIRS)
    order = list(range(len(PAIRS)))
    random.Random(0).shuffle(order)
    shuffled = similarity(folder, batch_size=3).scores([PAIRS[place] for place in order])
    assert shuffled == pytest.approx(expected[order], abs=1e-6)


def test_a_text_is_like_itself_and_cosines_are_symmetric(folder: str) -> None:
    found = similarity(folder).scores(PAIRS).reshape(5, 5)
    assert np.diag(found).tolist() == [1.0] * 5
    assert (found == found.T).all()


def test_each_distinct_text_is_embedded_once(folder: str) -> None:
    with rows_of(network(folder).encoder[0].auto_model) as seen:
        similarity(folder).scores(PAIRS)
    assert sum(rows for rows, _ in seen) == len(TEXTS)


def test_a_negative_cosine_is_0_and_a_zero_embedding_undefined(folder: str, monkeypatch) -> None:
    vectors = {"a": [1.0, 0.0], "b": [-1.0, 0.1], "c": [0.0, 0.0], "d": [1.0, 1.0]}
    monkeypatch.setattr(network(folder).encoder, "encode", lambda texts, **_: np.array([vectors[one] for one in texts]))
    found = similarity(folder).scores([("a", "b"), ("a", "d"), ("a", "c"), ("c", "c")])
    assert found == pytest.approx([0, np.sqrt(0.5), np.nan, np.nan], nan_ok=True)


def test_relevance_of_tokens_and_likeness_to_the_answer(folder: str) -> None:
    words = ["</s>", "it", "was", "austen"]
    removals = TokenRemovals("who?", ((1, 2, 3, 0),), lambda ids: " ".join(words[i] for i in ids if i), frozenset({0}))
    like = LikeAnswer("who?", "austen", ("eliot", "austen"))
    (found,), (relevance,) = similarities(similarity(folder), [{0: like}], [{0: removals}])
    whole = "who? it was austen"
    parts = ["who? was austen", "who? it austen", "who? it was"]
    assert relevance[0][0][:3] == pytest.approx(1 - similarity(folder).scores([(whole, one) for one in parts]))
    assert relevance[0][0][3] == 0
    expected = similarity(folder).scores([("who? austen", "who? eliot")])[0]
    assert found[0] == pytest.approx([expected, 1.0])


def test_a_text_too_long_keeps_its_end_and_its_pairs_are_counted(folder: str, caplog) -> None:
    service = similarity(folder, max_length=7)
    found = service.scores([("q " * 30 + "a b c d e", "q " * 30 + "f g h i j"), ("a", "b")])
    assert found[0] == pytest.approx(similarity(folder).scores([("a b c d e", "f g h i j")])[0], abs=1e-6)
    assert service.pairs_cut == 1
    assert "the similarity model reads 7 tokens: 2 of 4 distinct texts are longer" in caplog.text


def test_lack_of_memory_makes_batches_smaller_and_changes_nothing(folder: str, caplog, any_padding) -> None:
    expected = similarity(folder).scores(PAIRS)
    with rows_of(network(folder).encoder[0].auto_model, fail_above=2):
        assert similarity(folder).scores(PAIRS) == pytest.approx(expected, abs=1e-6)
    assert "the similarity model ran out of memory with 5 texts" in caplog.text


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_same(tmp_path: Path, dtype: str) -> None:
    saved = save_bi_encoder(tmp_path, initializer_range=0.2)
    assert similarity(saved, dtype=dtype).scores(PAIRS) == pytest.approx(similarity(saved).scores(PAIRS), abs=0.05)
    assert network(saved, dtype).encoder[0].auto_model.dtype == getattr(torch, dtype)


@pytest.mark.parametrize("save", [save_bi_encoder, save_cross_encoder])
def test_the_files_tell_the_kind_and_not_the_name(tmp_path: Path, save) -> None:
    saved = Path(save(tmp_path)).rename(tmp_path / ("cross-encoder" if save is save_bi_encoder else "bi-encoder"))
    service = similarity(str(saved))
    service.prepare()
    assert service.describe()["kind"] == ("bi-encoder" if save is save_bi_encoder else "cross-encoder")


def test_files_of_earlier_releases_do_not_say_their_type(folder: str, tmp_path: Path) -> None:
    old = Path(save_bi_encoder(tmp_path))
    (old / "config_sentence_transformers.json").write_text(json.dumps({"__version__": {}}), encoding="utf-8")
    service = similarity(str(old))
    assert service.scores(PAIRS) == pytest.approx(similarity(folder).scores(PAIRS), abs=1e-6)
    service.prepare()
    assert service.describe()["kind"] == "bi-encoder"


def test_an_encoder_whose_pooling_is_not_told_is_refused(tmp_path: Path) -> None:
    plain = save_classifier(tmp_path, labels=None)
    BertModel.from_pretrained(plain).save_pretrained(plain)
    with pytest.raises(UQHarnessError, match=r"without a trained classifier.*modules.json.*similarity_model=/path"):
        similarity(plain).prepare()


@pytest.mark.parametrize("max_length", [2, 513])
def test_a_length_that_the_model_cannot_read_is_refused(folder: str, max_length: int) -> None:
    with pytest.raises(UQHarnessError, match=f"similarity_max_length={max_length} .* space for a text"):
        similarity(folder, max_length=max_length).prepare()
