"""Train the demo model on a CPU: `python -m uq_harness.demo.train --output DIR`."""

import argparse
import json
import logging
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn.functional import cross_entropy

from uq_harness.demo.world import DEFAULT_SEED, PROMPT, Conversation, make_world, write_questions

__all__ = ["main", "train"]

log = logging.getLogger("uq_harness.demo")

STEPS = 1200
BATCH_SIZE = 64
LEARNING_RATE = 3e-3
WARMUP_STEPS = 50
WEIGHT_DECAY = 0.1
VOCABULARY = 1024
CONTEXT = 1024
SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
PAD, _, END = range(len(SPECIAL_TOKENS))
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_IGNORED = -100


@dataclass(frozen=True)
class Example:
    """Token ids of one conversation: the rendered prompt, and each of its right replies with the end token."""

    prompt: list[int]
    replies: list[list[int]]


def train(output: Path, *, steps: int = STEPS, seed: int = 0) -> None:
    """Train a model on the demo world and write it, its tokenizer and the test questions.

    Args:
        output: Folder that gets `model/` and `questions.jsonl`; made if it is missing.
        steps: Optimiser steps, at least 1.
        seed: Seed of the weights, the order of the conversations and the choice among right answers. The world
            is always the one of `DEFAULT_SEED`.
    """
    world = make_world(DEFAULT_SEED)
    tokenizer = build_tokenizer(world.conversations)
    examples = encode(tokenizer, world.conversations)
    model = build_model(seed)
    log.info("%d conversations, %d parameters", len(examples), sum(p.numel() for p in model.parameters()))
    fit(model, examples, steps=steps, rng=random.Random(seed))
    output.mkdir(parents=True, exist_ok=True)
    save(model, tokenizer, output / "model")
    write_questions(world.questions, output / "questions.jsonl")


def build_tokenizer(conversations: Sequence[Conversation]) -> Any:
    """Train a byte-level BPE tokenizer with a ChatML template on the questions and answers."""
    texts = [text for c in conversations for text in (PROMPT.format(question=c.question), *c.answers)]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([*texts, *("user\nassistant\n" for _ in conversations)], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=SPECIAL_TOKENS[PAD],
        eos_token=SPECIAL_TOKENS[END],
        padding_side="left",
        model_max_length=CONTEXT,
        chat_template=CHAT_TEMPLATE,
    )


def encode(tokenizer: Any, conversations: Sequence[Conversation]) -> list[Example]:
    """Tokenize conversations as at test time: prompt and reply apart, the reply closed by the end token."""

    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    def render(question: str) -> str:
        messages = [{"role": "user", "content": PROMPT.format(question=question)}]
        return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))

    return [Example(ids(render(c.question)), [[*ids(answer), END] for answer in c.answers]) for c in conversations]


def build_model(seed: int) -> Any:
    """A small Qwen3 with random weights."""
    torch.manual_seed(seed)
    config = transformers.Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=END,
        pad_token_id=PAD,
    )
    return transformers.Qwen3ForCausalLM(config)


def fit(model: Any, examples: Sequence[Example], *, steps: int, rng: random.Random) -> None:
    """Minimise the loss of the replies with AdamW and a one-cycle learning rate.

    Args:
        model: Trained in place.
        examples: Passed over again and again, each time with another choice among the right replies.
        steps: Optimiser steps.
        rng: Decides order and choice.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98))
    schedule = transformers.get_cosine_schedule_with_warmup(optimizer, WARMUP_STEPS, steps)
    started = time.monotonic()
    model.train()
    for step, batch in zip(range(1, steps + 1), _batches(examples, rng), strict=False):
        loss = reply_loss(model, batch, rng)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps:
            log.info("step %d/%d loss %.4f %.0f s", step, steps, loss.item(), time.monotonic() - started)
    model.eval()


def _batches(examples: Sequence[Example], rng: random.Random) -> Iterator[Sequence[Example]]:
    size = min(BATCH_SIZE, len(examples))
    while True:
        order = rng.sample(examples, len(examples))
        for start in range(0, len(order) - size + 1, size):
            yield order[start : start + size]


def reply_loss(model: Any, batch: Sequence[Example], rng: random.Random) -> torch.Tensor:
    """Mean cross-entropy (nats a token) of one randomly chosen reply to each prompt; the prompt does not count."""
    rows = [(example.prompt, rng.choice(example.replies)) for example in batch]
    width = max(len(prompt) + len(reply) for prompt, reply in rows)
    ids = torch.full((len(rows), width), PAD)
    target = torch.full((len(rows), width), _IGNORED)
    for row, (prompt, reply) in enumerate(rows):
        end = len(prompt) + len(reply)
        ids[row, :end] = torch.tensor(prompt + reply)
        target[row, len(prompt) : end] = torch.tensor(reply)
    # Padding is on the right, where causal attention never looks: no mask is needed.
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    counted = target[:, 1:] != _IGNORED
    return cross_entropy(model.lm_head(hidden[counted]), target[:, 1:][counted])


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write model and tokenizer in Hugging Face format.

    The file holds bfloat16 to halve its size, and the configuration says float32: `dtype="auto"` and
    `dtype="float32"` then load the same numbers and compute in float32, which a CPU does well.
    """
    model.to(torch.bfloat16)
    model.generation_config = transformers.GenerationConfig(eos_token_id=END, pad_token_id=PAD)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    _edit(folder / "config.json", dtype="float32")
    # The name that transformers 4 knows too.
    _edit(folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast")


def _edit(path: Path, **values: str) -> None:
    content = json.loads(path.read_text(encoding="utf-8")) | values
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the training."""
    parser = argparse.ArgumentParser(prog="python -m uq_harness.demo.train", description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder that gets model/ and questions.jsonl")
    parser.add_argument("--steps", type=int, default=STEPS, help="optimiser steps (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and data order (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: %(default)s)")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(options.threads)
    train(options.output, steps=options.steps, seed=options.seed)


if __name__ == "__main__":
    main()
