"""How few text pairs the NLI model has to read, and what batching them saves.

    python benchmarks/similarity.py --generations generations.jsonl [--nli-model MODEL | --shape deberta-large]

The file has JSON lines with ``question`` and ``samples``. All ordered pairs of a question's first samples are
wanted, as by semantic entropy and Degree; those of a batch of questions go through the model in one call, distinct
ones once. Without a model one of random weights is built, a small BERT or one of the default model's shape: it
shows ratios and seconds, if not what texts mean. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, BertTokenizer

from uq_harness.functional.text import tokens
from uq_harness.similarity.build import build_nli
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
        nli = build_nli(model, batch_size=args.batch_size, cache_size=0)
        nli.prepare()
        together = _seconds(lambda: _in_batches(nli, requests, args.questions))
        few = requests[: args.single_questions]
        alone = _seconds(lambda: _one_by_one(nli, few)) * len(requests) / len(few)
    result = {
        "model": args.nli_model or f"random {args.shape}",
        "questions": len(requests),
        "ordered_pairs_a_question": ordered / len(requests),
        "pairs_a_question": distinct / len(requests),
        "seconds_a_question": together / len(requests),
        "one_pair_at_a_time_over_ours": alone / together,
    }
    print(f"{ordered / len(requests):.1f} ordered pairs a question, {distinct / len(requests):.1f} of them distinct")
    print(f"{1e3 * together / len(requests):.2f} ms a question; one pair at a time {alone / together:.1f} times that")
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


def _in_batches(nli: Any, requests: list[AllPairs], size: int) -> None:
    for start in range(0, len(requests), size):
        entailment(nli, [{"pairs": request} for request in requests[start : start + size]])


def _one_by_one(nli: Any, requests: list[AllPairs]) -> None:
    """Every ordered pair in a call of its own, also one that was asked before."""
    for request in requests:
        texts = question_texts(request.question, request.answers)
        for i, premise in enumerate(texts):
            for j, hypothesis in enumerate(texts):
                if i != j:
                    nli.probabilities([(premise, hypothesis)])


def _seconds(work: Callable[[], Any]) -> float:
    """On a CPU its own seconds, which other jobs on the machine do not stretch."""
    clock = time.perf_counter if torch.cuda.is_available() else time.process_time
    start = clock()
    work()
    return clock() - start


if __name__ == "__main__":
    main()
