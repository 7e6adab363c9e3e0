"""Runs made up for reports, as objects and as the files that lm_eval would have written."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

HOSTILE = (
    "<script>document.title = 'taken'</script>",
    '"><img src=x onerror="document.title=\'taken\'">',
    "a | b || c \\| d",
    "[click](javascript:alert(1)) @everyone #1 www.example.com `code` *bold* _em_ $x$",
    "\x1b[31mred\x1b[0m\x07 and \x00 null",
    "‮gnirts desrever‬ and שלום עולם",
    '=HYPERLINK("http://example.com")',
    r"\input{/etc/passwd} 100% & # _ ^ ~ { }",
    "line one\nline two\r\nthree\u2028four",
    "emoji 👩‍🔬, combining é, 北京, lone \ud83d surrogate",
    "&lt;b&gt; &amp; {{ 7 * 7 }} {% raw %}",
    "",
)


def made_up(
    count: int, methods: Sequence[str] = ("g_nll", "semgrad", "sar"), seed: int = 0, accuracy: float = 0.6
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Correctness, and scores that tell it the better the further up a method stands in the list."""
    random = np.random.default_rng(seed)
    correct = (random.random(count) < accuracy).astype(int)
    return correct, {
        name: np.exp(random.normal(size=count) - (1.5 - 0.5 * at) * correct) for at, name in enumerate(methods)
    }


def write_run(
    folder: Path,
    correct: Sequence[int],
    uncertainty: Mapping[str, Sequence[float | None]],
    *,
    model: str = "org/small-model",
    task: str = "uq_sciq",
    judge: str = "token_recall",
    answers: Sequence[str] | None = None,
    questions: Sequence[str] | None = None,
    date: str = "2026-01-02T03-04-05.678901",
    timestamp: float = 1767323045.0,
    metrics: Mapping[str, float] | None = None,
    model_args: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    samples: bool = True,
    cost: Mapping[str, float] | None = None,
    further: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Writes results and samples as lm_eval does, with further fields of the first records; returns their folder."""
    place = folder / model.replace("/", "__")
    place.mkdir(parents=True, exist_ok=True)
    lines = []
    for row, verdict in enumerate(correct):
        question = questions[row] if questions else f"Question {row}?"
        record = {
            "uncertainty": {name: scores[row] for name, scores in uncertainty.items()},
            "answer": answers[row] if answers else f"answer {row}",
            "answer_tokens": 5,
            "correct": int(verdict),
            "correctness": float(verdict),
            "judge": judge,
            "cost": dict(cost or {"decode_seconds": 0.2, "gradients_seconds": 0.05, "row_steps": 50.0, "nli_pairs": 0}),
        }
        record |= further[row] if row < len(further) else {}
        lines.append(
            {
                "doc_id": row,
                "doc": {"question": question, "answers": [f"reference {row}", "other"], "uq": record},
                "filter": judge,
                "prompt_hash": f"{row:064d}",
                "target_hash": "0" * 64,
            }
        )
    results = {
        "results": {task: {f"{name},{judge}": value for name, value in (metrics or {}).items()}},
        "configs": {task: {"task": task, "metadata": {"judges": [{"name": judge, "threshold": 0.5}]}}},
        "versions": {task: 1.0},
        "n-samples": {task: {"original": len(correct), "effective": len(correct)}},
        "config": {"model": "uq-hf", "model_args": {"pretrained": model, **(model_args or {})}, **(config or {})},
        "date": timestamp,
        "model_name": model,
        "lm_eval_version": "0.4.13",
        "transformers_version": "5.24.0",
    }
    (place / f"results_{date}.json").write_text(json.dumps(results), encoding="utf-8")
    if samples:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (place / f"samples_{task}_{date}.jsonl").write_text(text, encoding="utf-8")
    return place
