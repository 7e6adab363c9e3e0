"""Time and memory of `uq-harness report` over a made-up set: three models, TriviaQA's 11,313 questions, all methods.

    python benchmarks/report.py

Answers, aliases, tokens and scores have about the sizes of real records; results files hold metrics as a run's do,
unless `--without-metrics` makes the report bootstrap all errors itself.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from uq_harness.methods import all_methods
from uq_harness.report.quality import estimates

JUDGE = "token_recall"


def write_run(folder: Path, model: str, questions: int, seed: int, with_metrics: bool) -> None:
    random = np.random.default_rng(seed)
    correct = (random.random(questions) < 0.55).astype(int)
    methods = list(all_methods())
    scores = {
        name: np.exp(random.normal(size=questions) - (0.5 + 0.05 * number) * correct)
        for number, name in enumerate(methods)
    }
    date = f"2026-01-0{seed + 1}T00-00-00.000000"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"samples_uq_triviaqa_{date}.jsonl").open("w", encoding="utf-8") as file:
        for row in range(questions):
            file.write(
                json.dumps(sample(row, correct[row], {n: float(v[row]) for n, v in scores.items()}, random)) + "\n"
            )
    metrics: dict[str, float] = {f"accuracy,{JUDGE}": float(correct.mean())}
    for name, values in scores.items() if with_metrics else ():
        for measure, one in estimates(values, correct).items():
            metrics |= {f"{measure}_{name},{JUDGE}": one.value, f"{measure}_{name}_stderr,{JUDGE}": one.stderr}
    results = {
        "results": {"uq_triviaqa": metrics},
        "configs": {"uq_triviaqa": {"metadata": {"judges": [{"name": JUDGE, "threshold": 0.5}]}}},
        "versions": {"uq_triviaqa": 1.0},
        "config": {"model": "uq-hf", "model_args": {"pretrained": model}},
        "date": 1767225600.0 + seed,
        "model_name": model,
    }
    (folder / f"results_{date}.json").write_text(json.dumps(results), encoding="utf-8")


def sample(row: int, correct: int, scores: dict[str, float], random: np.random.Generator) -> dict[str, object]:
    tokens = 6
    record = {
        "uncertainty": scores,
        "answer": f"answer {row} of some words",
        "answer_tokens": tokens,
        "complete": True,
        "token_ids": list(range(tokens)),
        "token_logprobs": random.normal(size=tokens).tolist(),
        "token_entropies": random.normal(size=tokens).tolist(),
        "cost": {
            "decode_seconds": 0.2,
            "gradients_seconds": 0.05,
            "scoring_seconds": 0.3,
            "row_steps": 130.0,
            "nli_seconds": 0.1,
            "nli_pairs": 108,
            "similarity_seconds": 0.1,
            "similarity_pairs": 32,
        },
        "judge": JUDGE,
        "correctness": float(correct),
        "correct": int(correct),
    }
    aliases = [f"alias {number} of question {row}" for number in range(14)]
    question = f"Which of the things that are asked about in question {row} is meant here?"
    pairs = {
        f"{measure}_{name}{suffix}": [score, int(correct)]
        for name, score in scores.items()
        for measure in ("auroc", "aurc", "prr")
        for suffix in ("", "_stderr")
    }
    return {
        "doc_id": row,
        "doc": {"question": question, "answers": aliases, "uq": record},
        "target": str(aliases),
        "arguments": {"gen_args_0": {"arg_0": question, "arg_1": {"until": [], "max_gen_toks": 150}}},
        "resps": [[record["answer"]]],
        "filtered_resps": [record["answer"]],
        "filter": JUDGE,
        "metrics": list(pairs),
        "doc_hash": "0" * 64,
        "prompt_hash": f"{row:064d}",
        "target_hash": "0" * 64,
        "accuracy": float(correct),
        **pairs,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=11313)
    parser.add_argument("--models", type=int, default=3)
    parser.add_argument("--without-metrics", action="store_true", help="the report has to bootstrap all errors")
    parser.add_argument("--without-plots", action="store_true", help="no PNG and SVG files")
    parser.add_argument("--keep", type=Path, help="folder for the made-up set and the report")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        for number in range(arguments.models):
            model = f"model-{number}"
            if not (folder / "runs" / model).is_dir():
                write_run(folder / "runs" / model, model, arguments.questions, number, not arguments.without_metrics)
        size = sum(file.stat().st_size for file in (folder / "runs").rglob("*.json*"))
        print(
            f"{arguments.models} models x {arguments.questions} questions x {len(all_methods())} methods: "
            f"{size / 1e6:.0f} MB"
        )
        command = [
            sys.executable,
            "-m",
            "uq_harness",
            "report",
            str(folder / "runs"),
            "--output",
            str(folder / "report"),
        ]
        command += ["--no-plots"] if arguments.without_plots else []
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
        wall = time.perf_counter() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(
            f"report: {wall:.1f} s ({used.ru_utime + used.ru_stime:.1f} s of one core), "
            f"peak {used.ru_maxrss / 1024:.0f} MB"
        )
        print(f"page: {(folder / 'report' / 'report.html').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
