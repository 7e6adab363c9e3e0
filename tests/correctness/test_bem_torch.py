"""BEM on PyTorch, with a tiny classifier of random weights."""

import random
import time

import pytest
import torch
from transformers import BertModel

from tests.correctness.models import VOCABULARY, save_bert
from uq_harness.correctness.base import build_judge
from uq_harness.correctness.bem import pytorch
from uq_harness.errors import UQHarnessError

QUESTIONS = ["capital of france?", "who wrote it?", "how long is the long river that flows through the city?", "?"]
ANSWERS = ["paris", "it was jane austen, i think", "9 km", "yes"]
REFERENCES = [["paris", "paris, france"], ["austen"], ["9 kilometres", "nine", "about 9 km or so"], ["no", "yes"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bem"))


def judge(folder, **options):
    return build_judge({"name": "bem", "model": folder, "device": "cpu", **options})


def one(folder, question, answer, reference):
    return judge(folder).score([question], [answer], [[reference]])[0]


def forward_rows(folder, fail_above=None):
    """Collects the number of rows of each forward pass from now on; returns the list and what ends it."""
    rows = []

    def note(module, args, kwargs):
        if fail_above is not None and len(kwargs["input_ids"]) > fail_above:
            raise torch.OutOfMemoryError
        rows.append(len(kwargs["input_ids"]))

    model = pytorch.load(folder, "cpu", "float32").model
    return rows, model.register_forward_pre_hook(note, with_kwargs=True).remove


def hub_card(folder, question, answer, reference):
    """One probability by the port's documented call."""
    bem = pytorch.load(folder, "cpu", "float32")
    inputs = bem.tokenizer(
        text=f"[CLS] {answer} [SEP]",
        text_pair=f"{reference} [SEP] {question} [SEP]",
        add_special_tokens=False,
        padding="max_length",
        max_length=512,
        truncation=True,
        return_tensors="pt",
    )
    with torch.inference_mode():
        return bem.model(**inputs).logits.softmax(-1)[0, 1].item()


def test_scores_are_the_best_probability_of_the_documented_call(folder):
    expected = [
        max(hub_card(folder, question, answer, reference) for reference in references)
        for question, answer, references in zip(QUESTIONS, ANSWERS, REFERENCES, strict=True)
    ]
    assert judge(folder).score(QUESTIONS, ANSWERS, REFERENCES) == pytest.approx(expected, abs=1e-6)
    assert max(expected) - min(expected) > 0.01


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
def test_batch_size_does_not_change_scores(folder, batch_size):
    expected = judge(folder).score(QUESTIONS, ANSWERS, REFERENCES)
    scores = judge(folder, batch_size=batch_size).score(QUESTIONS, ANSWERS, REFERENCES)
    assert scores == pytest.approx(expected, abs=1e-6)


def test_order_does_not_change_scores(folder):
    expected = judge(folder, batch_size=3).score(QUESTIONS, ANSWERS, REFERENCES)
    order = list(range(len(QUESTIONS)))
    random.Random(0).shuffle(order)
    shuffled = judge(folder, batch_size=3).score(
        [QUESTIONS[i] for i in order], [ANSWERS[i] for i in order], [REFERENCES[i][::-1] for i in order]
    )
    assert shuffled == pytest.approx([expected[i] for i in order], abs=1e-6)


def test_equal_inputs_go_through_the_model_once(folder):
    rows, stop = forward_rows(folder)
    scores = judge(folder).score(
        ["who?", "who?", "WHO?", "what?"],
        ["paris", "Paris", "paris ", "paris"],
        [["rome", "rome"], ["Rome"], ["rome"], ["rome"]],
    )
    stop()
    assert rows == [2]
    assert scores[0] == scores[1] == scores[2] != scores[3]


def test_equal_ids_with_other_borders_are_other_inputs(folder):
    rows, stop = forward_rows(folder)
    judge(folder).score(["a", "a"], ["b [SEP] c", "b"], [["d"], ["c [SEP] d"]])
    stop()
    assert rows == [2]


@pytest.mark.parametrize("blank", ["", " \n ", "\u200b"])
def test_a_blank_answer_is_read_as_none(folder, blank):
    assert one(folder, "who?", blank, "nobody") == one(folder, "who?", "None", "nobody")


def test_overlong_texts_are_cut_and_counted(folder, caplog):
    scores = judge(folder).score(
        ["who?", "q " * 600, "who?"], ["a " * 600, "b", "c"], [["nobody", "somebody"], ["r " * 600], ["nobody"]]
    )
    assert all(0 < score < 1 for score in scores)
    assert "3 of 4 distinct inputs are longer and were cut, 1 of them in the reference or the question" in caplog.text
    assert scores[0] == pytest.approx(judge(folder).score(["who?"], ["a " * 505], [["nobody", "somebody"]])[0])


def test_nothing_is_logged_when_all_fits(folder, caplog):
    judge(folder).score(QUESTIONS, ANSWERS, REFERENCES)
    assert caplog.text == ""


def test_the_models_own_length_limit_holds(tmp_path):
    short = save_bert(tmp_path, max_position_embeddings=160)
    assert 0 < one(short, "who " * 100, "a " * 100, "b") < 1


def test_lack_of_memory_halves_the_batch(folder, caplog):
    expected = judge(folder).score(QUESTIONS, ANSWERS, REFERENCES)
    rows, stop = forward_rows(folder, fail_above=2)
    scores = judge(folder).score(QUESTIONS, ANSWERS, REFERENCES)
    stop()
    assert scores == pytest.approx(expected, abs=1e-6)
    assert rows == [2, 2, 2, 2]
    assert "goes on with 4" in caplog.text
    assert "goes on with 2" in caplog.text


def test_lack_of_memory_for_one_input_is_an_error(folder):
    _, stop = forward_rows(folder, fail_above=0)
    with pytest.raises(UQHarnessError, match=r"out of memory.*cpu"):
        judge(folder).score(QUESTIONS, ANSWERS, REFERENCES)
    stop()


def test_half_precision_gives_nearly_the_same(folder):
    expected = judge(folder).score(QUESTIONS, ANSWERS, REFERENCES)
    scores = judge(folder, dtype="bfloat16").score(QUESTIONS, ANSWERS, REFERENCES)
    assert scores == pytest.approx(expected, abs=0.1)
    assert pytorch.load(folder, "cpu", "bfloat16").model.dtype == torch.bfloat16


def test_a_model_is_loaded_once(folder):
    judge(folder).prepare()
    before = pytorch.load.cache_info().misses
    judge(folder, threshold=0.9, batch_size=2).score(QUESTIONS, ANSWERS, REFERENCES)
    assert pytorch.load.cache_info().misses == before


def test_no_questions_give_no_scores(folder):
    assert judge(folder).score([], [], []) == []


def test_a_missing_model_is_reported_at_once_when_offline(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    start = time.monotonic()
    with pytest.raises(UQHarnessError, match=r'nobody/has-this.*offline.*"model": "/path".*token_recall'):
        judge("nobody/has-this").prepare()
    assert time.monotonic() - start < 5


def test_a_missing_folder_is_reported(tmp_path):
    with pytest.raises(UQHarnessError, match="no such folder"):
        judge(str(tmp_path / "nowhere")).prepare()


def test_an_empty_folder_is_reported(tmp_path):
    with pytest.raises(UQHarnessError, match="cannot load its model"):
        judge(str(tmp_path)).prepare()


def test_a_model_without_a_trained_classifier_is_refused(folder, tmp_path):
    plain = save_bert(tmp_path)
    BertModel.from_pretrained(folder).save_pretrained(plain)
    with pytest.raises(UQHarnessError, match="no trained weights for classifier"):
        judge(plain).prepare()


@pytest.mark.parametrize(("settings", "words"), [({"num_labels": 3}, "3 classes"), ({"type_vocab_size": 1}, "types")])
def test_another_kind_of_model_is_refused(tmp_path, settings, words):
    with pytest.raises(UQHarnessError, match=words):
        judge(save_bert(tmp_path, VOCABULARY, **settings)).prepare()


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_an_unusable_device_is_reported(folder, device):
    with pytest.raises(UQHarnessError, match=f"device='{device}'"):
        judge(folder, device=device).prepare()
