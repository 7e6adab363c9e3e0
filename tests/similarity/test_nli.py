"""NLI with tiny classifiers of random weights."""

import itertools
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertModel

from tests.similarity.forward import rows_of
from tests.similarity.models import KINDS, LABELS, save_classifier
from uq_harness.errors import UQHarnessError
from uq_harness.similarity.build import DEFAULT_NLI, build_nli
from uq_harness.similarity.classifier import load
from uq_harness.similarity.loading import NLI_ROLE, Settings
from uq_harness.similarity.services import NLI

TEXTS = ["who wrote it? jane austen", "who wrote it? it was jane austen, i think", "who? no one", "", "x " * 40]
PAIRS = [(a, b) for a in TEXTS for b in TEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_classifier(tmp_path_factory.mktemp("nli"))


def nli(folder: str, **options) -> NLI:
    return build_nli(folder, device="cpu", **options)


def network(folder: str, dtype: str = "float32", max_length: int | None = None):
    return load(Settings(NLI_ROLE, folder, 1, "cpu", dtype, max_length))


def alone(folder: str, premise: str, hypothesis: str) -> list[float]:
    """Probabilities of one pair by transformers' own means: entailment, neutral, contradiction."""
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        row = model(**tokenizer([premise], [hypothesis], return_tensors="pt")).logits.softmax(-1)[0].tolist()
    return [row[model.config.label2id[label]] for label in ("entailment", "neutral", "contradiction")]


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_those_of_each_pair_alone_whatever_its_batch_mates(tmp_path: Path, kind: str) -> None:
    saved = save_classifier(tmp_path, kind)
    expected = np.array([alone(saved, *pair) for pair in PAIRS])
    assert np.ptp(expected, axis=0).min() > 0.01
    for batch_size in (1, 3, 64):
        assert nli(saved, batch_size=batch_size).probabilities(PAIRS) == pytest.approx(expected, abs=1e-6)


def test_order_does_not_change_probabilities(folder: str) -> None:
    expected = nli(folder, batch_size=3).probabilities(PAIRS)
    order = list(range(len(PAIRS)))
    random.Random(0).shuffle(order)
    shuffled = nli(folder, batch_size=3).probabilities([PAIRS[place] for place in order])
    assert shuffled == pytest.approx(expected[order], abs=1e-6)


def test_rows_are_probabilities(folder: str) -> None:
    found = nli(folder).probabilities(PAIRS)
    assert found.shape == (len(PAIRS), 3)
    assert found.dtype == np.float64
    assert found.sum(1) == pytest.approx(1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_labels_are_read_by_their_names(folder: str, tmp_path: Path, order: tuple[int, ...], case) -> None:
    moved = save_classifier(tmp_path, labels=[case(LABELS[place]) for place in order], order=order)
    assert nli(moved).probabilities(PAIRS[:5]) == pytest.approx(nli(folder).probabilities(PAIRS[:5]), abs=1e-6)


def test_one_mapping_of_labels_suffices(folder: str, tmp_path: Path) -> None:
    saved = save_classifier(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["label2id"] = {f"LABEL_{place}": place for place in range(3)}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert nli(saved).probabilities(PAIRS[:5]) == pytest.approx(nli(folder).probabilities(PAIRS[:5]), abs=1e-6)


def test_mappings_of_labels_that_disagree_are_refused(tmp_path: Path) -> None:
    saved = save_classifier(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["label2id"] = {label: place for place, label in enumerate(reversed(LABELS))}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UQHarnessError, match="contradicts itself"):
        nli(saved).prepare()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (("entailment", "not_entailment"), "0: entailment, 1: not_entailment, but must be entailment, neutral and"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), r"does not name its labels \(0: LABEL_0.*label2id.*config.json"),
        (("negative", "neutral", "positive"), "labels are 0: negative"),
        (("entailment", "neutral", "contradiction", "other"), "3: other"),
        (("entailment", "entails", "contradiction"), "must be entailment, neutral and contradiction"),
    ],
)
def test_other_labels_are_refused(tmp_path: Path, labels: tuple[str, ...], words: str) -> None:
    with pytest.raises(UQHarnessError, match=words + ".*nli_model=/path.*nli_model=lexical"):
        nli(save_classifier(tmp_path, labels=labels)).prepare()


def test_each_distinct_pair_goes_through_the_model_once(folder: str) -> None:
    service = nli(folder)
    pairs = [("a", "b"), ("b", "a"), ("a", "b"), ("a", "a"), ("a", "a")]
    with rows_of(network(folder).model) as seen:
        found = service.probabilities(pairs)
    assert [rows for rows, _ in seen] == [3]
    assert service.pairs_scored == 3
    assert (found[0] == found[2]).all()
    assert not np.allclose(found[0], found[1])


def test_pairs_are_sorted_by_length_and_padded_to_their_batch_only(folder: str) -> None:
    with rows_of(network(folder).model) as seen:
        nli(folder, batch_size=2).probabilities([("a", "b"), ("x " * 50, "y"), ("c", "d"), ("x " * 49, "y")])
    assert seen == [(2, 54), (2, 5)]


def test_a_batch_on_the_processor_ends_where_it_would_be_padded_much(folder: str) -> None:
    pairs = [("x " * length, f"y{number}") for length in (90, 89, 45, 1) for number in range(8)]
    service = nli(folder)
    with rows_of(network(folder).model) as seen:
        found = service.probabilities(pairs)
    assert seen == [(16, 95), (8, 50), (8, 6)]
    alone = [nli(folder).probabilities([pair])[0] for pair in pairs]
    assert found == pytest.approx(np.array(alone), abs=1e-6)


def test_no_pairs_give_no_rows(folder: str) -> None:
    assert nli(folder).probabilities([]).shape == (0, 3)


def test_a_pair_too_long_keeps_its_ends_and_is_counted_with_one_warning(folder: str, caplog) -> None:
    service = nli(folder, max_length=13, cache_size=0)
    long = [("q " * 30 + "a b c d e", "q " * 30 + "f g h i j"), ("q " * 20 + "a b c d e", "q " * 40 + "f g h i j")]
    found = service.probabilities([*long, ("a", "b")])
    assert found[0] == pytest.approx(nli(folder).probabilities([("a b c d e", "f g h i j")])[0], abs=1e-6)
    assert found[1] == pytest.approx(found[0], abs=1e-6)
    service.probabilities(long)
    assert service.pairs_cut == 4
    assert [record.message for record in caplog.records] == [
        "the NLI model reads 13 tokens: 2 of 3 distinct pairs are longer and were cut at the beginning of their texts; "
        "later ones will be cut too"
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_as_long_as_the_model_are_read(tmp_path: Path, kind: str) -> None:
    found = nli(save_classifier(tmp_path, kind, max_position_embeddings=40)).probabilities([("a " * 60, "b " * 60)])
    assert np.isfinite(found).all()


def test_lack_of_memory_makes_batches_smaller_and_changes_nothing(folder: str, caplog, any_padding) -> None:
    expected = nli(folder).probabilities(PAIRS)
    service = nli(folder, batch_size=16)
    with rows_of(network(folder).model, fail_above=5) as seen:
        assert service.probabilities(PAIRS) == pytest.approx(expected, abs=1e-6)
        assert sum(rows for rows, _ in seen) == len(PAIRS)
        warnings = len(caplog.records)
        assert service.probabilities(PAIRS) == pytest.approx(expected, abs=1e-6)
    assert "ran out of memory with 16 pairs" in caplog.text
    assert len(caplog.records) == warnings  # it has learnt its size


def test_short_pairs_keep_large_batches_after_a_lack_of_memory(folder: str) -> None:
    service, model = nli(folder, batch_size=4), network(folder).model
    with rows_of(model, fail_above=3):
        service.probabilities([("x " * 40, letter) for letter in "abcd"])
    with rows_of(model) as seen:
        service.probabilities([("x", letter) for letter in "abcd"])
    assert [rows for rows, _ in seen] == [4]


def test_lack_of_memory_for_one_pair_is_an_error(folder: str) -> None:
    with (
        rows_of(network(folder).model, fail_above=0),
        pytest.raises(UQHarnessError, match=r"single pair.*nli_device=cpu"),
    ):
        nli(folder).probabilities(PAIRS)


def test_other_errors_pass_through(folder: str, monkeypatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(network(folder).model, "forward", fail)
    with pytest.raises(RuntimeError, match="shapes"):
        nli(folder).probabilities(PAIRS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_gives_nearly_the_same(tmp_path: Path, kind: str, dtype: str) -> None:
    saved = save_classifier(tmp_path, kind, initializer_range=0.2)
    found = nli(saved, dtype=dtype).probabilities(PAIRS)
    assert network(saved, dtype).model.dtype == getattr(torch, dtype)
    assert found == pytest.approx(nli(saved).probabilities(PAIRS), abs=0.05)
    assert found.sum(1) == pytest.approx(1)


def test_a_model_is_loaded_once_for_all_batch_sizes(folder: str) -> None:
    assert load(Settings(NLI_ROLE, folder, 1, "cpu", "float32", None)) is load(
        Settings(NLI_ROLE, folder, 8, "cpu", "float32", None)
    )


def test_a_missing_model_is_reported_at_once_when_offline(monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    start = time.monotonic()
    with pytest.raises(UQHarnessError, match=r"'nobody/has-this'.*offline.*nli_model=/path.*nli_model=lexical"):
        build_nli("nobody/has-this").prepare()
    assert time.monotonic() - start < 5


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match=r"no such folder.*nli_model=/path"):
        nli(str(tmp_path / "nowhere")).prepare()


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match="cannot use the NLI model"):
        nli(str(tmp_path)).prepare()


def test_a_model_without_a_trained_classifier_is_refused(folder: str, tmp_path: Path) -> None:
    plain = save_classifier(tmp_path)
    BertModel.from_pretrained(folder).save_pretrained(plain)
    with pytest.raises(UQHarnessError, match="no trained weights for classifier"):
        nli(plain).prepare()


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UQHarnessError, match=r"its tokenizer has .* tokens, the model 50"):
        nli(save_classifier(tmp_path, vocab_size=50)).prepare()


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_an_unusable_device_is_reported(folder: str, device: str) -> None:
    with pytest.raises(UQHarnessError, match=f"nli_device='{device}'"):
        build_nli(folder, device=device).prepare()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "nli_batch_size=0.*from 1 on"),
        ({"dtype": "int8"}, "nli_dtype='int8'.*float32, bfloat16 or float16"),
        ({"max_length": -1}, "nli_max_length=-1"),
        ({"device": ""}, "nli_device=''"),
        ({"model": ""}, "nli_model=''"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_loaded(options, words: str) -> None:
    with pytest.raises(UQHarnessError, match=words):
        build_nli(**options)


@pytest.mark.parametrize("max_length", [4, 513])
def test_a_length_that_the_model_cannot_read_is_refused(folder: str, max_length: int) -> None:
    with pytest.raises(UQHarnessError, match=f"nli_max_length={max_length} .* at most 512"):
        nli(folder, max_length=max_length).prepare()


def test_it_describes_itself() -> None:
    assert build_nli(dtype="bfloat16").describe() == {
        "model": DEFAULT_NLI,
        "batch_size": 64,
        "device": None,
        "dtype": "bfloat16",
        "max_length": None,
    }


def test_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys; from uq_harness.similarity.build import build_nli; build_nli();"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
