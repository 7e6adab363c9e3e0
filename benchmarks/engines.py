"""Uncertainty from a server beside the same model in torch: laws of scores, requests, processors, results end to end.

    python benchmarks/engines.py --model MODEL --base-url http://localhost:8000/v1 --questions questions.jsonl

The server, on this machine, has loaded MODEL in float32 with --max-logprobs 20. Parts (``--parts``, joined by commas):

- ``law``: mean scores of seven sampled methods, several seeds each way, and every drawn token against torch;
- ``first-tokens``: χ² tests of many first tokens of a few prompts;
- ``requests``: requests and tokens a question for each method, beside the least possible;
- ``processors``: processor time a question of client and server;
- ``results``: AUROCs of methods that draw nothing, through ``lm_eval --model uq-api`` and ``uq-hf``;
- ``two-phases``: gradient scores, samples saved through ``uq-api`` and scored by ``uq-harness score --model``, and
  ``uq-hf``.

Texts are compared word by word (``nli_model=lexical``). ``--output`` keeps the numbers as JSON; a table is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from _end_to_end import compare_results, compare_two_phases
from _law import compare_first_tokens, compare_in_law
from _processors import compare_processors
from _requests import count_requests
from _sides import Sides


def main() -> None:
    """Measures the chosen parts, prints tables, and keeps the numbers."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    sides = Sides(
        model=args.model,
        base_url=args.base_url,
        served_name=args.served_name or Path(args.model).name,
        questions=args.questions,
        skip=args.skip,
        max_new_tokens=args.new_tokens,
        num_concurrent=args.num_concurrent,
    )
    parts: dict[str, Callable[[], Any]] = {
        "law": lambda: compare_in_law(sides, args.limit, args.seeds, _say),
        "first-tokens": lambda: compare_first_tokens(sides, args.token_prompts, args.draws),
        "requests": lambda: count_requests(sides, args.counted),
        "processors": lambda: compare_processors(sides, args.counted, _say),
        "results": lambda: compare_results(sides, args.limit),
        "two-phases": lambda: compare_two_phases(sides, args.gradients),
    }
    chosen = list(parts) if args.parts == "all" else args.parts.split(",")
    if unknown := [part for part in chosen if part not in parts]:
        raise SystemExit(f"--parts {unknown[0]} is not allowed: use all, or some of {', '.join(parts)}")
    found = {"model": sides.served_name, "machine": _machine(), **_kept(args.output)}
    for part in chosen:
        found[part] = parts[part]()
        print(f"{part}:", *_table(found[part]), sep="\n")
        if args.output is not None:
            args.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder or hub name of the model that the server has loaded")
    parser.add_argument("--base-url", required=True, help="where the server's API is, such as http://localhost:8000/v1")
    parser.add_argument("--served-name", help="what the server calls the model; by default the end of --model")
    parser.add_argument("--questions", type=Path, required=True, help="JSON lines with question and answers")
    parser.add_argument("--skip", type=int, default=20, help="number of the first questions that are left out")
    parser.add_argument("--limit", type=int, default=200, help="questions of law and results")
    parser.add_argument("--seeds", type=int, default=6, help="seeds each way of law")
    parser.add_argument("--token-prompts", type=int, default=6, help="prompts whose first tokens are tested")
    parser.add_argument("--draws", type=int, default=1000, help="first tokens of each prompt at each temperature")
    parser.add_argument("--counted", type=int, default=40, help="questions of requests and processors")
    parser.add_argument("--gradients", type=int, default=50, help="questions of two-phases")
    parser.add_argument("--new-tokens", type=int, default=150, help="limit on an answer's tokens")
    parser.add_argument("--num-concurrent", type=int, default=16, help="requests under way at a time")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads here")
    parser.add_argument("--parts", default="all", help="what is measured")
    parser.add_argument("--output", type=Path, help="JSON file for the numbers; parts not measured now stay in it")
    return parser.parse_args()


def _kept(output: Path | None) -> dict[str, Any]:
    """The parts that an earlier call has measured."""
    known: dict[str, Any] = json.loads(output.read_text(encoding="utf-8")) if output and output.exists() else {}
    return {name: value for name, value in known.items() if name not in ("model", "machine")}


def _machine() -> dict[str, Any]:
    packages = {name: version(name) for name in ("torch", "transformers", "lm_eval")}
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    } | packages


def _table(values: Any, name: str = "") -> list[str]:
    """Nested numbers, one line for each innermost mapping."""
    if isinstance(values, list):
        return [line for place, one in enumerate(values) for line in _table(one, f"{name} {place}")]
    nested = {key: one for key, one in values.items() if isinstance(one, dict | list)}
    plain = "  ".join(
        f"{key} {'-' if one is None else format(one, '.5g')}" for key, one in values.items() if key not in nested
    )
    return [f"{name:28} {plain}", *(line for key, one in nested.items() for line in _table(one, f"{name} {key}"))]


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
