"""Questions as prompts, for the benchmarks that work on a model without lm_eval around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from uq_harness.evidence.prompt import Prompt

TASK_PROMPT = "Please directly answer the following question with one or few words:\n{}"


def read_questions(file: Path) -> list[str]:
    """The questions of a file of JSON lines."""
    return [json.loads(line)["question"] for line in file.read_text(encoding="utf-8").splitlines()]


def read_prompts(tokenizer: Any, file: Path, limit: int, skip: int = 0) -> list[Prompt]:
    """Questions of a file as the tasks put them, longest first: the first ones behind those that are skipped."""

    def ids(message: str) -> list[int]:
        chat = [{"role": "user", "content": message}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        found: list[int] = tokenizer(text)["input_ids"]
        return found

    questions = read_questions(file)[skip : skip + limit]
    messages = [TASK_PROMPT.format(question) for question in questions]
    prompts = [Prompt(q, m, ids(m), -3, restate=ids) for q, m in zip(questions, messages, strict=True)]
    return sorted(prompts, key=lambda prompt: -len(prompt.token_ids))
