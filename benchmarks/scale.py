"""Processor time and memory of the commands that read results, over made-up runs of many questions and all methods.

    python benchmarks/scale.py [--questions 100000]

Records have the fields and about the sizes of real ones, questions as many references as TriviaQA's; results files hold
metrics with their errors as a run's do, unless `--without-metrics` leaves them to the readers. Each command is a
process of its own. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from _child import run

from uq_harness.evidence.cost import ALONE, ANSWER, name_of, with_sets
from uq_harness.methods import all_methods
from uq_harness.report.quality import estimates

JUDGE = "token_recall"
MODELS = ("model-0", "model-1")
ALIASES = 14
# Stages of which records say what each need cost.
BY_NEED = ("samples", "gradients", "scoring", "nli", "similarity")
COSTS = {
    ANSWER: 0.0531,
    "decode_seconds": 0.2437123749800958,
    "row_steps": 130.5,
    "gradients_seconds": 0.05123874932870935,
    "scoring_seconds": 0.3712342298347219,
    "scored_texts": 18,
    "nli_seconds": 0.10398274398723987,
    "nli_pairs": 108,
    "similarity_seconds": 0.11232987239817239,
    "similarity_pairs": 32,
} | {
    ALONE + name_of(need): 0.0123
    for method in all_methods().values()
    for need in with_sets(method().needs())
    if need.stage in BY_NEED and (need.stage != "samples" or need.sample_set == need)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=100_000)
    parser.add_argument("--without-metrics", action="store_true", help="readers have to find all errors themselves")
    parser.add_argument("--keep", type=Path, help="folder for the made-up runs and what is written of them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        runs = [folder / "runs" / model for model in MODELS]
        for seed, run_folder in enumerate(runs):
            if not run_folder.is_dir():
                write_run(run_folder, arguments.questions, seed, not arguments.without_metrics)
        size = sum(file.stat().st_size for file in runs[0].iterdir())
        print(f"{arguments.questions} questions x {len(all_methods())} methods: {size / 1e6:.0f} MB a run", flush=True)
        found = {}
        for name, command in commands(runs, folder / "out").items():
            used = run([sys.executable, "-m", "uq_harness", *command])
            print(f"{name:12} {used}", flush=True)
            found[name] = used._asdict()
        print(json.dumps({"questions": arguments.questions, "methods": len(all_methods()), "commands": found}))


def commands(runs: list[Path], output: Path) -> dict[str, list[str]]:
    """What is measured: one run, and for the comparison two."""
    first, second = map(str, runs)
    best = next(reversed(all_methods()))
    return {
        "report": ["report", first, "--output", str(output / "report")],
        "leaderboard": ["leaderboard", first, "--output", str(output / "leaderboard")],
        "compare": ["compare", first, second, "--measures", "auroc+aurc+prr"],
        "threshold": ["threshold", first, "--target", "0.3", "--method", best, "--output", str(output / "threshold")],
    }


def write_run(folder: Path, questions: int, seed: int, with_metrics: bool) -> None:
    """Results and samples as lm_eval writes them; later methods are the better ones."""
    random = np.random.default_rng(seed)
    correct = (random.random(questions) < 0.7).astype(int)
    scores = {
        name: np.exp(random.normal(size=questions) - (0.5 + 0.05 * number) * correct)
        for number, name in enumerate(all_methods())
    }
    date = f"2026-01-0{seed + 1}T00-00-00.000000"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"samples_uq_triviaqa_{date}.jsonl").open("w", encoding="utf-8") as file:
        for line in samples(correct, scores, random):
            file.write(json.dumps(line) + "\n")
    metrics: dict[str, float] = {f"accuracy,{JUDGE}": float(correct.mean())}
    for name, values in scores.items() if with_metrics else ():
        for measure, one in estimates(values, correct).items():
            metrics |= {f"{measure}_{name},{JUDGE}": one.value, f"{measure}_{name}_stderr,{JUDGE}": one.stderr}
    results = {
        "results": {"uq_triviaqa": metrics},
        "configs": {
            "uq_triviaqa": {"test_split": "validation", "metadata": {"judges": [{"name": JUDGE, "threshold": 0.5}]}}
        },
        "versions": {"uq_triviaqa": 1.0},
        "config": {"model": "uq-hf", "model_args": {"pretrained": folder.name}},
        "date": 1767225600.0 + seed,
        "model_name": folder.name,
    }
    (folder / f"results_{date}.json").write_text(json.dumps(results), encoding="utf-8")


def samples(
    correct: np.ndarray, scores: dict[str, np.ndarray], random: np.random.Generator
) -> Iterator[dict[str, object]]:
    names = list(scores)
    table = np.column_stack(list(scores.values()))
    for row, verdict in enumerate(correct.tolist()):
        yield sample(row, verdict, dict(zip(names, table[row].tolist(), strict=True)), random)


def sample(row: int, correct: int, scores: dict[str, float], random: np.random.Generator) -> dict[str, object]:
    """One line; the answer has six tokens."""
    logprobs, entropies, rauq = random.normal(size=(3, 6)).tolist()
    record = {
        "uncertainty": scores,
        "answer": f"answer {row} of some words",
        "answer_tokens": 6,
        "complete": True,
        "semantic_token": {"position": -4, "text": "<|im_start|>"},
        "token_ids": [26776 + token for token in range(6)],
        "token_logprobs": logprobs,
        "token_entropies": entropies,
        "token_values": {"rauq": rauq},
        "confidence_reply": "Confidence: 80",
        "cost": COSTS,
        "tokens": ["answer", f" {row}", " of", " some", " words", ""],
        "judge": JUDGE,
        "correctness": float(correct),
        "correct": correct,
    }
    aliases = [f"alias {number} of question {row}" for number in range(ALIASES)]
    question = f"Which of the things that are asked about in question {row} is meant here?"
    return {
        "doc_id": row,
        "doc": {"question": question, "answers": aliases, "uq": record},
        "target": str(aliases),
        "arguments": {"gen_args_0": {"arg_0": question, "arg_1": {"until": [], "max_gen_toks": 150}}},
        "resps": [[record["answer"]]],
        "filtered_resps": [record["answer"]],
        "filter": JUDGE,
        "metrics": ["accuracy", JUDGE],
        "doc_hash": "0" * 64,
        "prompt_hash": f"{row:064d}",
        "target_hash": "0" * 64,
        "accuracy": float(correct),
        JUDGE: float(correct),
    }


if __name__ == "__main__":
    main()
