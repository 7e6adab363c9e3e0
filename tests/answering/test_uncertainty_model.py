"""The way in for applications: the same numbers as a stock run of lm_eval, conversations, and wrong use."""

import copy
import dataclasses
import json
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import lm_eval
import pytest
import torch
from lm_eval.tasks import TaskManager
from transformers import AutoModelForCausalLM, AutoTokenizer

import uq_harness
from tests.support import read_questions
from uq_harness import ScoredAnswer, UncertaintyModel
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Samples
from uq_harness.methods import all_methods

TASK_PROMPT = "Please directly answer the following question with one or few words:\n{question}"
WITHOUT_MODELS = {"nli_model": "lexical", "similarity_model": "lexical"}
ASKED = [row["question"] for row in read_questions(QUESTIONS)[:6]]


@pytest.fixture(scope="module")
def demo() -> tuple:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)


@pytest.fixture(scope="module")
def answered(demo: tuple) -> list[ScoredAnswer]:
    """Answers scored by every method, with the prompt and limit of the package's tasks."""
    model = UncertaintyModel(*demo, methods="all", prompt=TASK_PROMPT, max_new_tokens=150, **WITHOUT_MODELS)
    return model.answer(ASKED)


class TestNumbers:
    def test_are_those_of_a_stock_run(self, answered: list[ScoredAnswer]) -> None:
        uq_harness.register()
        run = lm_eval.simple_evaluate(
            model="uq-hf",
            model_args={"pretrained": "demo", "methods": "all", **WITHOUT_MODELS},
            tasks=["uq_demo"],
            apply_chat_template=True,
            batch_size=16,
            device="cpu",
            limit=len(ASKED),
            bootstrap_iters=0,
            task_manager=TaskManager(include_defaults=False),
        )
        records = [sample["doc"]["uq"] for sample in run["samples"]["uq_demo"]]
        for answer, record in zip(answered, records, strict=True):
            found = answer.to_dict()
            assert set(found["uncertainty"]) == set(all_methods())
            for field in set(found) - {"question", "cost"}:
                assert found[field] == record[field], field

    def test_do_not_depend_on_what_is_asked_beside(self, demo: tuple, answered: list[ScoredAnswer]) -> None:
        model = UncertaintyModel(*demo, methods="all", prompt=TASK_PROMPT, max_new_tokens=150, **WITHOUT_MODELS)
        alone = model.answer([ASKED[3]])[0]
        assert alone.token_ids == answered[3].token_ids
        for method, score in answered[3].uncertainty.items():
            assert alone.uncertainty[method] == pytest.approx(score, rel=1e-4, abs=1e-9, nan_ok=True), method

    def test_samples_change_with_the_seed_alone(self, demo: tuple) -> None:
        def texts(seed: int) -> list[str]:
            model = UncertaintyModel(*demo, methods="ln_pe", seed=seed)
            (answer,) = model.answer([ASKED[1]])
            return [sample.text for sample in answer.evidence[Samples(10, 1.0)]]

        assert texts(1) == texts(1) != texts(2)


class TestAnswer:
    def test_tokens_make_up_the_text(self, answered: list[ScoredAnswer], demo: tuple) -> None:
        for answer in answered:
            assert "".join(answer.tokens) == demo[1].decode(answer.token_ids)
            assert "".join(answer.tokens).startswith(answer.text)
            assert len(answer.tokens) == len(answer.token_ids) == len(answer.logprobs) == len(answer.entropies)
            assert answer.uncertainty["g_nll"] == pytest.approx(-sum(answer.logprobs))

    def test_a_notebook_shows_its_tokens_coloured(self, answered: list[ScoredAnswer]) -> None:
        answer = answered[0]
        page = answer._repr_html_()
        assert page is not None
        shown = re.findall(r'<span class="uq-token[^"]*" title="([^"]*)"', page)
        assert len(shown) == len([text for text in answer.to_dict()["tokens"] if text]) + 1  # and the end
        assert f"log-probability {answer.logprobs[0]:.3f}" in shown[0]
        assert "Coloured by entropy" in answer.to_html("entropy")
        with pytest.raises(UQHarnessError, match="use log-probability, entropy"):
            answer.to_html("doubt")

    def test_is_shown_in_a_line(self, answered: list[ScoredAnswer], demo: tuple) -> None:
        answer = dataclasses.replace(answered[0], uncertainty={"g_nll": 1 / 3, "semgrad": math.nan}, text="a\nb" * 100)
        shown = repr(answer)
        assert shown.startswith("ScoredAnswer('a\\nba\\nb")
        assert "…', g_nll=0.3333, semgrad=nan; question='" in shown
        assert len(shown) < 200
        assert len(repr(answered[0])) < 250
        assert f"… {len(answered[0].uncertainty) - 5} more; question=" in repr(answered[0])
        model = UncertaintyModel(*demo, methods="g_nll+semgrad")
        assert (
            repr(model)
            == f"UncertaintyModel({str(MODEL_DIR)!r}, methods='g_nll+semgrad', dtype='float32', device='cpu')"
        )

    def test_cannot_be_changed_and_can_be_stored(self, answered: list[ScoredAnswer]) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            answered[0].text = "another"  # type: ignore[misc]
        defined = {name: score for name, score in answered[0].uncertainty.items() if not math.isnan(score)}
        one = dataclasses.replace(answered[0], uncertainty=defined)  # no nan equals another
        assert pickle.loads(pickle.dumps(one)) == one
        assert json.loads(json.dumps(answered[0].to_dict()))["answer"] == answered[0].text

    def test_stops_before_a_stop_string(self, demo: tuple, answered: list[ScoredAnswer]) -> None:
        end = answered[0].text[3:5]
        (answer,) = UncertaintyModel(*demo, prompt=TASK_PROMPT, stop=end).answer(ASKED[:1])
        assert answer.text == answered[0].text[: answered[0].text.index(end)]
        assert answer.complete

    def test_cut_by_the_limit_is_not_complete(self, demo: tuple) -> None:
        (answer,) = UncertaintyModel(*demo, max_new_tokens=1).answer(ASKED[:1])
        assert len(answer.token_ids) == 1
        assert not answer.complete

    def test_thinking_is_neither_answer_nor_scored(self, demo: tuple, answered: list[ScoredAnswer]) -> None:
        whole = answered[0]
        model = UncertaintyModel(*demo, prompt=TASK_PROMPT, think_end_token=whole.token_ids[0])
        (answer,) = model.answer(ASKED[:1])
        assert answer.token_ids == whole.token_ids[1:]
        assert answer.uncertainty["g_nll"] == pytest.approx(-sum(whole.logprobs[1:]), rel=1e-5)

    def test_nan_logits_give_nan_scores_and_null_in_json(self, demo: tuple) -> None:
        broken = copy.deepcopy(demo[0])
        with torch.no_grad():
            broken.get_output_embeddings().weight[5].fill_(float("nan"))
        (answer,) = UncertaintyModel(broken, demo[1], max_new_tokens=3).answer(ASKED[:1])
        assert all(math.isnan(score) for score in answer.uncertainty.values())
        assert set(answer.to_dict()["uncertainty"].values()) == {None}


class TestConversation:
    def messages(self, *contents: str, system: str = "") -> list[dict[str, str]]:
        turns = [{"role": "system", "content": system}] if system else []
        roles = ("user", "assistant")
        return turns + [{"role": roles[i % 2], "content": text} for i, text in enumerate(contents)]

    def test_of_one_message_is_the_plain_question(self, demo: tuple) -> None:
        model = UncertaintyModel(*demo)
        plain, chat = model.answer([ASKED[0], self.messages(ASKED[0])])
        assert plain == chat

    def test_earlier_turns_and_system_prompt_are_read(self, demo: tuple) -> None:
        model = UncertaintyModel(*demo)
        asked = [
            ASKED[0],
            self.messages(ASKED[1], "I do not know.", ASKED[0]),
            self.messages(ASKED[0], system="Talk like a pirate."),
        ]
        answers = model.answer(asked)
        assert {answer.question for answer in answers} == {ASKED[0]}
        assert len({answer.uncertainty["semgrad"] for answer in answers}) == 3

    def test_prompts_that_state_an_answer_keep_the_earlier_turns(self, demo: tuple) -> None:
        model = UncertaintyModel(*demo)
        text = model._style.prompt(self.messages("Hello!", "Hello.", "Who?", system="Be brief."), "it")
        (prompt,) = model._encoder.encode([text])
        stated = demo[1].decode(prompt.restate("Who else?"))
        assert stated == text.text.replace("Who?", "Who else?")

    def test_a_template_that_strips_messages_keeps_them_too(self, demo: tuple) -> None:
        tokenizer = copy.deepcopy(demo[1])
        tokenizer.chat_template = (
            "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] | trim }}"
            "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        )
        model = UncertaintyModel(demo[0], tokenizer)
        text = model._style.prompt(self.messages("Hello!", "Hello.", " Who? "), "it")
        (prompt,) = model._encoder.encode([text])
        assert "Hello." in tokenizer.decode(prompt.restate("Who else?"))

    @pytest.mark.parametrize(
        ("messages", "message"),
        [
            ([], "question 1 is .*: it needs to be a text, or messages"),
            ([{"role": "user"}], "question 1, message 1, is .* a role and a content"),
            ([{"role": "user", "content": ["image"]}], "question 1, message 1, is .* both texts"),
            ([{"role": "user", "content": " "}], "question 1, message 1, is blank"),
            ([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi"}], "message of the assistant"),
        ],
    )
    def test_of_another_shape_is_refused(self, demo: tuple, messages: list, message: str) -> None:
        with pytest.raises(UQHarnessError, match=message):
            UncertaintyModel(*demo, methods="g_nll").answer([messages])

    def test_that_the_template_refuses_names_the_template(self, demo: tuple) -> None:
        tokenizer = copy.deepcopy(demo[1])
        tokenizer.chat_template = (
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
            + tokenizer.chat_template
        )
        model = UncertaintyModel(demo[0], tokenizer, methods="g_nll")
        with pytest.raises(UQHarnessError, match="chat template refuses question 1: no system role"):
            model.answer([self.messages("Who?", system="Be brief.")])


class TestBaseModel:
    def test_takes_plain_prompts(self, demo: tuple) -> None:
        tokenizer = copy.deepcopy(demo[1])
        tokenizer.chat_template = None
        model = UncertaintyModel(demo[0], tokenizer, prompt="Q: {question}\nA:", apply_chat_template=False)
        (answer,) = model.answer(["Who {wrote} it?"])
        assert answer.question == "Who {wrote} it?"
        assert all(math.isfinite(score) for score in answer.uncertainty.values())
        with pytest.raises(UQHarnessError, match="conversation"):
            model.answer([[{"role": "user", "content": "Who?"}]])

    def test_without_a_chat_template_is_not_taken_for_a_chat_model(self, demo: tuple) -> None:
        tokenizer = copy.deepcopy(demo[1])
        tokenizer.chat_template = None
        with pytest.raises(UQHarnessError, match=r"no chat template: set tokenizer\.chat_template, or .*=False"):
            UncertaintyModel(demo[0], tokenizer)

    def test_tokenizer_and_model_are_left_as_they_were(self, demo: tuple) -> None:
        tokenizer = copy.deepcopy(demo[1])
        tokenizer.pad_token = None
        before = pickle.dumps(tokenizer)
        (answer,) = UncertaintyModel(demo[0], tokenizer).answer(ASKED[:1])
        assert pickle.dumps(tokenizer) == before
        assert answer == UncertaintyModel(*demo).answer(ASKED[:1])[0]


class TestByName:
    def test_has_the_numbers_of_the_loaded_model(self, demo: tuple) -> None:
        settings = {"methods": "g_nll+degree", "entropy_samples": 2, "nli_model": "lexical", "max_new_tokens": 20}
        loaded = UncertaintyModel(*demo, **settings)
        by_name = UncertaintyModel.from_pretrained(str(MODEL_DIR), device="cpu", dtype="float32", **settings)
        assert by_name.answer(ASKED) == loaded.answer(ASKED)
        assert by_name.describe() == loaded.describe()

    def test_takes_what_loads_a_model(self) -> None:
        made = UncertaintyModel.from_pretrained(
            "demo",
            methods="g_nll",
            device="cpu",
            dtype="bfloat16",
            attn_implementation="eager",
            tokenizer=str(MODEL_DIR),
            enable_thinking=False,
            chat_template_args={"date": "today"},
            add_bos_token=False,
            batch_size=2,
        )
        said = made.describe()
        assert (said["model"], said["dtype"], said["add_bos_token"]) == ("demo", "torch.bfloat16", False)
        assert said["chat_template_args"] == {"date": "today", "enable_thinking": False}
        assert made.answer(ASKED[:1])[0].text

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"pretrained": "/nowhere/model"}, "could not be loaded"),
            ({"pretrained": 3}, "pretrained=3 is not allowed"),
            ({"methods": "semgard"}, "did you mean semgrad"),
            ({"max_new_token": 3}, "unknown option 'max_new_token': did you mean max_new_tokens"),
            ({"devize": "cpu"}, "unknown option 'devize': did you mean device"),
            ({"nli_modle": "lexical"}, "unknown option 'nli_modle'"),
            ({"dtype": "float3"}, "dtype='float3' is not allowed"),
            ({"device": "gpu"}, "device='gpu' is not allowed: this machine has .*cpu"),
            ({"device": "cuda:99"}, "device='cuda:99' is not allowed: this machine has .*cpu"),
            ({"device": 3}, "device='3' is not allowed"),
            ({"batch_size": "auto"}, "batch_size='auto'"),
            ({"enable_thinking": "perhaps"}, "enable_thinking='perhaps'"),
            ({"truncation": True}, "truncation is an argument of runs of lm_eval alone"),
            ({"save_samples": True}, "save_samples is an argument of runs of lm_eval alone"),
        ],
        ids=str,
    )
    def test_wrong_use_is_refused(self, arguments: dict, message: str) -> None:
        with pytest.raises(UQHarnessError, match=message):
            UncertaintyModel.from_pretrained(**{"pretrained": "demo", **arguments})

    def test_a_loaded_model_has_a_constructor(self, demo: tuple) -> None:
        with pytest.raises(UQHarnessError, match="UncertaintyModel\\(model, tokenizer\\)"):
            UncertaintyModel.from_pretrained(demo[0])


class TestWrongUse:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"methods": "semgard"}, "did you mean semgrad"),
            ({"max_new_token": 3}, "unknown option 'max_new_token': did you mean max_new_tokens"),
            ({"nli_modle": "lexical"}, "unknown option 'nli_modle'"),
            ({"hybrid_beta": 0}, "hybrid_beta=0"),
            ({"max_new_tokens": 0}, "max_new_tokens=0 .* from 1 on"),
            ({"max_new_tokens": 10**6}, "leaves no space for a prompt"),
            ({"batch_size": "auto"}, "batch_size='auto'"),
            ({"prompt": "Answer!"}, r"prompt='Answer!' has no place .* \{question\}"),
            ({"sp_token": "middle"}, "sp_token='middle'"),
            *(
                ({"chat_template_args": {name: True}}, f"chat_template_args has {name}, which uq-harness sets")
                for name in ("tokenize", "messages", "conversation", "add_generation_prompt")
            ),
        ],
    )
    def test_is_refused_when_the_model_is_made(self, demo: tuple, arguments: dict, message: str) -> None:
        with pytest.raises(UQHarnessError, match=message):
            UncertaintyModel(*demo, **arguments)

    def test_a_name_in_place_of_a_model(self, demo: tuple) -> None:
        with pytest.raises(UQHarnessError, match=r"the model is 'gpt2': load it first"):
            UncertaintyModel("gpt2", demo[1])
        with pytest.raises(UQHarnessError, match=r"the tokenizer is 'gpt2': load it first"):
            UncertaintyModel(demo[0], "gpt2")

    def test_a_model_in_training_mode(self, demo: tuple) -> None:
        with pytest.raises(UQHarnessError, match=r"call model.eval\(\) first"):
            UncertaintyModel(copy.deepcopy(demo[0]).train(), demo[1])

    @pytest.mark.parametrize(("question", "message"), [(" ", "question 2 is blank"), ("\ud800?", "surrogate")])
    def test_a_question_that_is_none(self, demo: tuple, question: str, message: str) -> None:
        with pytest.raises(UQHarnessError, match=message):
            UncertaintyModel(*demo, methods="g_nll").answer(["Who?", question])

    def test_no_question_has_no_answer(self, demo: tuple) -> None:
        assert UncertaintyModel(*demo, methods="g_nll").answer([]) == []


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, uq_harness; print({'torch', 'transformers', 'numpy', 'lm_eval'} & set(sys.modules))"
    root = Path(uq_harness.__file__).parents[1]
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True).stdout.strip() == "set()"
    )
