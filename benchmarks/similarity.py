"""How few text pairs the NLI model has to read, and what batching, 16 bits and a compiler save.

    python benchmarks/similarity.py --generations generations.jsonl [--nli-model MODEL | --shape deberta-large]

The file has JSON lines with ``question`` and ``samples``. All ordered pairs of a question's first samples are
wanted, as by semantic entropy and Degree; those of a batch of questions go through the model in one call, distinct
ones once. Without a model one of random weights is built, a small BERT or one of the default model's shape: it
shows ratios and seconds, if not what texts mean. ``--with bfloat16,compiled`` runs the same pairs in these ways too.
The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _clock import seconds_of
from transformers import AutoConfig, AutoModelForSequenceClassification, BertTokenizer

from uq_harness.functional import FloatArray
from uq_harness.functional.text import tokens
from uq_harness.similarity.build import build_nli
from uq_harness.similarity.classifier import load
from uq_harness.similarity.loading import NLI_ROLE, Settings
from uq_harness.similarity.requests import AllPairs, entailment, question_texts

SHAPES: dict[str, dict[str, Any]] = {
    "small-bert": {
        "model_type": "bert",
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 512,
    },
    "deberta-large": {  # microsoft/deberta-large-mnli
        "model_type": "deberta",
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "relative_attention": True,
        "position_biased_input": False,
        "pos_att_type": ["c2p", "p2c"],
        "type_vocab_size": 0,
        "pad_token_id": 0,
    },
}


def main() -> None:
    """Counts and times, prints a table and, last, one line of JSON."""
    args = _arguments()
    torch.set_num_threads(args.threads)
    lines = args.generations.read_text(encoding="utf-8").splitlines()[: args.limit]
    rows = [json.loads(line) for line in lines]
    requests = [AllPairs(row["question"], tuple(row["samples"][: args.samples])) for row in rows]
    ordered = sum(len(request.answers) * (len(request.answers) - 1) for request in requests)
    distinct = sum(len(set(request.pairs())) for request in requests)
    with tempfile.TemporaryDirectory() as folder:
        model = args.nli_model or _random_model(Path(folder), requests, SHAPES[args.shape])
        plain = _Way(model, args, requests)
        few = requests[: args.single_questions]
        alone = seconds_of(lambda: _one_by_one(plain.nli, few)) * len(requests) / len(few)
        others = {name: _Way(model, args, requests, name) for name in args.with_ways}
    result = {
        "model": args.nli_model or f"random {args.shape}",
        "questions": len(requests),
        "ordered_pairs_a_question": ordered / len(requests),
        "pairs_a_question": distinct / len(requests),
        "seconds_a_question": plain.seconds / len(requests),
        "pairs_a_second": distinct / plain.seconds,
        "tokens_a_pair": plain.tokens / distinct,
        "padding_share": 1 - plain.tokens / plain.places,
        "one_pair_at_a_time_over_ours": alone / plain.seconds,
        "seconds_over_float32": {name: way.seconds / plain.seconds for name, way in others.items()},
        "largest_difference": {name: float(np.abs(way.found - plain.found).max()) for name, way in others.items()},
    }
    print(f"{ordered / len(requests):.1f} ordered pairs a question, {distinct / len(requests):.1f} of them distinct")
    print(
        f"{1e3 * plain.seconds / len(requests):.2f} ms a question; "
        f"one pair at a time {alone / plain.seconds:.1f} times that"
    )
    print(f"{result['pairs_a_second']:.1f} pairs a second, {result['padding_share']:.1%} of what is read is padding")
    for name, way in others.items():
        print(f"{name}: {way.seconds / plain.seconds:.2f} of the time, off by {result['largest_difference'][name]:.2g}")
    print(json.dumps(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=Path, required=True, help="JSON lines with question and samples")
    parser.add_argument("--nli-model", help="folder or hub name; a model of random weights if absent")
    parser.add_argument("--shape", choices=SHAPES, default="small-bert", help="shape of the random model")
    parser.add_argument("--samples", type=int, default=10, help="samples a question")
    parser.add_argument("--limit", type=int, default=100, help="number of questions")
    parser.add_argument("--questions", type=int, default=16, help="questions in one call")
    parser.add_argument("--single-questions", type=int, default=4, help="questions for the way with one pair at a time")
    parser.add_argument("--batch-size", type=int, default=64, help="pairs in one forward pass")
    parser.add_argument(
        "--with",
        dest="with_ways",
        type=lambda text: text.split(","),
        default=[],
        help="further ways, joined by commas: bfloat16, float16, compiled",
    )
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def _random_model(folder: Path, requests: list[AllPairs], shape: dict[str, Any]) -> str:
    words = {word for request in requests for word in tokens(" ".join((request.question, *request.answers)))}
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(words)]
    torch.manual_seed(0)
    settings = {key: value for key, value in shape.items() if key != "model_type"}
    config = AutoConfig.for_model(
        shape["model_type"],
        vocab_size=len(vocabulary),
        id2label=dict(enumerate(("contradiction", "neutral", "entailment"))),
        label2id={"contradiction": 0, "neutral": 1, "entailment": 2},
        **settings,
    )
    AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    BertTokenizer({word: place for place, word in enumerate(vocabulary)}).save_pretrained(folder)
    return str(folder)


class _Way:
    """All pairs through the network in one way.

    Args:
        model: The NLI model.
        args: The arguments of the program.
        requests: What is asked of each question.
        name: ``bfloat16``, ``float16`` or ``compiled``; else float32 as it is.

    Attributes:
        nli: The service.
        seconds: What all pairs took.
        tokens: Tokens that were read.
        places: The same with padding.
        found: The probabilities, ``[pairs, 3]``.
    """

    def __init__(self, model: str, args: argparse.Namespace, requests: list[AllPairs], name: str = "") -> None:
        dtype = name if name.endswith("16") else "float32"
        self.nli = build_nli(model, batch_size=args.batch_size, dtype=dtype, cache_size=0)
        self.nli.prepare()
        self._compiled = name == "compiled"
        self._requests, self._size = requests, args.questions
        self.tokens, self.places, self.seconds = 0, 0, 0.0
        self.found = self._measure(load(Settings(NLI_ROLE, model, args.batch_size, None, dtype, None)).model)

    def _measure(self, network: torch.nn.Module) -> FloatArray:
        if self._compiled:
            network.compile(dynamic=True)
            self._in_batches()  # compiles
        self.seconds = seconds_of(self._in_batches)
        hook = network.register_forward_pre_hook(self._count, with_kwargs=True)
        rows = self._in_batches()
        hook.remove()
        return rows

    def _in_batches(self) -> FloatArray:
        parts = [self._requests[at : at + self._size] for at in range(0, len(self._requests), self._size)]
        squares = [row["pairs"] for part in parts for row in entailment(self.nli, [{"pairs": one} for one in part])]
        return np.concatenate([np.reshape(square, (-1, 3)) for square in squares])

    def _count(self, network: torch.nn.Module, given: Any, named: dict[str, Any]) -> None:
        self.tokens += int(named["attention_mask"].sum())
        self.places += named["attention_mask"].numel()


def _one_by_one(nli: Any, requests: list[AllPairs]) -> None:
    """Every ordered pair in a call of its own, also one that was asked before."""
    for request in requests:
        texts = question_texts(request.question, request.answers)
        for i, premise in enumerate(texts):
            for j, hypothesis in enumerate(texts):
                if i != j:
                    nli.probabilities([(premise, hypothesis)])


if __name__ == "__main__":
    main()
