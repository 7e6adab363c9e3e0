"""``uq-harness paraphrase``: makes paraphrases or judges them, and prints how far that went."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from uq_harness.cli.app import STUDY, app, example
from uq_harness.cli.arguments import AsJson, read_metadata
from uq_harness.errors import UQHarnessError
from uq_harness.files import as_text
from uq_harness.rendering.escape import visible

if TYPE_CHECKING:
    from uq_harness.endpoints.settings import Endpoint
    from uq_harness.studies.paraphrase.make import Made
    from uq_harness.studies.paraphrase.questions import Question
    from uq_harness.studies.paraphrase.validate import Share, Validation

_SOURCE, _ENDPOINT, _VALIDATION = "What to paraphrase", "Chat model", "Validation"
_SHOWN = 10
_TITLES = {
    "nli": "NLI, both ways",
    "nli_question_to_paraphrase": "NLI, question → paraphrase",
    "nli_paraphrase_to_question": "NLI, paraphrase → question",
    "chat": "chat judge",
}


@app.command(
    rich_help_panel=STUDY,
    epilog=example(
        "uq-harness paraphrase --tasks uq_demo --limit 2 --model MODEL --base_url http://localhost:8000/v1 --output "
        "paraphrases.jsonl"
    ),
)
def paraphrase(
    tasks: Annotated[
        str | None,
        typer.Option(help="The task whose questions are paraphrased.", metavar="TASK", rich_help_panel=_SOURCE),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines with 'question' (and 'id', 'answers') in place of a task.",
            metavar="FILE",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(
            help="As lm_eval's --metadata, such as data_files=questions.jsonl or a JSON object.",
            rich_help_panel=_SOURCE,
        ),
    ] = None,
    include_path: Annotated[
        str | None, typer.Option(help="Folder with further tasks, as lm_eval's.", rich_help_panel=_SOURCE)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Only the first so many questions.", rich_help_panel=_SOURCE)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="File of paraphrases, JSON lines; one that is there is gone on with. With --validate: a line a "
            "paraphrase, with what was found of it.",
            metavar="FILE",
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Paraphrases of each question.")] = 5,
    rounds: Annotated[int, typer.Option(help="The most requests a question, where replies hold too few.")] = 5,
    validate: Annotated[
        Path | None,
        typer.Option(
            help="Judge the paraphrases of this file; makes none.", metavar="FILE", rich_help_panel=_VALIDATION
        ),
    ] = None,
    nli_model: Annotated[
        str | None,
        typer.Option(
            help="NLI model: name or folder, or lexical (default microsoft/deberta-large-mnli).",
            rich_help_panel=_VALIDATION,
        ),
    ] = None,
    nli_batch_size: Annotated[int, typer.Option(help="Pairs in a forward pass.", rich_help_panel=_VALIDATION)] = 64,
    nli_device: Annotated[
        str | None, typer.Option(help="cpu, cuda, ... (default: the GPU).", rich_help_panel=_VALIDATION)
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="File of the chat model's verdicts (default: in the user's cache folder).",
            metavar="FILE",
            rich_help_panel=_VALIDATION,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Name by which the endpoint knows the chat model.", metavar="NAME", rich_help_panel=_ENDPOINT
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            help="Address of the API, such as http://localhost:8000/v1 (default: OpenAI's).",
            metavar="URL",
            rich_help_panel=_ENDPOINT,
        ),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(
            help="Environment variable that holds the key (default: OPENAI_API_KEY).",
            metavar="NAME",
            rich_help_panel=_ENDPOINT,
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help="Sampling temperature (default: 1, with --validate 0).", rich_help_panel=_ENDPOINT),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(help="Longest reply (default: the endpoint's, with --validate 16).", rich_help_panel=_ENDPOINT),
    ] = None,
    think_end: Annotated[
        str,
        typer.Option(help="Mark that ends what the model thinks aloud before it replies.", rich_help_panel=_ENDPOINT),
    ] = "</think>",
    timeout: Annotated[
        float, typer.Option(help="Seconds to wait for a whole reply.", rich_help_panel=_ENDPOINT)
    ] = 60.0,
    concurrency: Annotated[int, typer.Option(help="The most requests at a time.", rich_help_panel=_ENDPOINT)] = 8,
    retries: Annotated[
        int, typer.Option(help="How often a request that failed is sent again.", rich_help_panel=_ENDPOINT)
    ] = 6,
    as_json: AsJson = False,
) -> None:
    """Put questions in other words with a chat model, or judge how well that was done (--validate)."""
    from uq_harness.endpoints.settings import Endpoint

    chat_model = partial(
        Endpoint,
        base_url=base_url,
        api_key_env=api_key_env,
        think_end=think_end,
        timeout=timeout,
        concurrency=concurrency,
        retries=retries,
    )
    if validate is not None:
        from uq_harness.endpoints.replies import ReplyCache
        from uq_harness.similarity.build import build_nli
        from uq_harness.studies.paraphrase.validate import validate_paraphrases

        if tasks is not None or questions is not None:
            raise UQHarnessError("--validate judges a file of paraphrases: leave out --tasks and --questions")
        temperature = 0.0 if temperature is None else temperature
        max_tokens = 16 if max_tokens is None else max_tokens
        judge = None if model is None else chat_model(model, temperature=temperature, max_tokens=max_tokens)
        settings: dict[str, Any] = {"model": nli_model, "batch_size": nli_batch_size, "device": nli_device}
        nli = build_nli(**{name: value for name, value in settings.items() if value is not None})
        replies = None if judge is None else ReplyCache(cache)
        validation = validate_paraphrases(validate, nli, judge, replies, limit)
        if output is not None:
            validation.write_rows(output)
        described = {"nli": nli.describe(), "chat": None if judge is None else judge.describe()}
        _show_validation(validate, validation, described, as_json)
        return
    from uq_harness.studies.paraphrase.make import make_paraphrases

    if nli_model is not None or cache is not None:
        raise UQHarnessError("--nli_model and --cache belong to --validate FILE, which is missing")
    if output is None:
        raise UQHarnessError("give the file for the paraphrases with --output paraphrases.jsonl")
    if questions is not None and questions.resolve() == output.resolve():
        raise UQHarnessError(
            f"--questions and --output are the same file {str(output)!r}: give another one for the output"
        )
    if model is None:
        raise UQHarnessError(
            "name the chat model with --model, and its address with --base_url http://localhost:8000/v1"
        )
    endpoint = chat_model(model, temperature=1.0 if temperature is None else temperature, max_tokens=max_tokens)
    asked = _questions(tasks, questions, metadata, include_path)
    made = make_paraphrases(endpoint, asked, output, n, rounds, limit)
    _show_made(made, n, endpoint, as_json)
    raise typer.Exit(1 if made.short else 0)


def _questions(task: str | None, file: Path | None, metadata: str | None, include_path: str | None) -> list[Question]:
    """The questions of the task or the file."""
    from uq_harness.studies.paraphrase.questions import questions_of_file, questions_of_task

    if task is not None and file is None:
        return questions_of_task(task, read_metadata(metadata), include_path)
    if task is not None or file is None:
        raise UQHarnessError("give the questions with either --tasks uq_sciq or --questions questions.jsonl")
    if metadata is not None or include_path is not None:
        raise UQHarnessError("--metadata and --include_path belong to --tasks, which is missing")
    return questions_of_file(file)


def _show_made(made: Made, n: int, endpoint: Endpoint, as_json: bool) -> None:
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
        return
    complete = made.questions - len(made.short)
    print(f"{complete} of {made.questions} questions have {n} paraphrases, {made.known} had them before: {made.path}")
    for question, count in list(made.short.items())[:_SHOWN]:
        print(visible(f"  only {count}: {question}{_reason(made.refused.get(question))}"))
    if len(made.short) > _SHOWN:
        print(f"  and {len(made.short) - _SHOWN} more")
    if made.short:
        print("Run it again to ask for the missing ones, or raise --rounds or --temperature.")


def _reason(refused: str | None) -> str:
    return f" ({refused})" if refused else ""


def _show_validation(file: Path, found: Validation, judges: dict[str, Any], as_json: bool) -> None:
    """Prints the shares that each judge found, next to the paper's."""
    from uq_harness.studies.paraphrase.validate import PAPER

    shares = found.shares()
    questions = len({question for question, _ in found.pairs})
    if as_json:
        described = {
            "file": str(file),
            "questions": questions,
            "paraphrases": len(found.pairs),
            "shares": {name: value.as_json() for name, value in shares.items()},
            "paper": PAPER,
            **judges,
        }
        print(as_text(described, indent=2))
        return
    console = Console()
    console.print(_table(shares, f"{file}: {len(found.pairs)} paraphrases of {questions} questions"))
    if judges["chat"] is None:
        console.print("No chat judge was asked: name one with --model and --base_url.")


def _table(shares: dict[str, Share], title: str) -> Table:
    from uq_harness.studies.paraphrase.validate import PAPER

    table = Table("judge", "share %", "95 %", "count", "undefined", "paper %", title=Text(visible(title)))
    for name, found in shares.items():
        paper = f"{100 * PAPER[name]:.2f}" if name in PAPER else ""
        value, interval = "undefined", ""
        if not math.isnan(found.value):
            value, interval = f"{100 * found.value:.2f}", f"{100 * found.low:.2f} to {100 * found.high:.2f}"
        table.add_row(_TITLES[name], value, interval, f"{found.count}/{found.total}", str(found.undefined), paper)
    table.caption = "95 %: Wilson's interval. Paper: TruthfulQA, Li et al., arXiv 2605.04638, C.1"
    return table
