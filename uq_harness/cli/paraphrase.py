"""``uq-harness paraphrase``: what it makes of its arguments, and what it prints."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from uq_harness.chat.replies import ReplyCache
from uq_harness.chat.settings import Endpoint
from uq_harness.cli.metadata import read_metadata
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible
from uq_harness.studies.paraphrase.make import make_paraphrases
from uq_harness.studies.paraphrase.questions import Question, questions_of_file, questions_of_task
from uq_harness.studies.paraphrase.validate import PAPER, Share, validate_paraphrases

_SHOWN = 10
_TITLES = {
    "nli": "NLI, both ways",
    "nli_question_to_paraphrase": "NLI, question → paraphrase",
    "nli_paraphrase_to_question": "NLI, paraphrase → question",
    "chat": "chat judge",
}


@dataclass(frozen=True)
class Source:
    """Where the questions come from; one of task and file."""

    task: str | None
    file: Path | None
    metadata: str | None
    include_path: str | None

    def questions(self) -> list[Question]:
        """The questions.

        Raises:
            UQHarnessError: Neither or both are given, or the questions cannot be had.
        """
        if (self.task is None) == (self.file is None):
            raise UQHarnessError("give the questions with either --task uq_sciq or --questions questions.jsonl")
        if self.file is not None:
            if self.metadata is not None or self.include_path is not None:
                raise UQHarnessError("--metadata and --include-path belong to --task, which is missing")
            return questions_of_file(self.file)
        return questions_of_task(str(self.task), read_metadata(self.metadata), self.include_path)


def make(
    source: Source, chat: dict[str, Any], output: Path | None, n: int, rounds: int, limit: int | None, as_json: bool
) -> int:
    """Makes the paraphrases; returns the exit status, 1 where some could not be had."""
    if output is None:
        raise UQHarnessError("give the file that the paraphrases shall be in with --output paraphrases.jsonl")
    if source.file is not None and source.file.resolve() == output.resolve():
        raise UQHarnessError(
            f"--questions and --output are the same file {str(output)!r}: give another one for the output"
        )
    endpoint = _endpoint(chat)
    made = make_paraphrases(endpoint, source.questions(), output, n, rounds, limit)
    if as_json:
        found = {
            "output": str(made.path),
            "questions": made.questions,
            "known_before": made.known,
            "n": n,
            "short": made.short,
            "refused": made.refused,
            "endpoint": endpoint.describe(),
        }
        print(as_text(found, indent=2))
    else:
        complete = made.questions - len(made.short)
        print(
            f"{complete} of {made.questions} questions have {n} paraphrases, {made.known} had them before: {made.path}"
        )
        for question, count in list(made.short.items())[:_SHOWN]:
            print(visible(f"  only {count}: {question}{_reason(made.refused.get(question))}"))
        if len(made.short) > _SHOWN:
            print(f"  and {len(made.short) - _SHOWN} more")
        if made.short:
            print("Run it again to ask for the missing ones, or raise --rounds or --temperature.")
    return 1 if made.short else 0


def validate(
    file: Path,
    nli: dict[str, Any],
    chat: dict[str, Any],
    cache: Path | None,
    output: Path | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Judges the paraphrases of a file and prints both shares beside the paper's."""
    from uq_harness.similarity.build import build_nli

    endpoint = _endpoint(chat) if chat["model"] is not None else None
    judge = build_nli(**{name: value for name, value in nli.items() if value is not None})
    replies = ReplyCache(cache) if endpoint is not None else None
    found = validate_paraphrases(file, judge, endpoint, replies, limit)
    if output is not None:
        found.write_rows(output)
    shares = found.shares()
    questions = len({question for question, _ in found.pairs})
    if as_json:
        described = {
            "file": str(file),
            "questions": questions,
            "paraphrases": len(found.pairs),
            "shares": {name: value.as_json() for name, value in shares.items()},
            "paper": PAPER,
            "nli": judge.describe(),
            "chat": endpoint.describe() if endpoint is not None else None,
        }
        print(as_text(described, indent=2))
        return
    console = Console()
    console.print(_table(shares, f"{file}: {len(found.pairs)} paraphrases of {questions} questions"))
    if endpoint is None:
        console.print("No chat judge was asked: name one with --model and --base-url.")


def _table(shares: dict[str, Share], title: str) -> Table:
    table = Table("judge", "share %", "95 %", "count", "undefined", "paper %", title=Text(visible(title)))
    for name, found in shares.items():
        paper = f"{100 * PAPER[name]:.2f}" if name in PAPER else ""
        value, interval = "undefined", ""
        if not math.isnan(found.value):
            value, interval = f"{100 * found.value:.2f}", f"{100 * found.low:.2f} to {100 * found.high:.2f}"
        table.add_row(_TITLES[name], value, interval, f"{found.count}/{found.total}", str(found.undefined), paper)
    table.caption = "95 %: Wilson's interval. Paper: TruthfulQA, Li et al., arXiv 2605.04638, C.1"
    return table


def _endpoint(chat: dict[str, Any]) -> Endpoint:
    if chat["model"] is None:
        raise UQHarnessError(
            "name the chat model with --model, and its address with --base-url http://localhost:8000/v1"
        )
    return Endpoint(**chat)


def _reason(refused: str | None) -> str:
    return f" ({refused})" if refused else ""
