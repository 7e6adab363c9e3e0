"""``uq-harness paraphrase``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uq_harness.cli import app

_SOURCE, _ENDPOINT, _VALIDATION = "What to paraphrase", "Chat model", "Validation"


@app.command()
def paraphrase(
    task: Annotated[
        str | None, typer.Option(help="Task whose questions are paraphrased.", rich_help_panel=_SOURCE)
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            help="JSON lines with 'question' (and 'id', 'answers') in place of a task.", rich_help_panel=_SOURCE
        ),
    ] = None,
    metadata: Annotated[
        str | None,
        typer.Option(help='As lm_eval\'s, such as \'{"data_files": "questions.jsonl"}\'.', rich_help_panel=_SOURCE),
    ] = None,
    include_path: Annotated[
        str | None, typer.Option(help="Folder with further tasks.", rich_help_panel=_SOURCE)
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Only the first so many questions.", rich_help_panel=_SOURCE)
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="File of paraphrases, JSON lines; one that is there is gone on with. With --validate: a line a "
            "paraphrase, with what was found of it."
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", help="Paraphrases of each question.")] = 5,
    rounds: Annotated[int, typer.Option(help="The most requests a question, where replies hold too few.")] = 5,
    validate: Annotated[
        Path | None,
        typer.Option(help="Judge the paraphrases of this file; makes none.", rich_help_panel=_VALIDATION),
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
            help="File of the chat model's verdicts (default: in the user's cache folder).", rich_help_panel=_VALIDATION
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Name by which the endpoint knows the chat model.", rich_help_panel=_ENDPOINT)
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            help="Address of the API, such as http://localhost:8000/v1 (default: OpenAI's).", rich_help_panel=_ENDPOINT
        ),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(
            help="Environment variable that holds the key (default: OPENAI_API_KEY).", rich_help_panel=_ENDPOINT
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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Put questions in other words with a chat model, or judge how well that was done (--validate)."""
    from uq_harness.cli import paraphrase as work
    from uq_harness.errors import UQHarnessError

    chat: dict[str, Any] = {
        "model": model,
        "base_url": base_url,
        "api_key_env": api_key_env,
        "think_end": think_end,
        "timeout": timeout,
        "concurrency": concurrency,
        "retries": retries,
    }
    if validate is not None:
        if task is not None or questions is not None:
            raise UQHarnessError("--validate judges a file of paraphrases: leave out --task and --questions")
        chat |= {"temperature": 0.0 if temperature is None else temperature}
        chat |= {"max_tokens": 16 if max_tokens is None else max_tokens}
        nli = {"model": nli_model, "batch_size": nli_batch_size, "device": nli_device}
        work.validate(validate, nli, chat, cache, output, limit, as_json)
        return
    if nli_model is not None or cache is not None:
        raise UQHarnessError("--nli-model and --cache belong to --validate FILE, which is missing")
    chat |= {"temperature": 1.0 if temperature is None else temperature, "max_tokens": max_tokens}
    source = work.Source(task, questions, metadata, include_path)
    raise typer.Exit(work.make(source, chat, output, n, rounds, limit, as_json))
