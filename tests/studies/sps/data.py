"""A small data set in the words of the demo model's world, and the demo model itself."""

import json
from pathlib import Path

from uq_harness.demo import QUESTIONS
from uq_harness.models import UQHFLM


def demo_model(**kwargs) -> UQHFLM:
    return UQHFLM(**{"pretrained": "demo", "methods": "g_nll", "device": "cpu", "batch_size": 8, **kwargs})


def demo_rows(count: int, start: int = 0) -> list[dict]:
    """Questions of the demo task with two to four wordings each."""
    lines = QUESTIONS.read_text(encoding="utf-8").splitlines()[start : start + count]
    rows = []
    for number, line in enumerate(lines):
        question = json.loads(line)["question"]
        wordings = [f"Tell me: {question}", f"{question} Say it.", f"So, {question.lower()}", f"Now {question}"]
        rows.append({"id": number, "question": question, "paraphrases": wordings[: 2 + number % 3]})
    return rows


def write_rows(file: Path, rows: list[dict]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file
