"""What all samples of the paper cost: one pass over a tree of prefixes against calls of `generate`, in one run.

    python benchmarks/decode.py --model MODEL --questions questions.jsonl

The ways, one after the other, ``--repeats`` times:

- ours: the greedy answers and the paper's four sample sets of all prompts as a stream, as in a run of ``uq-hf``;
- ours in batches: the same without prompts that join where answers have ended;
- ours with beams: ours and ten diverse beams, which transformers 5 no longer has;
- a call per set: for every batch, `generate` once for the greedy answers and once a sample set with
  ``num_return_sequences``;
- a call per sample: `generate` once for every answer (on a few prompts).

``--random`` takes a random model, whose samples all differ: the worst case. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from _clock import seconds_of
from _questions import read_prompts
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode_stream
from uq_harness.backends.transformers.forward import left_pad
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.evidence import DiverseBeams, Samples

SETS = (Samples(10, 1.0), Samples(10, 0.7), Samples(10, 0.9), Samples(10, 0.5, top_p=0.99, top_k=5))
BEAMS = DiverseBeams(10, 1.0)
SINGLE = "a call per sample"


def main() -> None:
    """Measures, prints a table and, last, one line of JSON."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model, prompts, end = _workload(args)
    steps: dict[str, int] = {}
    ways = _ways(model, end, args, steps)
    seconds = dict.fromkeys(ways, 0.0)
    counts = dict.fromkeys(ways, 0)
    passes: dict[str, int] = {}
    for way in ways.values():
        way(prompts[:1])  # warm up
    steps.clear()
    for _ in range(args.repeats):
        for name, way in ways.items():
            part = prompts[: args.single_prompts] if name == SINGLE else prompts
            with _passes(model.get_decoder()) as seen:
                seconds[name] += seconds_of(lambda way=way, part=part: way(part))
            passes[name] = len(seen)
            counts[name] += len(part)
    each = {name: seconds[name] / counts[name] for name in ways}
    rows = {name: steps[name] / counts[name] for name in ways}
    for name in ways:
        print(f"{name:18} {1e3 * each[name]:9.2f} ms and {rows[name]:8.1f} row-steps a prompt")
    result = {
        "model": "random" if args.random else str(args.model),
        "device": str(model.device),
        "prompts": len(prompts),
        "batch_size": args.batch_size,
        "new_tokens": args.new_tokens,
        "generate_over_ours": each["a call per set"] / each["ours"],
        "single_calls_over_ours": each[SINGLE] / each["ours"],
        "beams_add": each["ours with beams"] / each["ours"] - 1,
        "forward_passes": {name: count for name, count in passes.items() if name != SINGLE},
        "row_steps_a_prompt": rows,
        "seconds_a_prompt": each,
    }
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL_DIR, help="folder or hub name of a chat model")
    parser.add_argument("--questions", type=Path, default=Path(QUESTIONS), help="JSON lines with a field question")
    parser.add_argument("--limit", type=int, default=40, help="number of questions")
    parser.add_argument("--random", action="store_true", help="a random model of the size of the demo model")
    parser.add_argument("--new-tokens", type=int, default=24, help="limit on an answer's tokens")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--single-prompts", type=int, default=2, help="prompts for the way with a call per sample")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    return parser.parse_args()


def _workload(args: argparse.Namespace) -> tuple[Any, list[list[int]], int | None]:
    """The model, its prompts and its end token."""
    dtype = getattr(torch, args.dtype)
    if args.random:
        config = AutoConfig.from_pretrained(MODEL_DIR)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).to(args.device).eval()
        model.generation_config.eos_token_id = None
        return model, torch.randint(3, config.vocab_size, (args.limit, 32)).tolist(), None
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype).to(args.device).eval()
    prompts = [list(prompt.token_ids) for prompt in read_prompts(tokenizer, args.questions, args.limit)]
    return model, prompts, tokenizer.eos_token_id


def _ways(
    model: Any, end: int | None, args: argparse.Namespace, steps: dict[str, int]
) -> dict[str, Callable[[list[list[int]]], None]]:
    """The ways by name; each adds the rows that went through the model to ``steps``."""
    architecture = Architecture.of(model)
    ends = frozenset() if end is None else frozenset({end})

    def batches(prompts: list[list[int]]) -> Iterator[list[list[int]]]:
        for start in range(0, len(prompts), args.batch_size):
            yield prompts[start : start + args.batch_size]

    def tree(name: str, samplers: tuple[Samples | DiverseBeams, ...], prompts: list[list[int]]) -> None:
        stream = decode_stream(
            architecture,
            prompts,
            size=args.batch_size,
            samplers=samplers,
            end_ids=ends,
            pad_id=0,
            max_new_tokens=args.new_tokens,
        )
        steps[name] = steps.get(name, 0) + sum(prompt.row_steps for done in stream for prompt in done)

    def in_batches(prompts: list[list[int]]) -> None:
        for batch in batches(prompts):
            tree("ours in batches", SETS, batch)

    def generate(name: str, batch: list[list[int]], sampler: Samples | None, count: int) -> None:
        ids, mask = left_pad(batch, 0, model.device)
        how: dict[str, Any] = {"do_sample": False}
        if sampler is not None:
            how = {
                "do_sample": True,
                "temperature": sampler.temperature,
                "top_k": sampler.top_k,
                "top_p": sampler.top_p,
            }
        found = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=args.new_tokens,
            num_return_sequences=count,
            pad_token_id=0,
            eos_token_id=end,
            **how,
        )
        steps[name] = steps.get(name, 0) + found.shape[0] * (found.shape[1] - ids.shape[1])

    def per_set(prompts: list[list[int]]) -> None:
        for batch in batches(prompts):
            generate("a call per set", batch, None, 1)
            for sampler in SETS:
                generate("a call per set", batch, sampler, sampler.count)

    def per_sample(prompts: list[list[int]]) -> None:
        for prompt in prompts:
            generate(SINGLE, [prompt], None, 1)
            for sampler in SETS:
                for _ in range(sampler.count):
                    generate(SINGLE, [prompt], sampler, 1)

    return {
        "ours": lambda prompts: tree("ours", SETS, prompts),
        "ours in batches": in_batches,
        "ours with beams": lambda prompts: tree("ours with beams", (*SETS, BEAMS), prompts),
        "a call per set": per_set,
        SINGLE: per_sample,
    }


@contextmanager
def _passes(decoder: Any) -> Iterator[list[None]]:
    """Grows by one with every forward pass."""
    seen: list[None] = []
    handle = decoder.register_forward_pre_hook(lambda module, args: seen.append(None))
    try:
        yield seen
    finally:
        handle.remove()


if __name__ == "__main__":
    main()
