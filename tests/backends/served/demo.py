"""The demo model with questions about its world, as prompts that a backend answers."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tests.backends.served.torch_engine import TorchEngine
from uq_harness.answering.prompts import PromptEncoder, PromptText
from uq_harness.answering.semantic_token import SemanticToken
from uq_harness.answering.stopping import stop_criteria
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.demo import MODEL_DIR, QUESTIONS
from uq_harness.evidence import Evidence, Need
from uq_harness.evidence.backend import Backend
from uq_harness.evidence.prompt import Prompt, StopCriteria

CONTEXT, LIMIT = 1024, 24
WORDS = "Please directly answer the following question with one or few words:\n"


@cache
def demo() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(MODEL_DIR)


def prompts(count: int, every: int = 9) -> list[Prompt]:
    """Questions of all kinds, as the package's tasks put them."""
    _, tokenizer = demo()
    encoder = PromptEncoder(tokenizer, SemanticToken.parse("auto"), max_length=CONTEXT, max_gen_toks=LIMIT)
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()[::every][:count]
    texts = []
    for line in lines:
        question = json.loads(line)["question"]
        message = [{"role": "user", "content": WORDS + question}]
        text = tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        texts.append(PromptText(text, question, WORDS + question))
    return encoder.encode(texts)


def stop(stop_strings: Sequence[str] = (), limit: int = LIMIT, think_end: str | int | None = None) -> StopCriteria:
    model, tokenizer = demo()
    return stop_criteria(model, tokenizer, stop_strings=stop_strings, max_new_tokens=limit, think_end_token=think_end)


def engine(**how: Any) -> TorchEngine:
    return TorchEngine(*demo(), **how)


def served(own: TorchEngine, needs: Sequence[Need[Any]], seed: int = 3, max_length: int = CONTEXT) -> ServedBackend:
    """A backend that is ready to gather some needs."""
    backend = ServedBackend(own, demo()[1], max_length=max_length, seed=seed)
    backend.prepare(needs)
    return backend


def gathered(backend: Backend, asked: Sequence[Prompt], until: StopCriteria, size: int = 8) -> list[Evidence]:
    """The evidence about each prompt, in their order."""
    found: dict[int, Evidence] = {}
    for positions, evidence in backend.gather(asked, until, size):
        found |= zip(positions, evidence, strict=True)
    return [found[position] for position in range(len(asked))]
