"""The seam for further engines: a backend of a few lines, its evidence from a dictionary, runs a stock task."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

import uq_harness
from uq_harness.answering.answerer import Answerer
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Answer, AnswerLogProbs, Evidence, Need, Sample, SampleLogProbs, Samples
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.methods import Method, build_methods
from uq_harness.models.uncertain import UncertainLM
from uq_harness.similarity.build import build_nli, build_similarity

# For each question the answer, its log-probabilities, and samples.
KNOWN = {
    "Who wrote Emma?": ("Jane Austen", [-0.1, -0.2], ["Jane Austen", "jane austen"]),
    "Who wrote Ulysses?": ("James Joyce", [-0.3], ["James Joyce", "James Joyce"]),
    "Who wrote Dracula?": ("Mary Shelley", [-2.0, -1.5], ["Bram Stoker", "Mary Shelley"]),
    "Who wrote Middlemarch?": ("Emily Brontë", [-1.0, -2.5], ["George Eliot", "Jane Austen"]),
}


class DictionaryBackend:
    """Answers with their log-probabilities, and samples of which nothing but the text is known."""

    special_ids = frozenset[int]()

    def missing(self, need: Need[Any]) -> str | None:
        if isinstance(need, SampleLogProbs):
            return "log-probabilities of samples, which no dictionary holds"
        if isinstance(need, AnswerLogProbs) or isinstance(need.sample_set, Samples):
            return None
        return "the model itself: run uq-hf"

    def prepare(self, needs: Sequence[Need[Any]]) -> None:
        self.sets = dict.fromkeys(need.sample_set for need in needs if need.sample_set is not None)

    def gather(
        self, prompts: Sequence[Prompt], stop: StopCriteria, size: int
    ) -> Iterator[tuple[list[int], list[Evidence]]]:
        for position, prompt in enumerate(prompts):
            text, logprobs, samples = KNOWN[prompt.question]
            drawn = tuple(Sample(one, (), None, complete=True) for one in samples)
            answer = Answer(text, None, np.array(logprobs), None, complete=True)
            yield [position], [Evidence(prompt.question, answer, dict.fromkeys(self.sets, drawn))]

    def decode(self, tokens: Sequence[int]) -> str:
        return ""

    def describe(self) -> dict[str, Any]:
        return {"engine": "dictionary"}


class PlainPrompts:
    """Prompts without tokens."""

    used = None

    def encode(self, prompts: Sequence[Any]) -> list[Prompt]:
        return [Prompt(prompt.question, prompt.message, (), -1) for prompt in prompts]

    def fit(self, prompt: Prompt, max_new_tokens: int) -> Prompt:
        return replace(prompt)

    def describe(self) -> Mapping[str, Any]:
        return {}


class DictionaryLM(UncertainLM):
    """The model around it."""

    max_gen_toks, max_length, tokenizer_name = 20, 200, ""

    def __init__(self, methods: str) -> None:
        super().__init__()
        self._methods, self._encoder, self._configuration = build_methods(methods, {}), PlainPrompts(), {}
        self._answerer = self._build_answerer(self._methods)

    def _build_answerer(self, methods: Sequence[Method]) -> Answerer:
        return Answerer(DictionaryBackend(), (build_nli("lexical"), build_similarity("lexical")), methods)

    def _stop(self, stop_strings: list[str], max_new_tokens: int) -> StopCriteria:
        return StopCriteria(frozenset(), max_new_tokens, read=lambda tokens: ("", range(0)))

    def _questions_at_a_time(self) -> int:
        return 8

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


def test_a_stock_task_runs_on_it(tmp_path: Path) -> None:
    rows = [{"question": question, "answers": [answers[-1][0]]} for question, answers in KNOWN.items()]
    (tmp_path / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    uq_harness.register()
    metadata = {"data_files": str(tmp_path / "questions.jsonl"), "correctness": "exact_match"}
    results = simple_evaluate(
        DictionaryLM("g_nll+degree+self_consistency"),
        tasks=["uq_sciq"],
        task_manager=TaskManager(metadata=metadata),
        metadata=metadata,
    )
    (first, *_, last) = results["samples"]["uq_sciq"]
    assert first["doc"]["uq"]["uncertainty"] == {"g_nll": pytest.approx(0.3), "degree": 0, "self_consistency": 0}
    assert first["doc"]["uq"]["answer_tokens"] == 2
    assert "token_entropies" not in first["doc"]["uq"]
    assert last["doc"]["uq"]["uncertainty"]["self_consistency"] == 1
    task = results["results"]["uq_sciq"]
    assert (task["accuracy,exact_match"], task["auroc_g_nll,exact_match"]) == (0.5, 1.0)
    assert results["config"]["uncertainty"]["engine"] == "dictionary"


@pytest.mark.parametrize(
    ("methods", "what"),
    [
        ("semgrad+g_nll", "semgrad cannot be computed: the model itself: run uq-hf; without that, the methods g_nll, "),
        ("ln_pe", "ln_pe cannot be computed: log-probabilities of samples, which no dictionary holds"),
    ],
)
def test_what_it_lacks_is_said_before_the_work(methods: str, what: str) -> None:
    with pytest.raises(UQHarnessError, match=what):
        DictionaryLM(methods)
