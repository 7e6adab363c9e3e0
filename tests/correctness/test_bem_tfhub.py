"""BEM on TensorFlow, with tiny SavedModels of random weights."""

import numpy as np
import pytest

from tests.correctness.golden import CASES, vocabulary
from tests.support import requires_shared
from uq_harness.correctness.base import build_judge
from uq_harness.correctness.bem import tfhub
from uq_harness.errors import UQHarnessError

tf = pytest.importorskip("tensorflow")

QUESTIONS = ["capital of france?", "who wrote it?", "how long is the river?"]
ANSWERS = ["paris", "it was jane austen, i think", ""]
REFERENCES = [["paris", "paris, france"], ["austen"], ["9 kilometres", "nine"]]
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789?,"
SMALL_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "none", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
SIGNATURE = [{name: tf.TensorSpec([None, 512], tf.int64, name=name) for name in ("input_ids", "segment_ids")}]


class Hash(tf.Module):
    """Each token is a sine of its id; each segment's tokens are averaged."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(0)
        self.frequencies = tf.Variable(random.uniform(0.1, 1, (3, 8)).astype("float32"))
        self.head = tf.Variable(random.normal(size=(24, 2)).astype("float32"))

    @tf.function(input_signature=SIGNATURE)
    def __call__(self, inputs):
        ids = tf.cast(inputs["input_ids"], tf.float32)[..., None]
        means = []
        for segment in range(3):
            inside = (inputs["input_ids"] > 0) & (inputs["segment_ids"] == segment)
            weight = tf.cast(inside, tf.float32)[..., None]
            total = tf.reduce_sum(tf.sin(ids * self.frequencies[segment]) * weight, 1)
            means.append(total / tf.maximum(tf.reduce_sum(weight, 1), 1.0))
        return 4 * tf.concat(means, -1) @ self.head


class Attention(tf.Module):
    """One attention step from the first token over all 512 places, padding included."""

    def __init__(self, size):
        super().__init__()
        random = np.random.default_rng(1)
        self.tables = [tf.Variable(random.normal(size=(n, 4)).astype("float32")) for n in (size, 3, 512)]
        self.head = tf.Variable(random.normal(size=(4, 2)).astype("float32"))

    @tf.function(input_signature=SIGNATURE)
    def __call__(self, inputs):
        token, segment, place = self.tables
        states = tf.gather(token, inputs["input_ids"]) + tf.gather(segment, inputs["segment_ids"]) + place
        weights = tf.nn.softmax(tf.einsum("bd,bkd->bk", states[:, 0], states))
        return tf.tanh(tf.einsum("bk,bkd->bd", weights, states)) @ self.head


class WrongInputs(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 16], tf.int64)])
    def __call__(self, inputs):
        return inputs


def save(module, folder, tokens=None):
    tf.saved_model.save(module, str(folder))
    if tokens:
        (folder / "assets").mkdir(exist_ok=True)
        (folder / "assets" / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    return str(folder)


def judge(folder, **options):
    return build_judge({"name": "bem", "backend": "tfhub", "model": folder, **options})


def hash_probability(case):
    """`Hash` again, in NumPy, on golden ids without padding."""
    model = Hash()
    ids, segments = np.array(case["tf"]["input_ids"]), np.array(case["tf"]["segment_ids"])
    means = [
        np.sin(ids[segments == segment, None] * frequency.astype(float)).mean(0)
        for segment, frequency in enumerate(model.frequencies.numpy())
    ]
    logits = 4 * np.concatenate(means) @ model.head.numpy().astype(float)
    return 1 / (1 + np.exp(logits[0] - logits[1]))


@requires_shared
def test_scores_are_the_models_probabilities_of_the_golden_ids(tmp_path):
    cases = [case for case in CASES if case["reference"].strip()]
    scores = judge(save(Hash(), tmp_path, vocabulary())).score(
        [case["question"] for case in cases],
        [case["candidate"] for case in cases],
        [[case["reference"]] for case in cases],
    )
    assert scores == pytest.approx([hash_probability(case) for case in cases], abs=2e-3)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_batch_size_does_not_change_scores(tmp_path, batch_size):
    folder = save(Attention(len(SMALL_VOCABULARY)), tmp_path, SMALL_VOCABULARY)
    expected = judge(folder).score(QUESTIONS, ANSWERS, REFERENCES)
    scores = judge(folder, batch_size=batch_size).score(QUESTIONS, ANSWERS, REFERENCES)
    assert scores == pytest.approx(expected, abs=1e-6)
    assert max(expected) - min(expected) > 1e-3


def test_vocabulary_may_lie_elsewhere(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\n".join(SMALL_VOCABULARY), encoding="utf-8")
    inside = save(Hash(), tmp_path / "inside", SMALL_VOCABULARY)
    outside = save(Hash(), tmp_path / "outside")
    expected = judge(inside).score(QUESTIONS, ANSWERS, REFERENCES)
    assert judge(outside, vocab=str(path)).score(QUESTIONS, ANSWERS, REFERENCES) == expected


def test_a_missing_vocabulary_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("uq_harness.correctness.bem.tfhub.VOCABULARY", "nobody/has-this")
    with pytest.raises(UQHarnessError, match=r"vocabulary.*\"vocab\": \"/path/vocab.txt\".*assets/vocab.txt"):
        judge(save(Hash(), tmp_path)).prepare()


def test_a_file_that_is_no_vocabulary_is_refused(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("a\nb", encoding="utf-8")
    with pytest.raises(UQHarnessError, match=r"not a BERT vocabulary: \[UNK\], \[CLS\], \[SEP\] missing"):
        judge(save(Hash(), tmp_path), vocab=str(path)).prepare()


def test_a_folder_without_a_model_is_reported(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "vocab.txt").write_text("\n".join(SMALL_VOCABULARY), encoding="utf-8")
    with pytest.raises(UQHarnessError, match="cannot load its model"):
        judge(str(tmp_path)).prepare()


def test_a_model_with_other_inputs_is_refused(tmp_path):
    with pytest.raises(UQHarnessError, match="does not take BEM's inputs"):
        judge(save(WrongInputs(), tmp_path, SMALL_VOCABULARY)).prepare()


def test_an_unusable_device_is_reported(tmp_path):
    with pytest.raises(UQHarnessError, match="device='cuda:99' with TensorFlow, which sees CPU:0"):
        judge(save(Hash(), tmp_path, SMALL_VOCABULARY), device="cuda:99").prepare()


def test_the_processor_can_be_chosen(tmp_path):
    assert len(judge(save(Hash(), tmp_path, SMALL_VOCABULARY), device="cpu").score(QUESTIONS, ANSWERS, REFERENCES)) == 3


def test_lack_of_memory_halves_the_batch(tmp_path, monkeypatch):
    folder = save(Hash(), tmp_path, SMALL_VOCABULARY)
    expected = judge(folder).score(QUESTIONS, ANSWERS, REFERENCES)
    loaded = tfhub.load(folder, None, None)
    whole, rows = loaded.model, []

    def limited(inputs):
        rows.append(len(inputs["input_ids"]))
        if rows[-1] > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        return whole(inputs)

    monkeypatch.setattr(loaded, "model", limited)
    assert judge(folder).score(QUESTIONS, ANSWERS, REFERENCES) == pytest.approx(expected, abs=1e-6)
    assert rows == [5, 2, 2, 1]
