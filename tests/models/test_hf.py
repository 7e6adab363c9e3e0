"""The wrapper on the trained small model: golden numbers, other tasks, stop strings, thinking, cache, bad input."""

import json
import math
from pathlib import Path

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from tests.support import SHARED, requires_shared
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import QuestionInstance, record_of
from uq_harness.models import UQHFLM

GREEDY = {"until": [], "max_gen_toks": 150, "do_sample": False}


def golden() -> tuple[str, list[dict]]:
    content = json.loads((SHARED / "golden" / "gradients_qa.json").read_text())
    return content["template"], content["cases"]


def model(**kwargs) -> UQHFLM:
    settings = {
        "pretrained": str(SHARED / "models" / "qa-small"),
        "device": "cpu",
        "dtype": "float32",
        "batch_size": 16,
    }
    return UQHFLM(**{**settings, **kwargs})


def golden_model(**kwargs) -> UQHFLM:
    """The golden numbers take position -3; this tokenizer's header begins at -5, which `auto` finds."""
    return model(
        **{"sp_token": json.loads((SHARED / "golden" / "gradients_qa.json").read_text())["sp_position"], **kwargs}
    )


def ask(lm: UQHFLM, questions: list[str], template: str, gen_kwargs: dict = GREEDY, chat: bool = True) -> list[str]:
    requests = []
    for number, question in enumerate(questions):
        prompt = template.format(q=question)
        if chat:
            prompt = lm.apply_chat_template([{"role": "user", "content": prompt}])
        arguments = (prompt, dict(gen_kwargs))
        requests.append(QuestionInstance("generate_until", {}, arguments, 0, ("uq_test", number, 1), question=question))
    return lm.generate_until(requests, disable_tqdm=True)


def uncertainty(answer: str, method: str) -> float:
    return record_of(answer)["uncertainty"][method]


@requires_shared
class TestGoldenNumbers:
    """Answers token for token; scores and SemGrad's variants to the precision of the dtype."""

    @pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-6), ("float32", 1e-4)])
    @pytest.mark.parametrize("batch_size", [1, 16])
    def test_scores(self, dtype: str, rtol: float, batch_size: int) -> None:
        template, cases = golden()
        lm = golden_model(methods="sampling_free", dtype=dtype, batch_size=batch_size)
        for answer, case in zip(ask(lm, [c["question"] for c in cases], template), cases, strict=True):
            assert answer == case["answer"]
            assert record_of(answer)["token_ids"] == case["answer_ids"]
            for method in ("g_nll", "exgrad", "paragrad", "semgrad", "hybridgrad", "p_true"):
                assert uncertainty(answer, method) == pytest.approx(case[method], rel=rtol), method

    @pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-6), ("float32", 1e-4)])
    @pytest.mark.parametrize("variant", list(golden()[1][0]["semgrad_variants"]) if SHARED else [])
    def test_variants(self, variant: str, dtype: str, rtol: float) -> None:
        template, cases = golden()
        lm = golden_model(methods="semgrad", dtype=dtype, **dict([variant.split("=")]))
        for answer, case in zip(ask(lm, [c["question"] for c in cases], template), cases, strict=True):
            assert uncertainty(answer, "semgrad") == pytest.approx(case["semgrad_variants"][variant], rel=rtol)

    def test_alone_and_among_longer_prompts(self) -> None:
        template, cases = golden()
        questions = [case["question"] for case in cases[:6]]
        long = [f"{'Well, ' * 60}{question}" for question in questions]
        lm = golden_model(methods="sampling_free", batch_size=12)
        mixed = ask(lm, [*questions, *long], template)[:6]
        for answer, case in zip(mixed, cases, strict=False):
            assert record_of(answer)["token_ids"] == case["answer_ids"]
            for method in ("g_nll", "exgrad", "paragrad", "semgrad", "hybridgrad", "p_true"):
                assert uncertainty(answer, method) == pytest.approx(case[method], rel=1e-4), method


@requires_shared
class TestHabitsOfLmEval:
    def test_the_semantic_token_is_the_headers_first(self) -> None:
        lm = model(methods="semgrad")
        prompt = lm.apply_chat_template([{"role": "user", "content": "What is water?"}])
        request = QuestionInstance("generate_until", {}, (prompt, dict(GREEDY)), 0, question="What is water?")
        assert lm._prompts([request])[0].semantic_token == -5

    def test_other_tasks_run_as_with_hf(self) -> None:
        stock = HFLM(str(SHARED / "models" / "qa-small"), device="cpu", dtype="float32", batch_size=4)
        ours = model(batch_size=4)
        generate = [
            Instance("generate_until", {}, (f"<|im_start|>user\nWhat is {x}?<|im_end|>\n", {"until": ["e"]}), 0)
            for x in ("water", "a cell", "energy")
        ]
        assert ours.generate_until(generate, disable_tqdm=True) == stock.generate_until(generate, disable_tqdm=True)
        choose = [Instance("loglikelihood", {}, ("The sun is", end), 0) for end in (" hot", " cold")]
        assert ours.loglikelihood(choose, disable_tqdm=True) == stock.loglikelihood(choose, disable_tqdm=True)

    def test_prompts_from_lm_evals_request_cache_have_their_semantic_token(self) -> None:
        """lm_eval then renders nothing through this model."""
        template, cases = golden()
        prompt = golden_model(methods="semgrad").apply_chat_template(
            [{"role": "user", "content": template.format(q=cases[0]["question"])}]
        )
        request = QuestionInstance("generate_until", {}, (prompt, dict(GREEDY)), 0, question=cases[0]["question"])
        lm = model(methods="semgrad")
        lm.apply_chat_template = lambda *_: pytest.fail("a template was rendered by lm_eval")
        assert lm._prompts([request])[0].semantic_token == -5

    def test_questions_and_other_requests_keep_their_order(self) -> None:
        lm, prompt = model(methods="g_nll"), "<|im_start|>user\nWhat is water?<|im_end|>\n"
        other = Instance("generate_until", {}, (prompt, {"until": [], "max_gen_toks": 3}), 0)
        question = QuestionInstance("generate_until", {}, (prompt, dict(GREEDY)), 0, question="What is water?")
        kinds = [bool(record_of(text)) for text in lm.generate_until([other, question, other], disable_tqdm=True)]
        assert kinds == [False, True, False]

    def test_weights_passed_in_by_hand(self) -> None:
        from transformers import AutoModelForCausalLM

        template, cases = golden()
        weights = AutoModelForCausalLM.from_pretrained(SHARED / "models" / "qa-small", dtype=torch.float32)
        lm = UQHFLM(weights, batch_size=4, sp_token=-3)
        answer = ask(lm, [cases[0]["question"]], template)[0]
        assert uncertainty(answer, "semgrad") == pytest.approx(cases[0]["semgrad"], rel=1e-4)
        assert all(parameter.requires_grad for parameter in weights.parameters())

    @pytest.mark.parametrize(
        ("gen_kwargs", "named"),
        [({"do_sample": True}, "do_sample"), ({"temperature": 0.7}, "temperature"), ({"num_beams": 4}, "num_beams")],
    )
    def test_only_greedy_answers_have_an_uncertainty(self, gen_kwargs: dict, named: str) -> None:
        template, cases = golden()
        with pytest.raises(UQHarnessError, match=f"{named}.*greedy"):
            ask(model(), [cases[0]["question"]], template, {"until": [], "max_gen_toks": 8, **gen_kwargs})

    def test_template_arguments_move_the_semantic_token(self) -> None:
        lm = model(methods="semgrad", chat_template_args={"enable_thinking": False})
        lm.tokenizer.chat_template = lm.tokenizer.chat_template.replace(
            "<|im_start|>assistant\n", "<|im_start|>assistant\n{% if not enable_thinking %}<think></think>\n{% endif %}"
        )
        prompt = lm.apply_chat_template([{"role": "user", "content": "What is water?"}])
        request = QuestionInstance("generate_until", {}, (prompt, dict(GREEDY)), 0, question="What is water?")
        found = lm._prompts([request])[0]
        assert lm.tokenizer.decode([found.token_ids[found.semantic_token]]) == "<|im_start|>"
        assert found.semantic_token < -5


@requires_shared
class TestEndings:
    def test_tokens_from_a_stop_string_on_do_not_count(self) -> None:
        template, cases = golden()
        case = next(c for c in cases if len(c["answer"].split()) > 1 and len(c["answer_ids"]) > 4)
        first = case["answer"].split()[0]
        lm = model(methods="default")
        whole = ask(lm, [case["question"]], template)[0]
        cut = ask(lm, [case["question"]], template, {**GREEDY, "until": [case["answer"][len(first) :][:3]]})[0]
        assert cut == first
        n = record_of(cut)["answer_tokens"]
        assert record_of(cut)["token_ids"] == record_of(whole)["token_ids"][:n]
        expected = -sum(record_of(whole)["token_logprobs"][:n])
        assert uncertainty(cut, "g_nll") == pytest.approx(expected, rel=1e-5)
        assert record_of(cut)["complete"]

    def test_a_stop_string_may_be_a_special_token(self) -> None:
        """The usual help for a model whose generation configuration lacks the turn's end."""
        template, cases = golden()
        lm = golden_model(methods="default")
        whole = ask(lm, [cases[0]["question"]], template)[0]
        lm.model.generation_config.eos_token_id = 0
        lm.tokenizer.eos_token = "<|endoftext|>"
        cut = ask(lm, [cases[0]["question"]], template, {**GREEDY, "until": ["<|im_end|>"]})[0]
        assert cut == whole == cases[0]["answer"]
        assert record_of(cut)["token_ids"] == cases[0]["answer_ids"][:-1]  # the stop string does not count
        assert record_of(cut)["complete"]

    def test_an_answer_that_is_all_stop_string_has_no_score(self) -> None:
        template, cases = golden()
        answer = ask(model(), [cases[0]["question"]], template, {**GREEDY, "until": [cases[0]["answer"][:2]]})[0]
        assert answer == ""
        assert record_of(answer)["answer_tokens"] == 0
        assert set(record_of(answer)["uncertainty"].values()) == {None}

    def test_an_answer_cut_by_the_limit_has_no_end_token(self) -> None:
        template, cases = golden()
        answer = ask(model(), [cases[0]["question"]], template, {**GREEDY, "max_gen_toks": 2})[0]
        assert record_of(answer)["token_ids"] == cases[0]["answer_ids"][:2]
        assert not record_of(answer)["complete"]
        assert all(math.isfinite(score) for score in record_of(answer)["uncertainty"].values())

    def test_an_empty_answer_counts_its_end_token(self) -> None:
        lm = model(methods="default")
        template, cases = golden()
        end = cases[0]["answer_ids"][0]
        lm.model.generation_config.eos_token_id = [2, end]
        answer = ask(lm, [cases[0]["question"]], template)[0]
        assert record_of(answer)["token_ids"] == [end]
        assert all(math.isfinite(score) for score in record_of(answer)["uncertainty"].values())

    @pytest.mark.parametrize("as_text", [True, False])
    def test_thinking_is_context_and_does_not_count(self, as_text: bool) -> None:
        template, cases = golden()
        case = next(c for c in cases if len(c["answer_ids"]) > 4)
        ids = case["answer_ids"]
        lm = model(methods="default")
        end = lm.tokenizer.decode(ids[1:2]) if as_text else ids[1]
        whole = ask(lm, [case["question"]], template)[0]
        lm.think_end_token = end
        answer = ask(lm, [case["question"]], template)[0]
        assert record_of(answer)["token_ids"] == ids[2:]
        assert answer == lm.tokenizer.decode(ids[2:], skip_special_tokens=True).lstrip()
        assert uncertainty(answer, "g_nll") == pytest.approx(-sum(record_of(whole)["token_logprobs"][2:]), rel=1e-5)


@requires_shared
class TestBadInput:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"methods": "semgard"}, r"unknown method 'semgard': did you mean semgrad"),
            ({"methods": ""}, r"chooses no method"),
            ({"semgrad_nrom": "l1"}, r"unknown option 'semgrad_nrom': did you mean semgrad_norm"),
            ({"semgrad_norm": "l3"}, r"semgrad_norm='l3' is not allowed: use l1 or l2"),
            ({"semgrad_reweight": "maybe"}, r"semgrad_reweight='maybe' .* true or false"),
            ({"semgrad_layers": "3-9"}, r"'3-9' ends behind .* blocks 0 to 5"),
            ({"semgrad_layers": "bottom"}, r"layer span .bottom."),
            ({"hybrid_beta": 0}, r"hybrid_beta=0 .* above 0"),
            ({"methods": "g_nll", "hybrid_beta": 2}, r"hybrid_beta would do nothing"),
            ({"sp_token": "middle"}, r"sp_token='middle'"),
            ({"sp_token": 2}, r"sp_token=2"),
            ({"methods": "p_true", "max_length": 200}, r"few-shot prompt of P\(True\) has \d+ tokens"),
        ],
    )
    def test_is_refused_when_the_model_is_built(self, arguments: dict, message: str) -> None:
        with pytest.raises(UQHarnessError, match=message):
            model(**arguments)

    def test_position_before_the_prompt(self) -> None:
        template, cases = golden()
        with pytest.raises(UQHarnessError, match=r"sp_token=-500 is before the first token of a prompt of \d+"):
            ask(model(sp_token=-500), [cases[0]["question"]], template)

    def test_model_without_a_chat_template(self) -> None:
        lm = model(methods="semgrad")
        lm.tokenizer.chat_template = None
        with pytest.raises(UQHarnessError, match="no chat template"):
            lm.chat_template(True)

    def test_a_template_that_is_not_used_is_named(self, caplog: pytest.LogCaptureFixture) -> None:
        lm = model(methods="semgrad")
        lm.chat_template(True)
        assert "no chat template" not in caplog.text
        lm.chat_template(False)
        assert "no chat template will be applied" in caplog.text  # lm_eval's own

    def test_without_the_template_the_last_token_is_taken(self) -> None:
        template, cases = golden()
        lm = model(methods="semgrad")
        plain = ask(lm, [cases[0]["question"]], template, chat=False)[0]
        last = ask(model(methods="semgrad", sp_token="last"), [cases[0]["question"]], template, chat=False)[0]
        assert uncertainty(plain, "semgrad") == uncertainty(last, "semgrad")

    def test_a_prompt_longer_than_the_context_is_cut_on_the_left_with_a_warning(self, caplog) -> None:
        template, cases = golden()
        lm = model(methods="default", max_length=200)
        answer = ask(lm, ["Really " * 150 + cases[0]["question"]], template)[0]
        assert all(math.isfinite(score) for score in record_of(answer)["uncertainty"].values())
        assert "is cut to its last 50" in caplog.text

    def test_a_limit_that_leaves_no_room(self) -> None:
        template, cases = golden()
        with pytest.raises(UQHarnessError, match="max_gen_toks=1024 leaves no space"):
            ask(model(), [cases[0]["question"]], template, {**GREEDY, "max_gen_toks": 1024})

    def test_nan_logits_give_null_scores(self) -> None:
        template, cases = golden()
        lm = model(methods="sampling_free")
        with torch.no_grad():
            lm.model.lm_head.weight[5].fill_(float("nan"))
        answer = ask(lm, [cases[0]["question"]], template)[0]
        assert set(record_of(answer)["uncertainty"].values()) == {None}

    def test_p_true_of_an_overlong_question_is_null_and_the_rest_stays(self) -> None:
        template, cases = golden()
        lm = model(methods="sampling_free", max_length=600)
        answer = ask(lm, ["Really " * 150 + cases[0]["question"]], template, {**GREEDY, "max_gen_toks": 20})[0]
        assert uncertainty(answer, "p_true") is None
        assert uncertainty(answer, "semgrad") is not None


@requires_shared
class TestResponseCache:
    def cached(self, path: Path, **kwargs) -> UQHFLM:
        from lm_eval.api.model import CachingLM

        CachingLM(model(**kwargs), str(path))

    def test_the_same_configuration_may_go_on(self, tmp_path: Path) -> None:
        self.cached(tmp_path / "a.db")
        self.cached(tmp_path / "a.db", batch_size=3)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            ({"methods": "g_nll"}, "methods"),
            ({"dtype": "float64"}, "dtype"),
            ({"sp_token": -2}, "sp_token"),
            ({"semgrad_norm": "l2"}, "semgrad_norm"),
            ({"revision": "other"}, "revision"),
        ],
    )
    def test_another_configuration_is_refused_and_named(self, tmp_path: Path, change: dict, named: str) -> None:
        self.cached(tmp_path / "a.db")
        with pytest.raises(UQHarnessError, match=rf"{named} was .* choose another --use_cache"):
            self.cached(tmp_path / "a.db", **change)

    def test_a_cache_of_another_model_type_is_refused(self, tmp_path: Path) -> None:
        from sqlitedict import SqliteDict

        with SqliteDict(str(tmp_path / "a.db"), autocommit=True) as database:
            database["key"] = "an answer of hf"
        with pytest.raises(UQHarnessError, match="holds answers without uncertainty"):
            self.cached(tmp_path / "a.db")
