"""Whole runs of lm_eval on the demo model and on a stock model: results, records, seeds, bad input."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import lm_eval
import pytest
from lm_eval.tasks import TaskManager

from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation import metrics as quality
from uq_harness.evaluation.plugin import register_models, tasks_folder
from uq_harness.methods import all_methods

register_models()
DEMO = {"pretrained": "demo", "dtype": "float32"}
SAMPLING_FREE = [name for name, method in all_methods().items() if "sampling_free" in method.sets]


def manager(metadata: dict) -> TaskManager:
    """Knows this package's tasks only: reading all of lm_eval's takes seconds."""
    return TaskManager(metadata=metadata, include_path=tasks_folder(), include_defaults=False)


def evaluate(model: str = "uq-hf", tasks: Any = "uq_demo", metadata: dict | None = None, **kwargs: Any) -> dict:
    arguments = kwargs.pop("model_args", DEMO)
    return lm_eval.simple_evaluate(
        model=model,
        model_args=arguments,
        tasks=[tasks] if isinstance(tasks, str) else tasks,
        device="cpu",
        batch_size=kwargs.pop("batch_size", 16),
        apply_chat_template=kwargs.pop("apply_chat_template", True),
        task_manager=manager({**arguments, **(metadata or {})}),
        **{"limit": 24, **kwargs},
    )


@pytest.fixture(scope="module")
def run() -> dict:
    return evaluate(model_args={**DEMO, "methods": "sampling_free"})


def write_questions(folder: Path, rows: list[dict]) -> dict:
    file = folder / "questions.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return {"data_files": str(file)}


def demo_questions() -> list[dict]:
    return [json.loads(line) for line in Path(QUESTIONS).read_text(encoding="utf-8").splitlines()]


class TestResults:
    def test_every_method_has_every_metric_with_an_error(self, run: dict) -> None:
        results = run["results"]["uq_demo"]
        for method in SAMPLING_FREE:
            for measure in ("auroc", "aurc", "prr"):
                assert math.isfinite(results[f"{measure}_{method},exact_match"])
                assert 0 < results[f"{measure}_{method}_stderr,exact_match"] < 0.5
        assert 0 < results["accuracy,exact_match"] < 1
        assert results["exact_match,exact_match"] == results["accuracy,exact_match"]
        assert results["undefined_scores,exact_match"] == 0

    def test_each_samples_document_carries_its_record(self, run: dict) -> None:
        for sample in run["samples"]["uq_demo"]:
            record = sample["doc"]["uq"]
            assert set(record["uncertainty"]) == set(SAMPLING_FREE)
            assert record["correctness"] in (0.0, 1.0)
            assert record["correct"] == record["correctness"]
            assert record["answer"] == sample["filtered_resps"][0]
            assert record["answer_tokens"] == len(record["token_ids"])
            json.dumps(record, allow_nan=False)

    def test_metrics_are_those_of_the_records(self, run: dict) -> None:
        from sklearn.metrics import roc_auc_score

        records = [sample["doc"]["uq"] for sample in run["samples"]["uq_demo"]]
        wrong = [1 - record["correct"] for record in records]
        for method in SAMPLING_FREE:
            expected = roc_auc_score(wrong, [record["uncertainty"][method] for record in records])
            assert run["results"]["uq_demo"][f"auroc_{method},exact_match"] == pytest.approx(expected, abs=1e-12)

    def test_answers_that_the_limit_cut_are_counted_with_one_hint(
        self, run: dict, caplog: pytest.LogCaptureFixture
    ) -> None:
        judges = {"correctness": ["exact_match", "f1"]}
        cut = evaluate(model_args={**DEMO, "methods": "g_nll"}, gen_kwargs={"max_gen_toks": 2}, metadata=judges)
        rows = [sample for sample in cut["samples"]["uq_demo"] if sample["filter"] == "f1"]
        count = sum(not sample["doc"]["uq"]["complete"] for sample in rows)
        assert count > 0
        for judge in judges["correctness"]:
            assert cut["results"]["uq_demo"][f"truncated_answers,{judge}"] == count
        assert run["results"]["uq_demo"]["truncated_answers,exact_match"] == 0
        hints = [one.getMessage() for one in caplog.records if "max_gen_toks=2" in one.getMessage()]
        assert len(hints) == 1
        assert "24 answers did not end" in hints[0]

    def test_directions_reach_the_table(self, run: dict) -> None:
        directions = run["higher_is_better"]["uq_demo"]
        assert directions["auroc_semgrad"]
        assert directions["prr_semgrad"]
        assert not directions["aurc_semgrad"]

    def test_configuration_names_judge_methods_and_options(self, run: dict) -> None:
        judges = run["configs"]["uq_demo"]["metadata"]["judges"]
        assert judges == [{"name": "exact_match", "threshold": 1.0, "question_words": "count"}]
        settings = run["config"]["uncertainty"]
        assert settings["methods"] == SAMPLING_FREE
        assert settings["semgrad_layers"] == "top_half"
        assert settings["sp_token"] == "auto"

    def test_batch_size_changes_no_score(self, run: dict) -> None:
        alone = evaluate(model_args={**DEMO, "methods": "sampling_free"}, batch_size=1)
        for a, b in zip(alone["samples"]["uq_demo"], run["samples"]["uq_demo"], strict=True):
            assert a["doc"]["uq"]["token_ids"] == b["doc"]["uq"]["token_ids"]
            for method, score in a["doc"]["uq"]["uncertainty"].items():
                assert score == pytest.approx(b["doc"]["uq"]["uncertainty"][method], rel=1e-3, abs=1e-9)

    def test_seed_reaches_the_bootstrap_only(self, run: dict) -> None:
        seeds = dict.fromkeys(("random_seed", "numpy_random_seed", "torch_random_seed", "fewshot_random_seed"), 7)
        other = evaluate(model_args={**DEMO, "methods": "sampling_free"}, **seeds)["results"]["uq_demo"]
        ours = run["results"]["uq_demo"]
        assert other["aurc_g_nll,exact_match"] == ours["aurc_g_nll,exact_match"]
        assert other["auroc_g_nll_stderr,exact_match"] == ours["auroc_g_nll_stderr,exact_match"]
        assert other["aurc_g_nll_stderr,exact_match"] != ours["aurc_g_nll_stderr,exact_match"]


class TestJudges:
    def test_several_judges_stand_side_by_side(self) -> None:
        judges = ["exact_match", {"name": "f1", "threshold": 0.9}]
        results = evaluate(metadata={"correctness": judges}, model_args={**DEMO, "methods": "g_nll"})
        assert {key.partition(",")[2] for key in results["results"]["uq_demo"]} >= {"exact_match", "f1"}
        assert results["configs"]["uq_demo"]["metadata"]["judges"][1] == {
            "name": "f1",
            "threshold": 0.9,
            "question_words": "ignore",
        }

    @pytest.mark.parametrize(
        ("judge", "message"),
        [
            ("bleurt", "unknown correctness judge 'bleurt'"),
            ({"name": "f1", "treshold": 0.4}, "did you mean threshold"),
            (["f1", "f1"], "each once"),
            ([], "at least one"),
        ],
    )
    def test_an_unknown_judge_is_refused(self, judge: Any, message: str) -> None:
        with pytest.raises(UQHarnessError, match=message):
            evaluate(metadata={"correctness": judge})

    def test_a_missing_judge_is_reported_before_the_first_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from uq_harness.models import UQHFLM

        monkeypatch.setattr(UQHFLM, "generate_until", lambda *_: pytest.fail("an answer was generated"))
        with pytest.raises(UQHarnessError, match=r"bem.*correctness"):
            evaluate(metadata={"correctness": {"name": "bem", "model": "/nowhere/bem"}})


class TestHabitsOfLmEval:
    def test_other_models_give_correctness_and_one_warning(self, caplog: pytest.LogCaptureFixture) -> None:
        results = evaluate("hf", model_args={"pretrained": str(MODEL_DIR), "dtype": "float32"})["results"]["uq_demo"]
        assert math.isfinite(results["accuracy,exact_match"])
        assert not any(key.startswith("auroc") for key in results)
        assert sum("`--model uq-hf` does" in record.message for record in caplog.records) == 1

    def test_predict_only_keeps_the_records_and_loads_no_judge(self) -> None:
        found = evaluate(predict_only=True, metadata={"correctness": {"name": "bem", "model": "/nowhere/bem"}})
        records = [sample["doc"]["uq"] for sample in found["samples"]["uq_demo"]]
        assert all("uncertainty" in record and "correct" not in record for record in records)

    def test_chosen_samples(self) -> None:
        found = evaluate(samples={"uq_demo": [2, 7, 11]}, limit=None, model_args={**DEMO, "methods": "g_nll"})
        asked = [sample["doc"]["question"] for sample in found["samples"]["uq_demo"]]
        assert asked == [demo_questions()[i]["question"] for i in (2, 7, 11)]

    def test_sampling_is_refused_before_any_other_task_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from uq_harness.models import UQHFLM

        monkeypatch.setattr(UQHFLM, "generate_until", lambda *_: pytest.fail("an answer was generated"))
        with pytest.raises(UQHarnessError, match="do_sample"):
            evaluate(gen_kwargs={"do_sample": True})

    def test_cached_requests_of_local_data_are_ignored(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        evaluate(metadata=write_questions(tmp_path, demo_questions()[:3]), limit=None, cache_requests=True)
        assert "--cache_requests is ignored" in caplog.text

    def test_answers_of_another_model_type_in_the_cache_are_refused(self, tmp_path: Path) -> None:
        cache, arguments = str(tmp_path / "cache"), {**DEMO, "methods": "g_nll"}
        evaluate(model_args=arguments, use_cache=cache, limit=3)
        stock = {"pretrained": str(MODEL_DIR), "dtype": "float32"}
        for model, model_args in (("hf", stock), ("uq-hf", arguments)):
            with pytest.raises(UQHarnessError, match="3 of 6 answers carry no uncertainty"):
                evaluate(model, model_args=model_args, use_cache=cache, limit=6)

    @pytest.mark.parametrize("argument", [{"parallelize": True}, {"mixed_precision_dtype": "bfloat16"}])
    def test_arguments_of_hf(self, argument: dict, run: dict) -> None:
        found = evaluate(model_args={**DEMO, "methods": "sampling_free", **argument}, limit=6)
        rtol = 0.5 if "mixed_precision_dtype" in argument else 1e-3
        for a, b in zip(found["samples"]["uq_demo"], run["samples"]["uq_demo"][:6], strict=True):
            if a["doc"]["uq"]["token_ids"] == b["doc"]["uq"]["token_ids"]:
                assert a["doc"]["uq"]["uncertainty"] == pytest.approx(b["doc"]["uq"]["uncertainty"], rel=rtol)

    @pytest.mark.parametrize("target", [["q_proj", "v_proj", "down_proj"], ["lm_head"]])
    def test_an_adapter_gives_what_the_merged_model_gives(self, target: list[str], tmp_path: Path) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.manual_seed(0)
        base = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32)
        adapted = get_peft_model(base, LoraConfig(r=4, target_modules=target, task_type="CAUSAL_LM"))
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if "lora_B" in name:
                    weight.normal_(std=0.05)
        adapted.save_pretrained(tmp_path / "adapter")
        adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
        AutoTokenizer.from_pretrained(MODEL_DIR).save_pretrained(tmp_path / "merged")
        adapter = evaluate(model_args={**DEMO, "peft": str(tmp_path / "adapter")}, limit=6)
        merged = evaluate(model_args={**DEMO, "pretrained": str(tmp_path / "merged")}, limit=6)
        for a, b in zip(adapter["samples"]["uq_demo"], merged["samples"]["uq_demo"], strict=True):
            assert a["doc"]["uq"]["uncertainty"] == pytest.approx(b["doc"]["uq"]["uncertainty"], rel=1e-3)

    def test_a_run_resumes_from_its_cache(self, tmp_path: Path, run: dict, monkeypatch: pytest.MonkeyPatch) -> None:
        from uq_harness.backends.transformers.backend import TransformersBackend

        arguments = {**DEMO, "methods": "sampling_free"}
        cache = str(tmp_path / "cache")
        gather = TransformersBackend.gather

        def dies_after_two_batches(self: TransformersBackend, *args: Any) -> Any:
            batches = gather(self, *args)
            yield next(batches)
            yield next(batches)
            raise KeyboardInterrupt

        monkeypatch.setattr(TransformersBackend, "gather", dies_after_two_batches)
        with pytest.raises(KeyboardInterrupt):
            evaluate(model_args=arguments, use_cache=cache, batch_size=8)
        answered = []
        monkeypatch.setattr(
            TransformersBackend, "gather", lambda self, *args: answered.extend(args[0]) or gather(self, *args)
        )
        resumed = evaluate(model_args=arguments, use_cache=cache, batch_size=8)
        assert len(answered) == 8
        for metric, value in run["results"]["uq_demo"].items():
            assert resumed["results"]["uq_demo"][metric] == pytest.approx(value, abs=1e-6), metric

    def test_group_averages_its_tasks(self, tmp_path: Path) -> None:
        metadata = write_questions(tmp_path, demo_questions()[:30]) | {"correctness": "exact_match"}
        results = evaluate(tasks="uq_bench", limit=None, metadata=metadata, model_args={**DEMO, "methods": "g_nll"})
        group, task = results["results"]["uq_bench"], results["results"]["uq_sciq"]
        for metric in ("accuracy", "auroc_g_nll", "aurc_g_nll", "prr_g_nll"):
            key = f"{metric},exact_match"
            assert group[key] == pytest.approx(task[key])
            error = f"{metric}_stderr,exact_match"
            assert group[error] == pytest.approx(task[error] / math.sqrt(3))


def prompts_of(found: dict) -> list[str]:
    return [sample["arguments"][0][0] for sample in found["samples"]["uq_demo"]]


def requests_of(metadata: dict, rank: int = 0, world_size: int = 1, seed: int = 1234, shots: int = 3) -> list[str]:
    """Prompts in plain text, as one process builds them."""
    task = manager(metadata).load(["uq_demo"])["tasks"]["uq_demo"]
    task.override_metric(metric_name="bypass")
    task.set_config(key="num_fewshot", value=shots)
    task.set_fewshot_seed(seed)
    task.build_all_requests(limit=20, rank=rank, world_size=world_size)
    return [instance.args[0] for instance in task.instances]


class TestFewShot:
    ASKS = "Please directly answer the following question with one or few words:\n"

    def test_turns_hold_other_questions_with_their_answers_and_the_header_says_so(self) -> None:
        found = evaluate(num_fewshot=3, limit=6, model_args={**DEMO, "methods": "g_nll"}, fewshot_as_multiturn=True)
        assert found["n-shot"]["uq_demo"] == 3
        answers = {row["question"]: row["answers"][0] for row in demo_questions()}
        for sample, prompt in zip(found["samples"]["uq_demo"], prompts_of(found), strict=True):
            *examples, asked = prompt.split(f"<|im_start|>user\n{self.ASKS}")[1:]
            assert asked.startswith(sample["doc"]["question"])
            assert len(examples) == 3
            for example in examples:
                question, reply = example.split("<|im_end|>\n<|im_start|>assistant\n")
                assert reply.strip() == f"{answers[question]}<|im_end|>"
                assert question != sample["doc"]["question"]

    def test_one_turn_and_plain_text(self) -> None:
        arguments = {"num_fewshot": 2, "limit": 3, "model_args": {**DEMO, "methods": "g_nll"}}
        for prompt in prompts_of(evaluate(**arguments, fewshot_as_multiturn=False)):
            assert prompt.count(self.ASKS) == 3
            assert prompt.count("<|im_start|>user") == prompt.count("<|im_start|>assistant") == 1
        for prompt in prompts_of(evaluate(**arguments, apply_chat_template=False, gen_kwargs={"max_gen_toks": 5})):
            assert prompt.count(self.ASKS) == 3
            assert "<|im_start|>" not in prompt

    def test_none_by_default(self, run: dict) -> None:
        assert run["n-shot"]["uq_demo"] == 0
        assert all(prompt.count(self.ASKS) == 1 for prompt in prompts_of(run))

    def test_examples_depend_on_question_and_seed_alone(self) -> None:
        alone = requests_of({})
        assert requests_of({}, rank=0, world_size=2) == alone[::2]
        assert requests_of({}, rank=1, world_size=2) == alone[1::2]
        assert requests_of({}, seed=5) != alone
        assert len({prompt.rpartition(self.ASKS)[0] for prompt in alone}) == len(alone)

    def test_copies_of_the_asked_question_are_no_examples(self, tmp_path: Path) -> None:
        rows = [
            {"question": "Who wrote Emma?", "answers": ["Austen"]},
            {"question": "who wrote  Emma", "answers": ["Jane Austen"]},
            {"question": "Who wrote Ulysses?", "answers": ["Joyce"]},
        ]
        asked = requests_of(write_questions(tmp_path, rows), shots=1)
        assert [prompt.split(self.ASKS)[1] for prompt in asked[:2]] == ["Who wrote Ulysses? Joyce\n\n"] * 2

    def test_a_file_of_examples(self, tmp_path: Path) -> None:
        file = tmp_path / "examples.jsonl"
        file.write_text('{"question": "Who wrote Emma?", "answers": ["Austen"]}', encoding="utf-8")
        for prompt in requests_of({"fewshot_files": {"uq_demo": str(file)}}, shots=1):
            assert prompt.startswith(f"{self.ASKS}Who wrote Emma? Austen\n\n{self.ASKS}")
        with pytest.raises(
            UQHarnessError, match=r"--num_fewshot 2 needs 2 other questions .* there are 1: .*fewshot_files"
        ):
            requests_of({"fewshot_files": str(file)}, shots=2)

    def test_an_answer_is_stated_in_the_last_turn_and_the_semantic_token_is_behind_it(self) -> None:
        from uq_harness.methods.mutual_information import stating_prompt
        from uq_harness.models import UQHFLM

        lm = UQHFLM("demo", dtype="float32", device="cpu")
        task = manager({}).load(["uq_demo"])["tasks"]["uq_demo"]
        task.override_metric(metric_name="bypass")
        task.set_config(key="num_fewshot", value=2)
        task.build_all_requests(
            limit=1, apply_chat_template=True, fewshot_as_multiturn=True, chat_template=lm.apply_chat_template
        )
        (request,) = task.instances
        (prompt,) = lm.prompts([request])
        stated = lm.tokenizer.decode(prompt.stating("Nirfield", words=stating_prompt))
        examples, _, message = request.args[0].rpartition("<|im_start|>user\n")
        assert examples.count("<|im_start|>assistant") == 2
        stating = "One answer to question Q is Nirfield.\n"
        before = f"Consider the following question: Q: {request.question}\n"
        assert stated == f"{examples}<|im_start|>user\n{before}{stating}{message}"
        assert lm.tokenizer.decode(prompt.token_ids[prompt.semantic_token :]) == "<|im_start|>assistant\n"


class TestBadInput:
    def test_single_class_results_are_not_available_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        rows = [{"question": row["question"], "answers": ["no such answer"]} for row in demo_questions()[:5]]
        results = evaluate(metadata=write_questions(tmp_path, rows), limit=None)["results"]["uq_demo"]
        assert results["auroc_semgrad,exact_match"] == "N/A"
        assert results["auroc_semgrad_stderr,exact_match"] == "N/A"
        assert results["prr_semgrad,exact_match"] == "N/A"
        assert caplog.text.count("uq_demo: the judge exact_match calls all 5 answers wrong") == 1
        assert "is undefined" not in caplog.text  # once, and not once a method

    def test_too_few_right_or_wrong_answers_are_told_once_with_the_judge(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        rows = demo_questions()[:24]
        wrong = [{"question": row["question"], "answers": ["no such answer"]} for row in rows[3:]]
        kept = [{"question": row["question"], "answers": row["answers"]} for row in rows[:3]]
        judges = ["exact_match", {"name": "f1", "label": "words"}]
        metadata = write_questions(tmp_path, [*kept, *wrong]) | {"correctness": judges}
        results = evaluate(metadata=metadata, limit=None)["results"]["uq_demo"]
        right = round(24 * results["accuracy,exact_match"])
        assert 0 < right < 10
        assert caplog.text.count(f"by the judge exact_match there are only {right} right answer") == 1
        assert caplog.text.count("by the judge words there are only") == 1

    @pytest.mark.parametrize("scores", [[1.0] * 12 + [2.0] * 12, [1.0] * 24])
    def test_an_error_of_0_is_explained(self, scores: list[float], caplog: pytest.LogCaptureFixture) -> None:
        from uq_harness.evaluation import metrics as quality

        answers = [({"g_nll": score}, verdict) for score, verdict in zip(scores, [1] * 12 + [0] * 12, strict=True)]
        assert quality.aggregation("auroc_g_nll_stderr", "uq_demo", 0)(answers) == 0
        assert "uq_demo: auroc_g_nll_stderr is 0, since the scores separate" in caplog.text

    def test_a_single_question(self) -> None:
        results = evaluate(limit=1)["results"]["uq_demo"]
        assert results["auroc_semgrad,exact_match"] == "N/A"
        assert results["accuracy,exact_match"] in (0.0, 1.0)

    def test_undefined_scores_are_counted_and_left_out(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from uq_harness.methods.g_nll import GNLL

        score = GNLL.score
        monkeypatch.setattr(GNLL, "score", lambda self, e: math.nan if len(e.answer.token_ids) == 3 else score(self, e))
        found = evaluate(model_args={**DEMO, "methods": "g_nll+semgrad"}, limit=60)
        nulls = sum(sample["doc"]["uq"]["uncertainty"]["g_nll"] is None for sample in found["samples"]["uq_demo"])
        assert 0 < nulls < 60
        assert found["results"]["uq_demo"]["undefined_scores,exact_match"] == nulls
        assert math.isfinite(found["results"]["uq_demo"]["auroc_g_nll,exact_match"])
        assert f"auroc_g_nll leaves out {nulls} of 60 answers without a score" in caplog.text

    def test_a_score_that_a_cached_answer_lacks_is_counted(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        from sqlitedict import SqliteDict

        arguments, cache = {**DEMO, "methods": "g_nll+semgrad"}, str(tmp_path / "cache")
        evaluate(model_args=arguments, use_cache=cache)
        with SqliteDict(f"{cache}_rank0.db", autocommit=True) as answers:
            key = next(key for key, answer in answers.items() if isinstance(answer, str))
            answer = answers[key]
            del answer.record["uncertainty"]["semgrad"]
            answers[key] = answer
        found = evaluate(model_args=arguments, use_cache=cache)
        assert found["results"]["uq_demo"]["undefined_scores,exact_match"] == 1
        assert [s["doc"]["uq"]["uncertainty"]["semgrad"] for s in found["samples"]["uq_demo"]].count(None) == 1
        assert "1 of 24 answers come without a score of semgrad" in caplog.text

    def test_fewer_questions_than_processes(self) -> None:
        task = manager({}).load(["uq_demo"])["tasks"]["uq_demo"]
        with pytest.raises(UQHarnessError, match=r"1 questions cannot be shared by 2 processes"):
            task.build_all_requests(limit=1, world_size=2, rank=0)

    @pytest.mark.parametrize("name", ["corectness", "data_file"])
    def test_misspelt_metadata(self, name: str) -> None:
        with pytest.raises(UQHarnessError, match=f"'{name}', which does nothing: did you mean"):
            manager({name: "exact_match"}).load(["uq_demo"])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"model_args": {"pretrianed": "demo"}}, "did you mean pretrained instead of pretrianed"),
            ({"model_args": {}}, "names no model"),
            ({"batch_size": 0}, "batch_size=0 is not allowed"),
        ],
    )
    def test_model_arguments(self, arguments: dict, message: str) -> None:
        with pytest.raises(UQHarnessError, match=message):
            evaluate(**arguments)

    @pytest.mark.parametrize("rows", [[], [{"question": "Who?"}], [{"question": "Who?", "answers": [" "]}]])
    def test_bad_local_data(self, tmp_path: Path, rows: list[dict]) -> None:
        with pytest.raises(UQHarnessError, match=r"questions\.jsonl"):
            evaluate(metadata=write_questions(tmp_path, rows))

    def test_hub_data_that_cannot_be_had(self) -> None:
        with pytest.raises(UQHarnessError, match=r"data of uq_sciq .*--metadata data_files\.uq_sciq="):
            manager({}).load(["uq_sciq"])

    def test_questions_of_the_hub_without_references(self) -> None:
        task = manager({}).load(["uq_demo"])["tasks"]["uq_demo"]
        rows = [*task.dataset["validation"].to_list()[:2], {"question": "Unanswered?", "answers": []}]
        task.dataset["validation"] = type(task.dataset["validation"]).from_list(rows)
        task._data._made.clear()  # as if `datasets` had loaded it so
        task._data._ready.clear()
        with pytest.raises(UQHarnessError, match="reference answer"):
            task.build_all_requests()


def test_two_questions_with_the_same_text_are_both_answered(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    row = {key: demo_questions()[0][key] for key in ("question", "answers")}
    found = evaluate(metadata=write_questions(tmp_path, [row, row]), limit=None)
    first, second = (sample["doc"]["uq"]["uncertainty"] for sample in found["samples"]["uq_demo"])
    assert first == pytest.approx(second, rel=1e-5)


def test_a_score_that_is_the_same_for_all_answers_is_named() -> None:
    rows = [{"degree": 0.9, "g_nll": 0.1 * i, "ln_pe": None if i else 0.5} for i in range(5)]
    assert quality.constant_methods(rows) == ["degree"]
    assert quality.constant_methods(rows[:4]) == []
