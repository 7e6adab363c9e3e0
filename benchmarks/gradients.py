"""What uncertainty costs beyond the answer: ratios measured in one run on the same model and questions.

    python benchmarks/gradients.py --model MODEL --questions questions.jsonl

The three ways, interleaved batch by batch so that a noisy machine disturbs all alike:

- generation: lm_eval's stock greedy decoding of the batch (HFLM);
- ours: decoding with every default method's scores, less our decoding alone;
- plain: the same gradients by full-sequence autograd, one example at a time, to all hidden states and the head.

Then the parts of the gradient pass, each with the multiplications that it cannot do without, and how many of them it
does in a second. What each method costs alone, with its spread, says ``uq-harness bench``; this script compares with
plain autograd. ``--random SHAPE`` takes a randomly initialised model of a real size instead of ``--model``. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from _clock import seconds_of
from _questions import read_prompts
from lm_eval.models.huggingface import HFLM
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.decode import decode
from uq_harness.backends.transformers.forward import left_pad
from uq_harness.backends.transformers.gradients import gradients
from uq_harness.backends.transformers.head import Request
from uq_harness.backends.transformers.plan import Plan
from uq_harness.backends.transformers.reference import reference_gradients
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.evidence.backend import gather_all
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.methods import Method, build_methods
from uq_harness.studies.bench.interleaved import peak_megabytes

SHAPES = {  # of real models; weights are random
    "qwen3-4b": {
        "vocab_size": 151936,
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
    "qwen3-0.6b": {
        "vocab_size": 151936,
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
    },
}


def main() -> None:
    """Measures, prints a table and, last, one line of JSON."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    logging.basicConfig(level=logging.ERROR)
    torch.manual_seed(0)
    model, prompts, ends, new_tokens = _workload(args)
    tokenizer = _tokenizer(args)
    methods = build_methods("default", {})
    stop = StopCriteria(frozenset(ends), new_tokens, read=lambda tokens: ("", range(len(tokens))))

    def scoring(*chosen: Method) -> Callable[[list[Prompt]], Any]:
        needs = [need for method in chosen for need in method.needs()]
        backend = TransformersBackend(model, tokenizer, max_length=4096, pad_id=0)
        backend.prepare(needs)
        return lambda batch: gather_all(backend, batch, stop)

    ways: dict[str, Callable[[list[Prompt]], Any]] = {
        "generation": _stock_generation(model, tokenizer, ends, new_tokens),
        "ours": scoring(*methods),
        "our decoding": scoring(),
        "plain": _plain_gradients(model, ends, new_tokens),
    }
    seconds = _measure(ways, prompts, args.batch_size, args.repeats, args.plain_batches)
    extra = seconds["ours"] - seconds["our decoding"]
    generated, parts = _parts(model, methods, prompts, ends, new_tokens, args.batch_size)
    result = {
        "model": args.random or str(args.model),
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
        "batch_size": args.batch_size,
        "questions": len(prompts),
        "methods": [method.name for method in methods],
        "seconds_per_question": seconds,
        "extra_over_generation": extra / seconds["generation"],
        "total_over_generation": seconds["ours"] / seconds["generation"],
        "plain_over_ours": seconds["plain"] / extra,
        "multiplications_over_generation": sum(part.multiplications for part in parts.values()) / generated,
        "generation_multiplications_a_second": generated / len(prompts) / seconds["generation"],
        "parts": {name: part._asdict() for name, part in parts.items()},
        "peak_memory": None if args.no_memory else _peak_memory(args.batch_size, model.device),
    }
    for name, value in seconds.items():
        print(f"{name:14} {1e3 * value:9.3f} ms a question, {value / seconds['generation']:6.2f} of stock generation")
    print(f"{'extra of ours':14} {1e3 * extra:9.3f} ms a question, {extra / seconds['generation']:6.2f}")
    needed = result["multiplications_over_generation"]
    print(f"multiplications that the gradients need: {needed:.3f} of those of generation, which does")
    print(f"{result['generation_multiplications_a_second'] / 1e9:5.1f} billion a second; the parts, a question:")
    for name, part in parts.items():
        rate = part.multiplications / part.seconds / 1e9
        millions, spent = part.multiplications / len(prompts) / 1e6, 1e3 * part.seconds / len(prompts)
        print(f"{name:14} {spent:9.3f} ms, {millions:8.1f} million multiplications, {rate:5.1f} billion a second")
    for row in result["peak_memory"] or []:
        print(
            "vocabulary {vocabulary:7}: scoring takes {scoring_mb:7.1f} MB, the head is {head_mb:7.1f} MB".format(**row)
        )
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL_DIR, help="folder or hub name of a chat model")
    parser.add_argument("--gguf-file", help="file in the folder of --model")
    parser.add_argument("--questions", type=Path, default=Path(QUESTIONS), help="JSON lines with a field question")
    parser.add_argument("--limit", type=int, default=160, help="number of questions")
    parser.add_argument("--random", choices=SHAPES, help="a random model of this shape instead of --model")
    parser.add_argument("--new-tokens", type=int, help="tokens an answer at most; 16 with --random, else 150")
    parser.add_argument("--prompt-tokens", type=int, default=48, help="tokens a prompt, with --random")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--plain-batches", type=int, default=3, help="batches on which the plain way is measured")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--no-memory", action="store_true", help="leave out the memory of vocabularies of three sizes")
    return parser.parse_args()


def _workload(args: argparse.Namespace) -> tuple[Any, list[Prompt], list[int], int]:
    """The model, its prompts, its end tokens and the limit on an answer's tokens."""
    dtype = getattr(torch, args.dtype)
    if args.random:
        with torch.device(args.device):
            model = _random_model(SHAPES[args.random], dtype)
        ids = torch.randint(3, 1000, (args.limit, args.prompt_tokens)).tolist()
        return model, [Prompt("", "", row, -3) for row in ids], [], args.new_tokens or 16
    tokenizer = _tokenizer(args)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, **_files(args)).to(args.device).eval()
    return model, read_prompts(tokenizer, args.questions, args.limit), [tokenizer.eos_token_id], args.new_tokens or 150


def _tokenizer(args: argparse.Namespace) -> Any:
    return (
        AutoTokenizer.from_pretrained(MODEL_DIR)
        if args.random
        else AutoTokenizer.from_pretrained(args.model, **_files(args))
    )


def _files(args: argparse.Namespace) -> dict[str, str]:
    return {"gguf_file": args.gguf_file} if args.gguf_file else {}


def _random_model(shape: dict[str, Any], dtype: torch.dtype) -> Any:
    config = AutoConfig.for_model("qwen3", tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, **shape)
    return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


def _stock_generation(model: Any, tokenizer: Any, ends: list[int], new_tokens: int) -> Callable[[list[Prompt]], Any]:
    """Greedy decoding of a batch as lm_eval's HFLM does it, its stopping criteria included."""
    lm = HFLM(pretrained=model, tokenizer=tokenizer)
    if not ends:
        model.generation_config.eos_token_id = None

    def generate(batch: list[Prompt]) -> Any:
        ids, mask = left_pad([prompt.token_ids for prompt in batch], 0, model.device)
        stop = [tokenizer.eos_token] if ends else []
        longest = ids.shape[1] + new_tokens
        return lm._model_generate(context=ids, attention_mask=mask, max_length=longest, stop=stop, do_sample=False)

    return generate


def _plain_gradients(model: Any, ends: list[int], new_tokens: int) -> Callable[[list[Prompt]], Any]:
    """Gradients by autograd on finished answers; decoding them is not timed (see `_measure`)."""
    architecture = Architecture.of(model)
    request = Request(frozenset({True, False}), frozenset({True}), 0)

    def prepare(batch: list[Prompt]) -> Callable[[], Any]:
        decoded = decode(
            architecture, [p.token_ids for p in batch], end_ids=frozenset(ends), pad_id=0, max_new_tokens=new_tokens
        )
        columns = np.full((len(batch), 1), decoded.prompt_ids.shape[1] - 3)
        scored = [range(n) for n in decoded.lengths]
        return lambda: reference_gradients(architecture, decoded, scored, columns, request)

    return prepare


def _measure(
    ways: dict[str, Callable[[list[Prompt]], Any]],
    prompts: list[Prompt],
    batch_size: int,
    repeats: int,
    plain_batches: int,
) -> dict[str, float]:
    """Seconds a question of each way, the sum over batches of the fastest of a few repeats."""
    batches = [prompts[start : start + batch_size] for start in range(0, len(prompts), batch_size)]
    spread = {round(i * (len(batches) - 1) / max(1, plain_batches - 1)) for i in range(plain_batches)}
    total, count = dict.fromkeys(ways, 0.0), dict.fromkeys(ways, 0)
    for number, batch in enumerate(batches):
        for name, way in ways.items():
            if name == "plain":
                if number in spread:
                    total[name] += seconds_of(way(batch))
                    count[name] += len(batch)
                continue
            if number == 0:
                way(batch)  # warm up
            total[name] += min(seconds_of(partial(way, batch)) for _ in range(repeats))
            count[name] += len(batch)
    return {name: total[name] / count[name] for name in ways}


class _Part(NamedTuple):
    """A part of the gradient pass: seconds, and the multiplications by weights that it cannot do without."""

    seconds: float
    multiplications: int


def _parts(
    model: Any, methods: list[Method], prompts: list[Prompt], ends: list[int], new_tokens: int, batch_size: int
) -> tuple[int, dict[str, _Part]]:
    """Multiplications of generation, and the parts of the gradient pass, over all prompts.

    A token that goes through a matrix of n entries takes n multiplications; so does its way back. Those of attention
    between tokens are left out: answers are short.
    """
    architecture = Architecture.of(model)
    plan = Plan(tuple(need for method in methods for need in method.needs()), architecture.n_blocks)
    request, upper = plan.gradients, architecture.n_blocks - plan.gradients.first_block
    block = sum(weights.numel() for weights in architecture.blocks[-1].parameters() if weights.ndim == 2)
    head = architecture.head.weight.numel()
    seconds: Counter[str] = Counter()
    generated, needed = 0, Counter[str]()
    for start in range(0, len(prompts), batch_size):
        batch = prompts[start : start + batch_size]
        decoded = decode(
            architecture,
            [prompt.token_ids for prompt in batch],
            end_ids=frozenset(ends),
            pad_id=0,
            max_new_tokens=new_tokens,
            captured_block=request.first_block,
            captured_from=min(prompt.semantic_token for prompt in batch),
        )
        width = decoded.prompt_ids.shape[1]
        columns = np.array([[width + prompt.semantic_token] for prompt in batch])
        for found in gradients(architecture, decoded, [range(n) for n in decoded.lengths], columns, request):
            for (kind, _), spent in found.seconds.items():
                seconds[kind] += spent
        for prompt, answer in zip(batch, decoded.lengths, strict=True):
            again = answer - 1 - prompt.semantic_token
            generated += (len(prompt.token_ids) + answer - 1) * architecture.n_blocks * block + answer * head
            needed["loss"] += answer * head
            needed["head"] += len(request.head) * answer * head
            needed["blocks"] += again * upper * block
            needed["states"] += len(request.states) * (answer * head + again * upper * block)
    return generated, {kind: _Part(seconds[kind], needed[kind]) for kind in needed}


def _peak_memory(batch_size: int, device: torch.device) -> list[dict[str, float]]:
    """Memory that scoring a batch adds at its peak, for vocabularies of three sizes, without the head's own size."""
    rows = []
    for vocabulary in (8_000, 32_000, 128_000):
        shape = {**SHAPES["qwen3-0.6b"], "vocab_size": vocabulary, "num_hidden_layers": 4, "hidden_size": 512}
        with torch.device(device):
            model = _random_model(shape, torch.float32)
        architecture = Architecture.of(model)
        ids = torch.randint(3, 1000, (batch_size, 32)).tolist()
        decoded = decode(
            architecture, ids, end_ids=frozenset(), pad_id=0, max_new_tokens=16, captured_block=2, captured_from=-3
        )
        scored, columns = [range(16)] * batch_size, np.full((batch_size, 1), 29)
        request = Request(frozenset({True, False}), frozenset({True}), 2)
        work = partial(gradients, architecture, decoded, scored, columns, request)
        work()  # warm up
        used = peak_megabytes(work, device)
        head = architecture.head.weight.numel() * 4 / 1e6
        rows.append({"vocabulary": vocabulary, "scoring_mb": used, "head_mb": head})
    return rows


if __name__ == "__main__":
    main()
