"""How much memory it takes to load a model with methods: the self-check may not outweigh the model.

    python benchmarks/load_memory.py [--model MODEL] [--gguf-file FILE]

Each set of methods is loaded in a process of its own, as an application does it. Reported is the most memory in use at
any time from the loaded weights, which count, to readiness for the first question. Without
``--model`` the model has random weights and a large vocabulary, which makes the LM head most of it: the worst case. The
last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from uq_harness import UncertaintyModel
from uq_harness.demo import MODEL_DIR
from uq_harness.studies.bench.interleaved import peak_megabytes

SETS = ("g_nll", "semgrad", "exgrad", "default")
SHAPE = {
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "tie_word_embeddings": True,
}


def main() -> None:
    """Measures, prints a table and, last, one line of JSON."""
    args = _arguments()
    if args.one:
        print(json.dumps(_measure(args)))
        return
    peaks = {}
    print(f"{'methods':10} {'peak, MB':>10} {'over ' + args.methods[0]:>12}")
    for methods in args.methods:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", methods]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks[methods] = float(json.loads(done.stdout.splitlines()[-1]))
        print(f"{methods:10} {peaks[methods]:10.1f} {peaks[methods] / peaks[args.methods[0]]:12.2f}", flush=True)
    print(json.dumps({"model": args.model or "random", "device": args.device, "dtype": args.dtype, "peak_mb": peaks}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=SETS, help="sets of methods, as in methods=")
    parser.add_argument("--model", help="folder or hub name of a chat model; one of random weights if absent")
    parser.add_argument("--gguf-file", help="the model's file of that kind")
    parser.add_argument("--vocabulary", type=int, default=200_000, help="of the random model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(args: argparse.Namespace) -> float:
    torch.manual_seed(0)
    dtype, files = getattr(torch, args.dtype), {"gguf_file": args.gguf_file} if args.gguf_file else {}
    tokenizer = AutoTokenizer.from_pretrained(args.model or MODEL_DIR, **files)
    if args.model:
        model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, **files)
    else:
        config = AutoConfig.for_model("qwen3", vocab_size=args.vocabulary, bos_token_id=1, eos_token_id=2, **SHAPE)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    model = model.to(args.device).eval()
    device = torch.device(args.device)
    more = peak_megabytes(lambda: UncertaintyModel(model, tokenizer, methods=args.one), device)
    if more is None:
        raise SystemExit("this system does not tell a process's highest use of memory")
    return sum(weight.nbytes for weight in model.parameters()) / 1e6 + more


if __name__ == "__main__":
    main()
