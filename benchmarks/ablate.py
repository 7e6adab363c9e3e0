"""What an ablation's pass costs compared with ordinary runs: ratios from one run on the same model and questions.

    python benchmarks/ablate.py --model MODEL --questions questions.jsonl

Batch by batch, so that a noisy machine disturbs all alike: answers alone (``methods=g_nll``), an ordinary run
(``methods=default``), and the ablation's pass with the gradients of all layers at all positions in both weightings.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _questions import TASK_PROMPT, read_questions

from uq_harness.demo import QUESTIONS
from uq_harness.evaluation.instances import QuestionInstance
from uq_harness.models import UQHFLM
from uq_harness.studies.ablation.model import AblationLM

GREEDY = {"until": [], "max_gen_toks": 150, "do_sample": False}


def main() -> None:
    """Measures, prints a table and, last, one line of JSON."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    logging.basicConfig(level=logging.ERROR)
    settings = {"pretrained": args.model, "dtype": args.dtype, "batch_size": args.batch_size, "device": args.device}
    ablation = AblationLM(positions=args.positions, **settings)
    ways: dict[str, UQHFLM] = {
        "answers alone": UQHFLM(methods="g_nll", **settings),
        "ordinary run": UQHFLM(methods="default", **settings),
        "ablation": ablation,
    }
    rows = read_questions(Path(args.questions))[: args.limit]
    requests = [_request(ablation, number, question) for number, question in enumerate(rows)]
    batches = [requests[at : at + args.batch_size] for at in range(0, len(requests), args.batch_size)]
    for lm in ways.values():
        _seconds(lm, batches[0])
    seconds = {name: np.zeros(len(batches)) for name in ways}
    for number, batch in enumerate(batches):
        for name, lm in ways.items():
            seconds[name][number] = _seconds(lm, batch)
    report: dict[str, Any] = {"model": args.model, "device": str(ablation.device), "dtype": args.dtype}
    report |= {"batch_size": args.batch_size, "questions": len(rows), "positions": ablation.n_positions}
    print(f"{'way':>14}  seconds  of an ordinary run")
    for name, values in seconds.items():
        ratio = values.sum() / seconds["ordinary run"].sum()
        report[name] = {"seconds": round(values.sum(), 3), "of_ordinary": round(ratio, 3)}
        print(f"{name:>14}  {values.sum():7.2f}  {ratio:.2f}")
    print(json.dumps(report))


def _request(lm: UQHFLM, number: int, question: str) -> QuestionInstance:
    message = TASK_PROMPT.format(question)
    prompt = lm.apply_chat_template([{"role": "user", "content": message}])
    metadata = ("benchmark", number, 1)
    return QuestionInstance(
        "generate_until", {}, (prompt, dict(GREEDY)), 0, metadata, question=question, message=message
    )


def _seconds(lm: UQHFLM, batch: list[QuestionInstance]) -> float:
    started = time.perf_counter()
    lm.generate_until(batch, disable_tqdm=True)
    return time.perf_counter() - started


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--questions", default=str(QUESTIONS))
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--positions", type=int, default=None)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
