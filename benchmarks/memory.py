"""How much memory methods take: only what a chosen one needs is kept, so few methods take less than all.

    python benchmarks/memory.py [--model MODEL --questions questions.jsonl]

Each set of methods answers one batch in a process of its own. Reported is the most memory in use at any time, less
that in use before (on a GPU, of its memory: `torch.cuda.max_memory_allocated`), and for each set the same with
everything kept that any method could need. A model of random weights never ends an answer, so all have the
same length, and all samples differ: the worst case. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from _questions import read_prompts
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.decode import Kept
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.evidence.backend import gather_all
from uq_harness.evidence.prompt import StopCriteria
from uq_harness.methods import build_methods
from uq_harness.studies.bench.interleaved import peak_megabytes

SETS = ("g_nll", "default", "ln_pe", "eigenscore", "semantic_density", "sampling", "all")
SHAPE = {  # of a model whose answers' states and caches outweigh what torch itself takes
    "hidden_size": 512,
    "intermediate_size": 1024,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
}


def main() -> None:
    """Measures, prints a table and, last, one line of JSON."""
    args = _arguments()
    if args.one:
        print(json.dumps(_measure(args)))
        return
    rows = {}
    print(f"{'methods':18} {'peak, MB':>10} {'everything kept':>16}")
    for methods in args.methods:
        kept, everything = (_apart(methods, *more) for more in ((), ("--keep-everything",)))
        rows[methods] = {"peak_mb": kept, "peak_mb_everything_kept": everything}
        print(f"{methods:18} {kept:10.1f} {everything:16.1f}", flush=True)
    result = {
        "model": args.model or "random",
        "device": args.device,
        "batch_size": args.batch_size,
        "new_tokens": args.new_tokens,
        "methods": rows,
    }
    if {"ln_pe", "all"} <= set(rows):
        result["all_over_ln_pe"] = rows["all"]["peak_mb"] / rows["ln_pe"]["peak_mb"]
        print(f"all over ln_pe: {result['all_over_ln_pe']:.2f}")
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=SETS, help="sets of methods, as in methods=")
    parser.add_argument("--model", help="folder or hub name of a chat model; one of random weights if absent")
    parser.add_argument("--questions", type=Path, default=Path(QUESTIONS), help="JSON lines with a field question")
    parser.add_argument("--batch-size", type=int, default=8, help="questions in the batch")
    parser.add_argument("--new-tokens", type=int, default=16, help="limit on an answer's tokens")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--keep-everything", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _apart(methods: str, *more: str) -> float:
    """Megabytes of one set of methods, measured in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--one", methods, *more]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _measure(args: argparse.Namespace) -> float:
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    model, tokenizer = _model(args)
    prompts = read_prompts(tokenizer, args.questions, args.batch_size)
    needs = [need for method in build_methods(args.one, {}) for need in method.needs()]
    backend = TransformersBackend(model, tokenizer, max_length=4096, pad_id=0)
    backend.prepare(needs)
    if args.keep_everything:
        vars(backend._plan)["kept"] = Kept()
    ends = frozenset({tokenizer.eos_token_id}) if args.model else frozenset()
    stop = StopCriteria(ends, args.new_tokens, read=lambda tokens: (tokenizer.decode(tokens), range(len(tokens))))
    gather_all(backend, prompts[:1], StopCriteria(ends, 2, stop.read))  # what is loaded on first use
    megabytes = peak_megabytes(lambda: gather_all(backend, prompts, stop), torch.device(args.device))
    if megabytes is None:
        raise SystemExit("this system does not tell a process's highest use of memory")
    return megabytes


def _model(args: argparse.Namespace) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    tokenizer = AutoTokenizer.from_pretrained(args.model or MODEL_DIR)
    dtype = getattr(torch, args.dtype)
    if args.model:
        return AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype).to(args.device).eval(), tokenizer
    config = AutoConfig.for_model("qwen3", vocab_size=len(tokenizer), bos_token_id=1, eos_token_id=2, **SHAPE)
    return AutoModelForCausalLM.from_config(config, dtype=dtype).to(args.device).eval(), tokenizer


if __name__ == "__main__":
    main()
