"""How many answers depend on the batch size, since logits move a little with the shape of a batch.

    python benchmarks/batch_invariance.py --model MODEL --questions questions.jsonl --dtype bfloat16

Answers the questions one prompt at a time (as ``batch_invariant=true`` does) and in batches of several sizes; counts
the greedy and the sampled answers that differ, and takes the time. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from _questions import read_prompts
from transformers import AutoModelForCausalLM, AutoTokenizer

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode_stream
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.evidence import Samples

SETS = (Samples(10, 1.0), Samples(10, 0.5, top_p=0.99, top_k=5))


def main() -> None:
    """Measures, prints a line a batch size and, last, one line of JSON."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=getattr(torch, args.dtype)).to(args.device).eval()
    prompts = [list(prompt.token_ids) for prompt in read_prompts(tokenizer, args.questions, args.limit)]
    answers, seconds, changed = {}, {}, {}
    for size in (1, *map(int, args.batch_sizes.split(","))):
        start = time.process_time() if args.device == "cpu" else time.perf_counter()
        answers[size] = _answers(Architecture.of(model), prompts, size, tokenizer.eos_token_id)
        seconds[size] = (time.process_time() if args.device == "cpu" else time.perf_counter()) - start
        differing = [
            [a != b for a, b in zip(one, alone, strict=True)]
            for one, alone in zip(answers[size], answers[1], strict=True)
        ]
        changed[size] = {"greedy": sum(d[0] for d in differing), "sampled": sum(sum(d[1:]) for d in differing)}
        print(
            f"batches of {size:3}: {changed[size]['greedy']:4} of {len(prompts)} greedy and "
            f"{changed[size]['sampled']:5} of {20 * len(prompts)} sampled answers differ; {seconds[size]:.2f} s"
        )
    print(json.dumps({"model": str(args.model), "dtype": args.dtype, "changed": changed, "seconds": seconds}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL_DIR, help="folder or hub name of a chat model")
    parser.add_argument("--questions", type=Path, default=Path(QUESTIONS), help="JSON lines with question and answers")
    parser.add_argument("--limit", type=int, default=100, help="number of questions")
    parser.add_argument("--batch-sizes", default="4,16", help="joined by commas")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    return parser.parse_args()


def _answers(architecture: Architecture, prompts: list[list[int]], size: int, end: int) -> list[list[Any]]:
    """For each prompt the tokens of the greedy answer and of all samples."""
    stream = decode_stream(
        architecture, prompts, size=size, samplers=SETS, end_ids=frozenset({end}), pad_id=0, max_new_tokens=40
    )
    done = sorted((prompt for batch in stream for prompt in batch), key=lambda prompt: prompt.number)
    return [
        [one.greedy.token_ids, *(drawn.token_ids for sampler in SETS for drawn in one.samples[sampler])] for one in done
    ]


if __name__ == "__main__":
    main()
