"""``sp_token=measured``: the model's own scores choose the token, the same ones that ``uq-harness sps`` finds."""

from importlib.resources import files

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.studies.sps.data import demo_model
from uq_harness import UncertaintyModel
from uq_harness.answering.measured_token import MESSAGE, questions
from uq_harness.answering.prompts import PromptText
from uq_harness.demo import MODEL_DIR
from uq_harness.demo.world import PROMPT
from uq_harness.errors import UQHarnessError
from uq_harness.models import UQHFLM
from uq_harness.studies.sps.measure import measure
from uq_harness.studies.sps.prompts import read_sources

FILE = str(files("uq_harness.answering").joinpath("questions.jsonl"))


@pytest.fixture(scope="module")
def lm() -> UQHFLM:
    return demo_model(methods="semgrad", sp_token="measured")


def test_the_questions_are_put_as_the_packages_tasks_put_theirs() -> None:
    assert MESSAGE == PROMPT
    assert len(questions()) >= 32
    wordings = [text for asked in questions() for text in asked]
    assert len(set(wordings)) == len(wordings)


def test_scores_are_those_of_the_sps_command(lm: UQHFLM) -> None:
    found = lm.get_model_info()["uncertainty"]["sp_token_measured"]
    plain = measure(lm, read_sources([FILE]))
    means = plain.token_scores(plain.average)[-plain.candidates :]
    assert [one["position"] for one in found["scores"]] == list(range(-plain.candidates, 0))
    assert [one["text"] for one in found["scores"]] == ["?", "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"]
    assert [one["sps"] for one in found["scores"]] == pytest.approx(means, abs=1e-5)
    assert found["position"] == plain.recommended.position
    assert (found["questions"], found["paraphrases"]) == (36, 108)


def test_it_is_the_position_that_answers_are_scored_at(lm: UQHFLM) -> None:
    position = lm.get_model_info()["uncertainty"]["sp_token_measured"]["position"]
    assert lm.get_model_info()["uncertainty"]["sp_token"] == str(position)
    prompts = lm._encoder.encode([lm._as_asked("Who are you?")])
    assert [prompt.semantic_token for prompt in prompts] == [position]


def test_the_batch_size_changes_nothing(lm: UQHFLM) -> None:
    alone = demo_model(methods="semgrad", sp_token="measured", batch_size=1)
    assert (
        alone.get_model_info()["uncertainty"]["sp_token_measured"]
        == (lm.get_model_info()["uncertainty"]["sp_token_measured"])
    )


def test_all_candidates_are_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "lm_eval")
    demo_model(methods="semgrad", sp_token="measured")
    (line,) = [line for line in caplog.messages if line.startswith("sp_token=measured")]
    assert "in layers 3 to 5 over 36 questions: -6 '?' " in line
    assert line.count("(taken)") == 1


def test_prompts_without_the_template_are_refused(lm: UQHFLM) -> None:
    with pytest.raises(UQHarnessError, match=r"measured with the model's chat template, .* add --apply_chat_template"):
        lm._encoder.encode([PromptText("Who?", "Who?", "Who?")])


def test_the_python_api_measures_with_its_own_prompts(lm: UQHFLM) -> None:
    demo = AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)
    same = UncertaintyModel(*demo, methods="semgrad", sp_token="measured", prompt=PROMPT)
    ours, theirs = same.describe()["sp_token_measured"], lm.get_model_info()["uncertainty"]["sp_token_measured"]
    assert ours["position"] == theirs["position"]
    assert [one["sps"] for one in ours["scores"]] == pytest.approx([one["sps"] for one in theirs["scores"]], abs=1e-5)
    bare = UncertaintyModel(*demo, methods="semgrad", sp_token="measured", apply_chat_template=False)
    assert [one["position"] for one in bare.describe()["sp_token_measured"]["scores"]] == [-1]
    (answer,) = bare.answer(["Who are you?"])
    assert answer.to_dict()["semantic_token"] == {"position": -1, "text": "?"}
