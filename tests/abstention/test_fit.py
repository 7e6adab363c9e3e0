"""A policy knows the model, prompt and settings that it was made from, and refuses others."""

import copy
import json
import logging
from pathlib import Path
from typing import Any

import lm_eval
import pytest
import torch
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
from transformers import AutoModelForCausalLM, AutoTokenizer

import uq_harness
from tests.support import warnings_of
from uq_harness import Abstainer, UncertaintyModel
from uq_harness.abstention.policy import as_values, make_policy
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.results.load import load_runs

PROMPT = "Please directly answer the following question with one or few words:\n{question}"
METHODS = {"methods": "semgrad+degree", "entropy_samples": 2, "nli_model": "lexical"}
AS_IN_THE_RUN = {"prompt": PROMPT, "max_new_tokens": 150, **METHODS}


@pytest.fixture(scope="module")
def demo() -> tuple:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)


def policies(folder: Path, **settings: Any) -> dict[str, dict[str, Any]]:
    """The policies of a real run, one a method, as files hold them."""
    uq_harness.register()
    tracker = EvaluationTracker(output_path=str(folder))
    found = lm_eval.simple_evaluate(
        model="uq-hf",
        model_args={"pretrained": "demo", **METHODS},
        tasks=["uq_demo"],
        batch_size=16,
        device="cpu",
        limit=24,
        bootstrap_iters=0,
        evaluation_tracker=tracker,
        task_manager=TaskManager(include_defaults=False),
        **{"apply_chat_template": True, **settings},
    )
    samples = found.pop("samples")
    tracker.save_results_aggregated(results=found, samples=samples)
    tracker.save_results_samples("uq_demo", samples["uq_demo"])
    (run,) = load_runs(folder)
    return {method: json.loads(json.dumps(as_values(make_policy(run, method, 0.6, 0.5)))) for method in run.uncertainty}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return policies(tmp_path_factory.mktemp("run"))


@pytest.fixture
def load(tmp_path: Path):
    def load(content: dict[str, Any]) -> Abstainer:
        (tmp_path / "threshold.json").write_text(json.dumps(content), encoding="utf-8")
        return Abstainer.load(tmp_path / "threshold.json")

    return load


@pytest.mark.parametrize("method", ["semgrad", "degree"])
def test_a_model_as_in_the_run_fits(
    method: str, written: dict, load: Any, demo: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    policy = load(written[method])
    model = UncertaintyModel(*demo, **AS_IN_THE_RUN)
    policy.check(model)
    policy.check(UncertaintyModel.from_pretrained("demo", device="cpu", **AS_IN_THE_RUN))
    assert not warnings_of(caplog)
    answer = model.answer(["What do people call the capital city of Kizivarra?"])[0]
    assert policy.should_answer(answer) == (answer.uncertainty[method] < policy.threshold)


@pytest.mark.parametrize(
    ("method", "changes", "message"),
    [
        ("semgrad", {"prompt": "{question}"}, r"prompt \('Please .* in the run, '\{question\}' here\)"),
        ("semgrad", {"max_new_tokens": 20}, r"max_new_tokens \(150 in the run, 20 here\)"),
        ("semgrad", {"stop": "\n"}, r"stop \(\[\] in the run, \['\\n'\] here"),
        ("semgrad", {"semgrad_norm": "l2"}, "semgrad_norm .'l1' in the run, 'l2' here"),
        ("semgrad", {"sp_token": "last"}, "sp_token .'auto' in the run, '-1' here"),
        ("semgrad", {"think_end_token": "</think>"}, r"think_end_token \(None in the run"),
        ("semgrad", {"chat_template_args": {"enable_thinking": False}}, r"chat_template_args \({} in the run"),
        ("semgrad", {"apply_chat_template": False}, "the chat template .'[0-9a-f]{8}' in the run, 'none' here"),
        ("semgrad", {"max_length": 400}, "max_length .None in the run, 400 here"),
        (
            "semgrad",
            {"methods": "g_nll+degree"},
            "of semgrad, and the model has g_nll, degree: make it",
        ),
        ("degree", {"entropy_samples": 3}, "entropy_samples .2 in the run, 3 here"),
        ("degree", {"seed": 1}, "seed .'1234' in the run, 1 here"),
    ],
    ids=str,
)
def test_what_differs_is_named(
    method: str, changes: dict[str, Any], message: str, written: dict, load: Any, demo: tuple
) -> None:
    with pytest.raises(UQHarnessError, match=message):
        load(written[method]).check(UncertaintyModel(*demo, **{**AS_IN_THE_RUN, **changes}))


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"entropy_samples": 3}, {"methods": "semgrad+degree+g_nll"}, {"batch_size": 3}]
)
def test_what_the_method_does_not_read_may_differ(
    changes: dict[str, Any], written: dict, load: Any, demo: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**AS_IN_THE_RUN, **changes}
    load(written["semgrad"]).check(UncertaintyModel(*demo, **settings))
    assert not warnings_of(caplog)


def test_other_weights_and_types_are_other_models(written: dict, load: Any, demo: tuple) -> None:
    other = copy.deepcopy(demo[0])
    with torch.no_grad():
        other.get_output_embeddings().weight.mul_(1.5)
    policy = load(written["semgrad"])
    with pytest.raises(UQHarnessError, match=r"the model's weights \('demo"):
        policy.check(UncertaintyModel(other, demo[1], **AS_IN_THE_RUN))
    with pytest.raises(UQHarnessError, match=r"dtype \('float32' in the run, 'bfloat16' here"):
        policy.check(UncertaintyModel(copy.deepcopy(demo[0]).bfloat16(), demo[1], **AS_IN_THE_RUN))


def test_another_chat_template_is_another_prompt(written: dict, load: Any, demo: tuple) -> None:
    tokenizer = copy.deepcopy(demo[1])
    tokenizer.chat_template += "\n"
    with pytest.raises(UQHarnessError, match="the chat template"):
        load(written["semgrad"]).check(UncertaintyModel(demo[0], tokenizer, **AS_IN_THE_RUN))


def test_other_versions_are_a_warning(written: dict, load: Any, demo: tuple, caplog: pytest.LogCaptureFixture) -> None:
    content = copy.deepcopy(written["semgrad"])
    content["source"]["versions"]["transformers"] = "4.0.0"
    load(content).check(UncertaintyModel(*demo, **AS_IN_THE_RUN))
    assert "other versions: transformers ('4.0.0' in the run" in caplog.text


def test_what_an_older_file_does_not_say_is_a_warning(
    written: dict, load: Any, demo: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    content = copy.deepcopy(written["semgrad"])
    for field in ("weights", "prompts", "generation"):
        del content["source"][field]
    model = UncertaintyModel.from_pretrained("demo", device="cpu", **AS_IN_THE_RUN)
    load(content).check(model)
    assert "could not be checked: the model's weights, stop, max_new_tokens, prompt" in caplog.text
    with pytest.raises(UQHarnessError, match=r"model \('demo' in the run, '.*model' here"):
        load(content).check(UncertaintyModel(*demo, **AS_IN_THE_RUN))


def test_a_system_prompt_of_the_run_needs_conversations(
    tmp_path: Path, load: Any, demo: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    content = policies(tmp_path / "run", system_instruction="Be brief.", gen_kwargs="max_gen_toks=20")["semgrad"]
    caplog.set_level(logging.WARNING, "uq_harness")
    caplog.clear()
    load(content).check(UncertaintyModel(*demo, methods="semgrad", max_new_tokens=20))
    assert "system_instruction='Be brief.'): ask with conversations" in caplog.text


@pytest.mark.parametrize("further", [{"system_instruction": "Be brief."}, {"num_fewshot": 2}], ids=str)
def test_the_chat_template_counts_where_the_prompt_has_more_than_a_question(
    further: dict[str, Any], written: dict, load: Any, demo: tuple
) -> None:
    content = copy.deepcopy(written["semgrad"])
    content["source"]["prompts"].update(further)
    policy = load(content)
    policy.check(UncertaintyModel(*demo, **AS_IN_THE_RUN))
    tokenizer = copy.deepcopy(demo[1])
    tokenizer.chat_template += "\n"
    with pytest.raises(UQHarnessError, match="the chat template"):
        policy.check(UncertaintyModel(demo[0], tokenizer, **AS_IN_THE_RUN))


@pytest.mark.parametrize(
    ("name", "run", "same", "other"),
    [
        ("prompt", "ANSWER: {{question}}", "ANSWER: {question}", "answer: {question}"),
        ("prompt", "Use /usr/lib/a: {{question}}", "Use /usr/lib/a: {question}", "Use /opt/lib/a: {question}"),
        ("prompt", "question", "{question}", PROMPT),
        ("stop", ["Q:", "/usr/lib/a"], ["/usr/lib/a", "Q:"], ["/usr/lib/a", "q:"]),
        ("stop", ["Q:", "/usr/lib/a"], ["/usr/lib/a", "Q:"], ["/opt/lib/a", "Q:"]),
        ("think_end_token", "</THINK>", "</THINK>", "</think>"),
        ("think_end_token", "5", 5, 6),
        ("max_length", "400", 400, 399),
        ("add_bos_token", "false", False, True),
        ("chat_template_args", {"a": "Yes"}, {"a": "Yes"}, {"a": "yes"}),
        ("enable_thinking", "False", {"enable_thinking": False}, {"enable_thinking": True}),
    ],
)
def test_texts_are_compared_as_they_are(
    name: str, run: Any, same: Any, other: Any, written: dict, load: Any, demo: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    content = copy.deepcopy(written["semgrad"])
    places = {"prompt": ("prompts", "doc_to_text"), "stop": ("generation", "until")}
    part, key = places.get(name, ("model_args", name))
    content["source"][part][key] = run
    here = "chat_template_args" if name == "enable_thinking" else name
    policy = load(content)
    policy.check(UncertaintyModel(*demo, **{**AS_IN_THE_RUN, here: same}))
    assert not warnings_of(caplog)
    with pytest.raises(UQHarnessError, match=rf"settings, and promises nothing here: {here} \("):
        policy.check(UncertaintyModel(*demo, **{**AS_IN_THE_RUN, here: other}))


@pytest.mark.parametrize("template", ["{{ question + 1 }}", "{{ question / 2 }}", "{{ other }}", "{% if %}", "clue"])
def test_a_template_that_a_question_alone_does_not_fill_is_a_warning(
    template: str, written: dict, load: Any, demo: tuple, caplog: pytest.LogCaptureFixture
) -> None:
    content = copy.deepcopy(written["semgrad"])
    content["source"]["prompts"]["doc_to_text"] = template
    load(content).check(UncertaintyModel(*demo, **AS_IN_THE_RUN))
    assert "could not be checked: prompt" in caplog.text


def test_what_says_nothing_cannot_be_checked(written: dict, load: Any, demo: tuple) -> None:
    with pytest.raises(UQHarnessError, match="does not say which run it was made from"):
        Abstainer("semgrad", 0.5, 0.1, 0.05).check(UncertaintyModel(*demo))
    with pytest.raises(UQHarnessError, match="give an UncertaintyModel"):
        load(written["semgrad"]).check(demo[0])
