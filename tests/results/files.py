"""Results and samples as lm_eval writes them, made up: of any size, and with any fault."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness.results.run import TaskRun

DATE = "2026-05-04T12-00-00.000000"


def record(correct: int | None, uncertainty: Mapping[str, float | None], **fields: Any) -> dict[str, Any]:
    """One answer's ``doc.uq``."""
    judged = {} if correct is None else {"correctness": float(correct), "correct": correct}
    return {"uncertainty": dict(uncertainty), "answer": "an answer", "answer_tokens": 3, **judged, **fields}


def sample(number: int, judged: Mapping[str, Any], judge: str = "exact_match", **fields: Any) -> dict[str, Any]:
    """One line of samples."""
    doc = {"question": f"Question {number}?", "answers": [f"answer {number}"]}
    metrics: dict[str, Any] = {"accuracy": judged.get("correct")}
    for method, score in judged.get("uncertainty", {}).items():
        pair = [score, judged.get("correct")]
        metrics |= {f"{m}_{method}{end}": pair for m in ("auroc", "aurc", "prr") for end in ("", "_stderr")}
    line = {
        "doc_id": number,
        "doc": {**doc, "uq": {**judged, "judge": judge}},
        "target": str(doc["answers"]),
        "arguments": {"gen_args_0": {"arg_0": f"Please answer: {doc['question']}", "arg_1": {"until": []}}},
        "resps": [["an answer"]],
        "filtered_resps": ["an answer"],
        "filter": judge,
        "metrics": list(metrics),
        "doc_hash": "0" * 64,
        "prompt_hash": f"prompt of {number}",
        "target_hash": "0" * 64,
    }
    return {**line, **metrics, **fields}


def write_run(
    folder: Path,
    samples: Sequence[Mapping[str, Any]] | None,
    *,
    model: str = "a-model",
    task: str = "uq_sciq",
    date: str = DATE,
    started: float = 1.7e9,
    metrics: Mapping[str, float] | None = None,
    version: float = 1.0,
    judges: Sequence[Mapping[str, Any]] = ({"name": "exact_match", "threshold": 1.0},),
    settings: Mapping[str, Any] | None = None,
    **content: Any,
) -> Path:
    """Writes the files of one run into ``folder/model``; returns the results file."""
    folder = folder / model.replace("/", "__")
    folder.mkdir(parents=True, exist_ok=True)
    results = folder / f"results_{date}.json"
    task_settings = {
        "task": task,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": "questions.jsonl"},
        "test_split": "validation",
        "doc_to_text": "Please answer: {{question}}",
        "num_fewshot": 0,
        "generation_kwargs": {"until": [], "max_gen_toks": 150, "do_sample": False},
        "metadata": {"version": version, "judges": list(judges)},
    }
    written = {
        "results": {task: {"alias": task, **(metrics or {"accuracy,exact_match": 0.5, "undefined_stderr": "N/A"})}},
        "configs": {task: {**task_settings, **(settings or {})}},
        "versions": {task: version},
        "config": {"model": "uq-hf", "model_args": {"pretrained": model}, "model_revision": "main", "limit": None},
        "date": started,
        "model_name": model,
        "lm_eval_version": "0.4.13",
        "transformers_version": "5.24.0",
        "chat_template_sha": None,
        "system_instruction": None,
        **content,
    }
    results.write_text(json.dumps(written, indent=2), encoding="utf-8")
    if samples is not None:
        lines = [json.dumps(line, ensure_ascii=False) for line in samples]
        (folder / f"samples_{task}_{date}.jsonl").write_text(
            "\n".join(lines) + "\n", encoding="utf-8", errors="backslashreplace"
        )
    return results


def simulated(
    n: int,
    methods: Mapping[str, float],
    seed: int = 0,
    accuracy: float = 0.6,
    questions_seed: int = 0,
    judge: str = "exact_match",
) -> list[dict[str, Any]]:
    """Answers to ``n`` questions by a model that finds the same ones hard as any other with this ``questions_seed``.

    Args:
        n: Number of questions.
        methods: How far apart right and wrong answers are under each method, in standard deviations.
        seed: Of the model's answers and scores.
        accuracy: Share of right answers to expect.
        questions_seed: Of the questions' difficulty.
        judge: Name of the judge.
    """
    difficulty = np.random.default_rng([questions_seed, 1]).normal(size=n)
    random = np.random.default_rng([seed, 2])
    skill = (random.normal(size=n) - difficulty) / np.sqrt(2)
    correct = (skill > np.quantile(skill, 1 - accuracy)).astype(int)
    scores = {m: random.normal(size=n) + 0.3 * difficulty - gap * correct for m, gap in methods.items()}
    return [
        sample(i, record(int(correct[i]), {m: float(s[i]) for m, s in scores.items()}), judge=judge) for i in range(n)
    ]


def task_run(correct: Any, uncertainty: Mapping[str, Any], **fields: Any) -> TaskRun:
    """A run made without files."""
    n = len(correct)
    questions = tuple(f"Question {i}?" for i in range(n))
    made = {
        "model": "a-model",
        "task": "uq_sciq",
        "judge": "exact_match",
        "date": None,
        "path": Path("results.json"),
        "keys": questions,
        "questions": questions,
        "references": (("answer",),) * n,
        "answers": ("an answer",) * n,
        "prompt_hashes": ("",) * n,
        "answer_tokens": np.ones(n),
        "correct": np.asarray(correct, dtype=np.int64),
        "correctness": np.asarray(correct, dtype=np.float64),
        "uncertainty": {method: np.asarray(scores, dtype=np.float64) for method, scores in uncertainty.items()},
        "costs": {},
        "metrics": {},
        "configuration": {},
    }
    return TaskRun(**{**made, **fields})
