"""What the scores of the answer's own decoding pass add to it: processor time against greedy decoding, in one run.

    python benchmarks/cheap.py --model MODEL --tasks uq_truthfulqa --data-files questions.jsonl

The ways, of which each goes from prompt to record as in a run of ``uq-hf``:

- greedy: without any method;
- greedy again: the same, which shows what the machine's noise is;
- each method whose scores read what greedy decoding alone does not keep;
- distributions: the methods that read a number of each distribution, together;
- the whole set, ``cheap`` unless ``--methods`` says otherwise.

Every batch of questions goes through every way before the next one comes, and the way that comes first changes each
time. A ratio is that of two ways in the same batch and round; the table has the median of all of them with quartiles,
and the worst round, in which all batches are added up. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from _clock import seconds_of

from uq_harness.evaluation.instances import record_of
from uq_harness.evidence import SelfAttention, TokenStatistic
from uq_harness.methods import Method
from uq_harness.models import UQHFLM
from uq_harness.studies.bench.interleaved import interleaved
from uq_harness.studies.bench.run import requests_of

GREEDY, AGAIN = "greedy", "greedy again"


def main() -> None:
    """Measures, prints a table and, last, one line of JSON."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    files = {"gguf_file": args.gguf_file} if args.gguf_file else {}
    lm = UQHFLM(
        pretrained=args.model,
        methods=args.methods,
        batch_size=args.batch_size,
        device=args.device,
        dtype=args.dtype,
        **files,
    )
    metadata = {"data_files": {args.tasks: args.data_files}} if args.data_files else {}
    requests = requests_of(lm, [args.tasks], args.limit, metadata=metadata, chat=True)[args.tasks]
    requests = sorted(requests, key=lambda request: -len(lm.tok_encode(request.args[0])))
    batches = [requests[start : start + args.batch_size] for start in range(0, len(requests), args.batch_size)]
    tokens: list[int] = []

    def way(methods: Sequence[Method]) -> Callable[[Sequence[Any]], None]:
        model = lm.with_methods(methods)

        def run(batch: Sequence[Any]) -> None:
            found = model.generate_until(list(batch), disable_tqdm=True)
            tokens.extend(record_of(text)["answer_tokens"] for text in found)

        return run

    chosen = _chosen(lm.methods, args.methods)
    names = [GREEDY, AGAIN, *args.ways.split(",")] if args.ways else list(chosen)
    ways = {name: way(chosen[name]) for name in names}
    for answer in ways.values():
        answer(batches[-1])  # warms up
    tokens.clear()
    seconds = np.empty((len(ways), len(batches), args.rounds))

    def spent(name: str, batch: Sequence[Any]) -> float:
        return seconds_of(lambda: ways[name](batch))

    for turn, number, found in interleaved(names, spent, batches, args.rounds):
        seconds[:, number, turn] = [found[name] for name in names]
    single = seconds / seconds[0]
    rounds = seconds.sum(1) / seconds[0].sum(0)
    rows = {
        name: {
            "median": float(np.median(single[place])),
            "quartiles": np.quantile(single[place], [0.25, 0.75]).tolist(),
            "rounds": rounds[place].tolist(),
            "worst": float(rounds[place].max()),
        }
        for place, name in enumerate(ways)
    }
    print(f"{'way':24} {'median':>7}  {'quartiles':15}  {'worst':>6}  rounds")
    for name, row in rows.items():
        low, high = row["quartiles"]
        each = " ".join(f"{one:.3f}" for one in row["rounds"])
        print(f"{name:24} {row['median']:7.3f}  {low:.3f} to {high:.3f}   {row['worst']:6.3f}  {each}")
    result = {
        "model": args.gguf_file or args.model,
        "device": args.device,
        "dtype": args.dtype,
        "threads": args.threads,
        "task": args.tasks,
        "questions": len(requests),
        "batch_size": args.batch_size,
        "rounds": args.rounds,
        "answer_tokens": float(np.mean(tokens)),
        "greedy_seconds_a_question": float(np.median(seconds[0].sum(0))) / len(requests),
        "over_greedy": rows,
    }
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo", help="folder or hub name of a chat model")
    parser.add_argument("--gguf-file", help="the model's file of that kind")
    parser.add_argument("--tasks", default="uq_demo", help="an uncertainty task")
    parser.add_argument("--data-files", help="its questions, JSON lines")
    parser.add_argument("--methods", default="cheap", help="the methods that come last, all together")
    parser.add_argument("--ways", help="names of the ways that are measured beside greedy decoding, joined by commas")
    parser.add_argument("--limit", type=int, default=32, help="number of questions")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    return parser.parse_args()


def _chosen(methods: Sequence[Method], together: str) -> dict[str, Sequence[Method]]:
    """The methods of each way, by its name."""
    of_distributions = [one for one in methods if any(isinstance(need, TokenStatistic) for need in one.needs())]
    of_attention = [one for one in methods if any(isinstance(need, SelfAttention) for need in one.needs())]
    alone = {one.name: [one] for one in methods if one in of_attention + of_distributions}
    return {GREEDY: (), AGAIN: (), **alone, "distributions": of_distributions, together: methods}


if __name__ == "__main__":
    main()
