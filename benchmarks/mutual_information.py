"""Mutual Information: its cost against that of its distinct token positions, and what fewer answers change.

    python benchmarks/mutual_information.py --model MODEL --questions questions.jsonl --limit 100

Draws the samples, then scores every distinct answer after every other one: all of them, and the likeliest few
(``mi_answers``). Beside it, by turns, as many token positions as there are distinct ones go through the model in plain
batches, and the head reads as many states as it must. Prints seconds of the processor a question, the ratio, and the
rank correlation of the scores with those of all answers; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _questions import read_prompts
from scipy.special import softmax
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM, AutoTokenizer

from uq_harness import functional
from uq_harness.answering.stopping import stop_criteria
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.conditionals import conditionals
from uq_harness.backends.transformers.forward import states
from uq_harness.backends.transformers.teacher_forcing import token_logprobs
from uq_harness.evidence import ConditionalLogProbs, Evidence, Sample, SampleLogProbs
from uq_harness.evidence.prompt import Prompt
from uq_harness.methods.mutual_information import MutualInformation, stating_prompt

ROWS, COLUMNS = 8, 128  # of a plain batch


def main() -> None:
    """Measures, prints a line for each number of answers and, last, one line of JSON."""
    args = _arguments()
    torch.set_num_threads(1)
    files = {"gguf_file": args.gguf_file} if args.gguf_file else {}
    tokenizer = AutoTokenizer.from_pretrained(args.model, **files)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, **files).eval()
    prompts = read_prompts(tokenizer, args.questions, args.limit)
    drawn = _drawn(model, tokenizer, prompts, args.batch_size)
    architecture = Architecture.of(model)
    tokenise = partial(_tokens, tokenizer)

    def score(most: int | None) -> list[ConditionalLogProbs]:
        return [
            one
            for start in range(0, len(prompts), args.batch_size)
            for one in conditionals(
                architecture,
                drawn[start : start + args.batch_size],
                [partial(one.stating, words=stating_prompt) for one in prompts[start : start + args.batch_size]],
                tokenise,
                threshold=0.25,
                pad_id=0,
                most=most,
            )
        ]

    numbers: list[int | None] = [None, *map(int, args.answers.split(","))]
    found = {most: score(most) for most in numbers}
    positions, read = _distinct(prompts, found[None], tokenise)
    plain = partial(_plain, architecture, positions, read)
    work: dict[Any, Callable[[], Any]] = {most: partial(score, most) for most in numbers} | {"plain": plain}
    spent = dict.fromkeys(work, 0.0)
    for _ in range(args.repeats):
        for name, run in work.items():
            start = time.process_time()
            run()
            spent[name] += (time.process_time() - start) / args.repeats / len(prompts)
    scores = {most: np.array([_score(one) for one in some]) for most, some in found.items()}
    table = [
        {
            "answers": most or "all",
            "seconds": spent[most],
            "of_all": spent[most] / spent[None],
            "of_plain": spent[most] / spent["plain"] if most is None else None,
            "rank_correlation": float(spearmanr(scores[most], scores[None])[0]),
        }
        for most in numbers
    ]
    for row in table:
        print(
            f"{row['answers']:>4} answers: {row['seconds']:.4f} s, {row['of_all']:.2f} of all, "
            f"rank correlation {row['rank_correlation']:.3f}"
        )
    print(
        f"{positions} distinct positions, {read} read by the head; in plain batches {spent['plain']:.4f} s, "
        f"all answers {spent[None] / spent['plain']:.2f} times that"
    )
    print(
        json.dumps(
            {
                "questions": len(prompts),
                "positions": positions,
                "head": read,
                "table": table,
                "plain_seconds": spent["plain"],
            }
        )
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--gguf-file", help="the model's file of that kind")
    parser.add_argument("--questions", type=Path, required=True, help="JSON lines with a field question")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--answers", default="3,5,10", help="numbers of answers, joined by commas")
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def _tokens(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def _drawn(model: Any, tokenizer: Any, prompts: Sequence[Prompt], size: int) -> list[Sequence[Sample]]:
    samples = MutualInformation().samples
    backend = TransformersBackend(model, tokenizer, max_length=2048, pad_id=0, seed=1)
    backend.prepare([samples, SampleLogProbs(samples)])
    stop = stop_criteria(model, tokenizer, stop_strings=[], max_new_tokens=64)
    found: dict[int, Evidence] = {}
    for rows, some in backend.gather(prompts, stop, size):
        found |= dict(zip(rows, some, strict=True))
    return [found[row][samples] for row in range(len(prompts))]


def _distinct(
    prompts: Sequence[Prompt], found: Sequence[ConditionalLogProbs], tokenise: Callable[[str], list[int]]
) -> tuple[int, int]:
    """Number of distinct token positions, and of the states among them that predict a token which is asked for."""
    positions = read = 0
    for prompt, one in zip(prompts, found, strict=True):
        if len(one.answers) > 1:
            stated = [prompt.stating(answer, words=stating_prompt) for answer in one.answers]
            behind = _beginnings([tokenise(answer)[:-1] for answer in one.answers])
            positions += _beginnings(stated) + len(stated) * behind
            read += len(stated) * (behind + 1)
    return positions, read


def _beginnings(sequences: Sequence[Sequence[int]]) -> int:
    return len({tuple(one[:end]) for one in sequences for end in range(1, len(one) + 1)})


@torch.no_grad()
def _plain(architecture: Architecture, positions: int, read: int) -> None:
    """So many token positions in plain batches, and the log-probabilities of so many tokens."""
    for start in range(0, positions, ROWS * COLUMNS):
        rows = max(1, round(min(ROWS * COLUMNS, positions - start) / COLUMNS))
        ids = torch.randint(5, architecture.vocabulary, (rows, COLUMNS))
        hidden, _ = states(architecture, ids, torch.ones_like(ids), use_cache=False)
    token_logprobs(architecture, hidden[:1, 0].expand(read, -1), range(read), [7] * read)


def _score(one: ConditionalLogProbs) -> float:
    written = [place for place, answer in enumerate(one.answers) if answer.strip()]
    if len(written) < 2:
        return 0.0
    second = softmax(one.logprobs[np.ix_(written, written)], axis=1)
    return functional.mutual_information(one.probabilities[written], second)


if __name__ == "__main__":
    main()
