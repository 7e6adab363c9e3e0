"""Runs of lm_eval and of ``uq-harness score`` over a server, beside runs of ``uq-hf``, compared by what they wrote."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _sides import Sides

from uq_harness.results.load import load_runs
from uq_harness.results.run import TaskRun

DRAW_NOTHING = "g_nll+p_true+semantic_density"
OF_THE_WEIGHTS = "exgrad+paragrad+semgrad+hybridgrad"
LEXICAL = "nli_model=lexical,similarity_model=lexical"
TASK = "uq_sciq"
JUDGE = "exact_match"


def compare_results(sides: Sides, count: int) -> dict[str, Any]:
    """AUROCs and scores of methods that draw nothing, by ``uq-api`` and by ``uq-hf``."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = _questions(sides, count, folder)
        served = _evaluate("uq-api", _of_server(sides, f"methods={DRAW_NOTHING},{LEXICAL}"), data, folder / "api")
        own = _evaluate("uq-hf", _of_torch(sides, f"methods={DRAW_NOTHING},{LEXICAL}"), data, folder / "hf")
        return _compared(served, own)


def compare_two_phases(sides: Sides, count: int) -> dict[str, Any]:
    """Scores that take gradients or states: the server's answers read by torch afterwards, and ``uq-hf``'s own."""
    methods = f"g_nll+{OF_THE_WEIGHTS}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        data = _questions(sides, count, folder)
        first = _of_server(sides, f"methods=g_nll,save_samples=true,{LEXICAL}")
        _evaluate("uq-api", first, data, folder / "api")
        own = _evaluate("uq-hf", _of_torch(sides, f"methods={methods},{LEXICAL}"), data, folder / "hf")
        (saved,) = (folder / "api").rglob("samples_*.jsonl")
        _run(
            *("uq_harness", "score", str(saved), "--model", sides.model, "--model-args", "dtype=float32"),
            *("--methods", methods, "--correctness", JUDGE, "--output", str(folder / "second")),
        )
        (second,) = load_runs([folder / "second"])
        return _compared(second, own)


def _questions(sides: Sides, count: int, folder: Path) -> Path:
    """A file of the chosen questions."""
    lines = sides.questions.read_text(encoding="utf-8").splitlines()[sides.skip : sides.skip + count]
    file = folder / "questions.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _of_server(sides: Sides, more: str) -> str:
    return (
        f"base_url={sides.base_url},model={sides.served_name},tokenizer={sides.model},"
        f"num_concurrent={sides.num_concurrent},{more}"
    )


def _of_torch(sides: Sides, more: str) -> str:
    return f"pretrained={sides.model},dtype=float32,max_length={sides.max_length},{more}"


def _evaluate(model: str, arguments: str, data: Path, output: Path) -> TaskRun:
    """What a run of lm_eval finds."""
    metadata = {"data_files": {TASK: str(data)}, "correctness": JUDGE}
    _run(
        *("lm_eval", "--model", model, "--model_args", arguments, "--tasks", TASK, "--apply_chat_template"),
        *("--metadata", json.dumps(metadata), "--batch_size", "16", "--output_path", str(output), "--log_samples"),
    )
    (run,) = load_runs([output])
    return run


def _run(module: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}")


def _compared(served: TaskRun, own: TaskRun) -> dict[str, Any]:
    """Two runs over the same questions; a score's difference is also told as a share of the mean size of the score.

    Raises:
        ValueError: They are not about the same questions.
    """
    if served.keys != own.keys:
        raise ValueError("the two runs are not about the same questions")
    same = np.array([a == b for a, b in zip(served.answers, own.answers, strict=True)])
    rows = {}
    for method in sorted(set(served.uncertainty) & set(own.uncertainty)):
        ours, theirs = served.uncertainty[method], own.uncertainty[method]
        both = same & np.isfinite(ours) & np.isfinite(theirs)
        gap, size = np.abs(ours - theirs)[both], np.abs(theirs[both]).mean()
        rows[method] = {
            "auroc_server": served.metrics.get(f"auroc_{method}"),
            "auroc_torch": own.metrics.get(f"auroc_{method}"),
            "worst_difference": float(gap.max()),
            "worst_relative": float(gap.max() / size),
            "compared": int(both.sum()),
            "undefined_on_one_side": int((np.isfinite(ours) != np.isfinite(theirs)).sum()),
        }
    return {
        "questions": len(same),
        "equal_answers": int(same.sum()),
        "accuracy_server": served.accuracy,
        "accuracy_torch": own.accuracy,
        "methods": rows,
    }
