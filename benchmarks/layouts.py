"""From which prompt length on prefixes should share the prompt's keys and values: `TreePrefixes` against copies.

    python benchmarks/layouts.py --lengths 32,128,512

A random model answers random prompts of each length, greedily and with the samples of the paper, once with copied keys
and values and once with shared ones, by turns. Prints the seconds of both (on a CPU those of the processor) and their
ratio; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode
from uq_harness.evidence import Samples

SETS = (Samples(10, 1.0), Samples(10, 0.7), Samples(10, 0.9), Samples(10, 0.5, top_p=0.99, top_k=5))


def main() -> None:
    """Measures, prints a line a length and, last, one line of JSON."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    architecture = Architecture.of(_model(args))
    ratios = {}
    for length in map(int, args.lengths.split(",")):
        prompts = torch.randint(3, 1024, (args.prompts, length)).tolist()
        spent = {"copied": 0.0, "tree": 0.0}
        for turn in range(args.repeats + 1):
            for layout in spent:
                start = _clock(args.device)
                decode(
                    architecture,
                    prompts,
                    samplers=SETS,
                    end_ids=frozenset(range(3, 3 + args.ends)),
                    pad_id=0,
                    max_new_tokens=args.new_tokens,
                    layout=layout,
                )
                spent[layout] += (_clock(args.device) - start) if turn else 0.0  # the first turn warms up
        ratios[length] = spent["copied"] / spent["tree"]
        seconds = ", ".join(f"{layout} {value / args.repeats:.3f} s" for layout, value in spent.items())
        print(f"prompts of {length:5} tokens: {seconds}, copied over tree {ratios[length]:.2f}")
    print(json.dumps({"device": args.device, "new_tokens": args.new_tokens, "copied_over_tree": ratios}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", default="32,64,128,256,512", help="prompt lengths in tokens, joined by commas")
    parser.add_argument("--prompts", type=int, default=4, help="number of prompts in a batch")
    parser.add_argument("--new-tokens", type=int, default=24, help="limit on an answer's tokens")
    parser.add_argument("--ends", type=int, default=64, help="how many of the 1,024 tokens end an answer")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    return parser.parse_args()


def _model(args: argparse.Namespace) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=args.width,
        intermediate_size=3 * args.width,
        num_hidden_layers=args.layers,
        num_attention_heads=max(4, args.width // 64),
        num_key_value_heads=2,
        max_position_embeddings=8192,
    )
    return LlamaForCausalLM(config).to(args.device, getattr(torch, args.dtype)).eval()


def _clock(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
