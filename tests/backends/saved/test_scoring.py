"""Scores of saved answers: those of the run that saved them, plain definitions, and what a file lacks."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import lm_eval
import numpy as np
import pytest
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
from transformers import AutoModelForCausalLM, AutoTokenizer

import uq_harness
from tests.support import SHARED, read_questions, requires_shared
from tests.tokenizers import byte_level
from uq_harness import ScoredAnswer, UncertaintyModel
from uq_harness.backends.saved.read import read_saved
from uq_harness.backends.vocabulary import Vocabulary
from uq_harness.correctness.base import build_judge
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Samples
from uq_harness.evidence.token_spans import token_texts
from uq_harness.functional.text import normalize_answer
from uq_harness.models.score_file import ScoredFile, score_file
from uq_harness.results.load import load_runs
from uq_harness.results.run import TaskRun
from uq_harness.similarity.requests import TokenRemovals

WITHOUT_MODELS = {"nli_model": "lexical", "similarity_model": "lexical"}
GOOD = {"question": "Who wrote Emma?", "answers": ["Jane Austen"], "answer": "Austen"}
TWENTY = {**GOOD, "samples": ["Austen"] * 10 + ["Eliot"] * 10}
OF_SAVED = {
    *("g_nll", "perplexity", "max_token_nll", "mean_token_entropy", "max_token_entropy"),
    *("ln_pe", "predictive_entropy", "monte_carlo_probability", "exact_match_rate", "lexical_similarity"),
    *("semantic_entropy", "discrete_semantic_entropy", "label_prob", "num_semantic_sets", "luq"),
    *("semantic_alphabet_size", "coverage_adjusted_semantic_entropy"),
    *("degree", "eigenvalue_laplacian", "eccentricity", "kernel_language_entropy"),
    *("self_consistency", "noncontradiction", "answer_entailment"),
    *("sar", "token_sar", "sentence_sar", "cocoa_msp", "cocoa_ppl", "cocoa_mte", "dissimilarity"),
}


def written(folder: Path, *rows: dict) -> Path:
    file = folder / "saved.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def score(file: Path, **settings) -> ScoredFile:
    saved = read_saved(file, first_sample_answers=settings.pop("first_sample_answers", False))
    arguments = {**WITHOUT_MODELS, **settings.pop("arguments", {})}
    return score_file(saved, arguments=arguments, **{"correctness": "f1", **settings})


def lacks(scored: ScoredFile) -> dict[str, dict[str, int]]:
    return {one.name: dict(one.lacking) for one in scored.methods if one.lacking}


def run_of(scored: ScoredFile) -> TaskRun:
    (run,) = load_runs(scored.written)
    return run


@pytest.fixture(scope="module")
def answered() -> list[ScoredAnswer]:
    demo = AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)
    model = UncertaintyModel(*demo, methods="all", max_new_tokens=20, **WITHOUT_MODELS)
    return model.answer([row["question"] for row in read_questions(QUESTIONS)[:8]])


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    uq_harness.register()
    folder = tmp_path_factory.mktemp("run")
    tracker = EvaluationTracker(output_path=str(folder))
    run = lm_eval.simple_evaluate(
        model="uq-hf",
        model_args={"pretrained": "demo", "methods": "sampling_free"},
        tasks=["uq_demo"],
        apply_chat_template=True,
        batch_size=16,
        device="cpu",
        limit=40,
        evaluation_tracker=tracker,
        task_manager=TaskManager(include_defaults=False),
    )
    samples = run.pop("samples")
    tracker.save_results_aggregated(results=run, samples=samples)
    tracker.save_results_samples(task_name="uq_demo", samples=samples["uq_demo"])
    return next(folder.rglob("samples_*.jsonl"))


class TestAgainstTheRunThatSavedThem:
    def saved(self, answer: ScoredAnswer) -> dict:
        tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)

        def decode(some: Sequence[int]) -> str:
            return tokenizer.decode(list(some))

        return {
            "question": answer.question,
            "answers": ["Nirfield"],
            "answer": answer.text,
            "token_logprobs": list(answer.logprobs),
            "token_entropies": list(answer.entropies),
            "sample_sets": [
                {
                    **{"temperature": drawn.temperature, "top_p": drawn.top_p, "top_k": drawn.top_k},
                    "samples": [
                        {
                            "text": one.text,
                            "token_logprobs": one.logprobs.tolist(),
                            "tokens": list(token_texts(decode, one.token_ids)),
                        }
                        for one in samples
                    ],
                }
                for drawn, samples in answer.evidence.values.items()
                if isinstance(drawn, Samples)
            ],
        }

    def test_every_method_that_needs_no_model_gives_the_same(
        self, answered: list[ScoredAnswer], tmp_path: Path
    ) -> None:
        scored = score(written(tmp_path, *map(self.saved, answered)), output=tmp_path / "out")
        assert {one.name for one in scored.methods if one.computed == len(answered)} == OF_SAVED
        run = run_of(scored)
        assert set(run.uncertainty) == OF_SAVED
        for method in OF_SAVED:
            expected = [answer.uncertainty[method] for answer in answered]
            assert run.uncertainty[method] == pytest.approx(expected, rel=1e-12), method

    def test_what_the_others_lack_is_said(self, answered: list[ScoredAnswer], tmp_path: Path) -> None:
        found = lacks(score(written(tmp_path, self.saved(answered[0]))))
        assert found["semgrad"] == {"gradients, which take the model": 1}
        assert found["p_true"] == {"the model's verdict on the answer": 1}
        assert found["eigenscore"] == {"the model's hidden states": 1}
        assert found["semantic_density"] == {"answers of a diverse beam search": 1}
        assert "log-probabilities of answers after other answers" in next(iter(found["mutual_information"]))


class TestCharactersOfSeveralTokens:
    def test_relevances_are_those_of_the_tokens_themselves(self) -> None:
        tokenizer, text = byte_level(), "by 北京 K"
        ids = tuple(tokenizer(text)["input_ids"])
        vocabulary = Vocabulary()
        numbers = vocabulary.encode([*token_texts(lambda some: tokenizer.decode(list(some)), ids), ""], text)
        assert numbers is not None
        assert numbers[-1] == Vocabulary.SPECIAL
        saved = TokenRemovals("q", (numbers,), vocabulary.decode, frozenset({Vocabulary.SPECIAL}))
        assert saved.pairs() == TokenRemovals("q", (ids,), lambda some: tokenizer.decode(list(some))).pairs()


class TestLacking:
    def test_texts_alone(self, tmp_path: Path) -> None:
        scored = score(written(tmp_path, {**GOOD, "samples": ["Austen", "Eliot"]}))
        assert {one.name for one in scored.methods if one.scored} == {
            *("degree", "eigenvalue_laplacian", "eccentricity", "kernel_language_entropy"),
            *("discrete_semantic_entropy", "label_prob", "num_semantic_sets", "luq", "lexical_similarity"),
            *("semantic_alphabet_size", "coverage_adjusted_semantic_entropy"),
            *("self_consistency", "noncontradiction", "answer_entailment", "exact_match_rate", "dissimilarity"),
        }
        found = lacks(scored)
        assert found["g_nll"] == {"token log-probabilities of the answer": 1}
        assert found["ln_pe"] == found["semantic_entropy"] == {"token log-probabilities of the samples": 1}
        assert found["token_sar"] == {"texts of the samples' tokens": 1}

    def test_an_answer_alone_is_judged(self, tmp_path: Path) -> None:
        scored = score(written(tmp_path, GOOD))
        assert not any(one.scored for one in scored.methods)
        assert scored.results["results"]["saved"]["accuracy,f1"] == 1.0

    def test_lines_may_hold_different_things(self, tmp_path: Path) -> None:
        rows = [{**GOOD, "token_logprobs": [-0.5, -1.5]}, {**GOOD, "samples": ["Eliot"]}, GOOD]
        scored = score(written(tmp_path, *rows), output=tmp_path / "out")
        assert lacks(scored)["g_nll"] == {"token log-probabilities of the answer": 2}
        assert lacks(scored)["degree"] == {"sampled answers": 2}
        run = run_of(scored)
        assert run.uncertainty["g_nll"] == pytest.approx([2.0, math.nan, math.nan], nan_ok=True)
        assert run.uncertainty["self_consistency"] == pytest.approx([math.nan, 1.0, math.nan], nan_ok=True)

    def test_samples_of_another_temperature(self, tmp_path: Path) -> None:
        row = {**GOOD, "sample_sets": [{"temperature": 1.0, "samples": ["Austen", "Eliot"]}]}
        found = lacks(score(written(tmp_path, row)))
        assert found["self_consistency"] == {"samples drawn with temperature 0.7": 1}
        assert "degree" not in found
        told = score(written(tmp_path, row), arguments={"consistency_temperature": 1.0})
        assert "self_consistency" not in lacks(told)

    def test_no_auxiliary_model_is_loaded_for_what_cannot_be_computed(self, tmp_path: Path) -> None:
        row = {**GOOD, "samples": ["Austen"]}
        with pytest.raises(UQHarnessError, match="cannot use the NLI model"):
            score(written(tmp_path, row), arguments={"nli_model": "/nowhere"})
        with pytest.raises(UQHarnessError, match="cannot use the similarity model"):
            score(written(tmp_path, row), arguments={"similarity_model": "/nowhere"})
        score(
            written(tmp_path, {**GOOD, "token_logprobs": [-1.0]}), arguments=dict.fromkeys(WITHOUT_MODELS, "/nowhere")
        )

    def test_a_method_asked_for_by_name_must_be_computable(self, tmp_path: Path) -> None:
        with pytest.raises(UQHarnessError, match="semgrad cannot be computed: the file lacks gradients"):
            score(written(tmp_path, GOOD), methods="semgrad")

    def test_tokens_that_do_not_make_up_the_text(self, tmp_path: Path) -> None:
        row = {**GOOD, "samples": [{"text": "Jane Austen", "token_logprobs": [-1, -1], "tokens": ["Jane", "Austen"]}]}
        with pytest.raises(UQHarnessError, match=r"line 1: the tokens .* do not make up the text 'Jane Austen'"):
            score(written(tmp_path, row), methods="token_sar")


class TestSampleCounts:
    def test_methods_take_as_many_as_they_do_in_a_run(self, tmp_path: Path) -> None:
        scored = score(written(tmp_path, TWENTY), output=tmp_path / "out")
        assert run_of(scored).uncertainty["self_consistency"] == [0.0]
        assert {one.samples for one in scored.methods if one.name == "self_consistency"} == {(10, 10)}

    def test_an_option_takes_more(self, tmp_path: Path) -> None:
        scored = score(written(tmp_path, TWENTY), arguments={"consistency_samples": 20}, output=tmp_path / "out")
        assert run_of(scored).uncertainty["self_consistency"] == [0.5]

    def test_fewer_are_all_taken_and_told(self, tmp_path: Path) -> None:
        scored = score(written(tmp_path, TWENTY, {**GOOD, "samples": ["Eliot"]}), output=tmp_path / "out")
        assert run_of(scored).uncertainty["self_consistency"].tolist() == [0.0, 1.0]
        assert {one.samples for one in scored.methods if one.name == "self_consistency"} == {(1, 10)}


class TestUndefined:
    def test_nan_in_the_file_is_null_in_the_record(self, tmp_path: Path) -> None:
        file = tmp_path / "saved.jsonl"
        file.write_text(json.dumps(GOOD)[:-1] + ', "token_logprobs": [NaN, -1.0]}')
        scored = score(file, output=tmp_path / "out")
        assert np.isnan(run_of(scored).uncertainty["g_nll"]).all()
        (report,) = (one for one in scored.methods if one.name == "g_nll")
        assert (report.computed, report.undefined) == (1, 1)


class TestRejudging:
    """A log of a run, judged again: every score and prompt stays, correctness is the other judge's."""

    def test_by_the_same_judge_changes_nothing(self, logged: Path, tmp_path: Path) -> None:
        (before,), after = load_runs(logged), run_of(score(logged, correctness="exact_match", output=tmp_path))
        assert before.metrics == after.metrics
        for field in ("model", "task", "keys", "answers", "prompt_hashes", "questions", "references", "versions"):
            assert getattr(before, field) == getattr(after, field), field
        assert before.uncertainty.keys() == after.uncertainty.keys()
        assert all((before.uncertainty[name] == after.uncertainty[name]).all() for name in before.uncertainty)
        assert (before.answer_tokens == after.answer_tokens).all()
        assert before.costs.keys() == after.costs.keys()

    def test_by_another_judge_changes_correctness_alone(self, logged: Path, tmp_path: Path) -> None:
        (before,), after = load_runs(logged), run_of(score(logged, correctness="f1", output=tmp_path))
        assert after.judge == "f1"
        expected = build_judge("f1").score(before.questions, before.answers, before.references)
        assert after.correctness == pytest.approx(expected)
        assert all((before.uncertainty[name] == after.uncertainty[name]).all() for name in before.uncertainty)

    def test_by_several_judges_and_again(self, logged: Path, tmp_path: Path) -> None:
        both = score(logged, correctness=["f1", "exact_match"], output=tmp_path / "both")
        assert {run.judge for run in load_runs(both.written)} == {"f1", "exact_match"}
        again = score(both.written[1], correctness="token_recall", output=tmp_path / "again")
        assert again.answers == 40
        assert run_of(again).judge == "token_recall"

    def test_an_option_of_a_method_cannot_be_changed_without_its_evidence(self, logged: Path) -> None:
        found = lacks(score(logged, arguments={"semgrad_norm": "l2"}))
        assert found["semgrad"] == {"gradients, which take the model": 40}


@requires_shared
class TestRealSamples:
    """20 samples a question of LLaMA-13B on TriviaQA."""

    FILE = SHARED / "data" / "uqnlg_llama13b_triviaqa" / "generations.jsonl" if SHARED else Path()

    def test_scores_are_those_of_the_plain_definitions(self, tmp_path: Path) -> None:
        scored = score(
            self.FILE,
            first_sample_answers=True,
            arguments={"entropy_samples": 19, "consistency_samples": 19},
            limit=60,
            output=tmp_path,
        )
        run = run_of(scored)
        rows = [json.loads(line) for line in self.FILE.read_text().splitlines()[:60]]
        for number, row in enumerate(rows):
            answer, *samples = (normalize_answer(text) for text in row["samples"])
            n = len(samples)
            same = sum(a == b for a, b in itertools.product(samples, samples))
            counts = np.array(list(Counter(samples).values())) / n
            assert run.uncertainty["degree"][number] == pytest.approx(1 - same / n**2)
            assert run.uncertainty["discrete_semantic_entropy"][number] == pytest.approx(
                float(-(counts * np.log(counts)).sum())
            )
            assert run.uncertainty["self_consistency"][number] == pytest.approx(1 - samples.count(answer) / n)


def test_the_number_of_worked_examples_goes_on(tmp_path: Path) -> None:
    uq_harness.register()
    tracker = EvaluationTracker(output_path=str(tmp_path / "run"))
    run = lm_eval.simple_evaluate(
        model="uq-hf",
        model_args={"pretrained": "demo", "methods": "g_nll"},
        tasks=["uq_demo"],
        num_fewshot=2,
        apply_chat_template=True,
        device="cpu",
        limit=3,
        evaluation_tracker=tracker,
        task_manager=TaskManager(include_defaults=False),
    )
    samples = run.pop("samples")
    tracker.save_results_aggregated(results=run, samples=samples)
    tracker.save_results_samples(task_name="uq_demo", samples=samples["uq_demo"])
    scored = score(next((tmp_path / "run").rglob("samples_*.jsonl")), output=tmp_path / "out")
    results = json.loads(next((tmp_path / "out").rglob("results_*.json")).read_text(encoding="utf-8"))
    assert results["n-shot"] == {scored.task: 2}
    (again,) = scored.written[1:]
    kept = [json.loads(line)["prompt_hash"] for line in again.read_text(encoding="utf-8").splitlines()]
    assert kept == [sample["prompt_hash"] for sample in samples["uq_demo"]]
