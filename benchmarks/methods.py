"""Every method on two small models and two tasks: which scores tell right answers from wrong ones, and what they cost.

    python benchmarks/methods.py --shared ../shared --smollm2 MODEL.gguf --similarity-model MINILM --output table

One command makes the tables of docs/table_of_methods.md: stock lm_eval (``--model uq-hf``) answers the first questions
of SciQ and TruthfulQA with ``methods=all``, ``uq-harness bench`` measures each method's cost on some of them, and the
package's own report makes tables of both. What has been answered or measured is kept in the folder of ``--output``, so
a killed command goes on where it stopped, and more questions add to those answered already. Further ``--methods`` over
the same questions add rows.

- ``table.md``: AUROC with the costs beside, AURC and PRR, methods sorted by their mean AUROC on the first model;
- ``report/``: the whole report, with all digits and p-values in ``report.csv``.

``--publish`` writes the tables onto the page and the numbers to ``benchmarks/methods.csv``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uq_harness.functional import MEASURES
from uq_harness.rendering.escape import markdown
from uq_harness.report.content import Report, collect
from uq_harness.report.markdown import table_as_markdown
from uq_harness.report.quality import rank
from uq_harness.report.run import RunSummary
from uq_harness.report.tables import Cell, Heading, Row, Table, ranking_table
from uq_harness.report.write import read_with_warnings, write_report
from uq_harness.results.run import TaskRun

TASKS = ("uq_sciq", "uq_truthfulqa")
ALPHA = 0.05
COST = "cost"
PAGE = Path(__file__).parents[1] / "docs" / "table_of_methods.md"
MARK = "<!-- What follows is written by benchmarks/methods.py --publish. -->"
NUMBERS = Path(__file__).with_suffix(".csv")


@dataclass(frozen=True)
class Model:
    """A model with what it is asked.

    Attributes:
        name: Its name in the tables and of its folder.
        pretrained: What ``pretrained=`` takes.
        arguments: Further arguments of ``uq-hf``.
        judge: Who says whether an answer is right, as under ``--metadata``.
        examples: Worked examples before each question, as turns of the chat, of the tasks that have some.
        tokens: The most tokens of an answer, of the tasks where that is not the task's own limit.
        questions: Questions of each task.
        measured: Questions of each task whose cost is measured; 0 for none.
        batch_size: Questions in a batch.
    """

    name: str
    pretrained: str
    arguments: str
    judge: str | dict[str, Any]
    examples: dict[str, int]
    tokens: dict[str, int]
    questions: int
    measured: int
    batch_size: int


def main() -> None:
    """Answers what is not answered yet, measures what is not measured yet, and writes the tables."""
    args = _arguments()
    models = _models(args)
    data = {task: args.shared.resolve() / "data" / task.removeprefix("uq_") / "questions.jsonl" for task in TASKS}
    with ThreadPoolExecutor(args.jobs) as pool:
        for done in [pool.submit(_answer, model, args, task, data[task]) for model in models for task in TASKS]:
            done.result()
    runs: list[TaskRun] = []
    warnings: list[str] = []
    for model in models:
        found, said = read_model(model.name, args.output / model.name / "runs")
        runs += found
        warnings += said
    methods = {name for run in runs for name in run.uncertainty}
    costs = {model.name: _measure(model, args, data, methods) for model in models if model.measured}
    content = collect(runs, title="Every method", alpha=ALPHA, warnings=warnings)
    files = write_report(content, args.output / "report", pictures=False)
    text = _markdown(content, costs)
    (args.output / "table.md").write_text(text, encoding="utf-8")
    if args.publish:
        before = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
        PAGE.write_text(f"{before}{MARK}\n\n{text}", encoding="utf-8")
        NUMBERS.write_bytes((args.output / "report" / "report.csv").read_bytes())
    print(text, end="")
    print(f"{args.output / 'table.md'}, {', '.join(map(str, files))}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True, help="folder with data/ and models/qa-small")
    parser.add_argument("--smollm2", type=Path, help="GGUF file of SmolLM2-135M-Instruct; without it qa-small alone")
    parser.add_argument("--similarity-model", default="lexical", help="folder of a bi-encoder such as MiniLM")
    parser.add_argument("--nli-model", default="lexical", help="an NLI classifier; without it words are compared")
    parser.add_argument("--methods", default="all", help="as for uq-hf")
    parser.add_argument("--small-questions", type=int, default=450, help="questions of each task for qa-small")
    parser.add_argument("--smollm2-questions", type=int, default=80, help="questions of each task for SmolLM2")
    parser.add_argument(
        "--small-measured", type=int, default=32, help="of these, those whose cost is measured; 0 for none"
    )
    parser.add_argument("--smollm2-measured", type=int, default=2, help="the same for SmolLM2")
    parser.add_argument("--device", default="cpu", help="as for lm_eval")
    parser.add_argument("--jobs", type=int, default=1, help="runs of lm_eval at a time")
    parser.add_argument("--output", type=Path, required=True, help="folder for answers, costs and tables")
    parser.add_argument(
        "--publish", action="store_true", help="write the tables onto the page, the numbers beside this"
    )
    return parser.parse_args()


def _models(args: argparse.Namespace) -> list[Model]:
    small = Model(
        name="qa-small",
        pretrained=str(args.shared.resolve() / "models" / "qa-small"),
        arguments="dtype=float32",
        judge="exact_match",
        examples={},
        tokens={},
        questions=args.small_questions,
        measured=args.small_measured,
        batch_size=16,
    )
    if args.smollm2 is None:
        return [small]
    file = args.smollm2.resolve()
    smollm2 = Model(
        name="SmolLM2-135M-Instruct",
        pretrained=str(file.parent),
        arguments=f"gguf_file={file.name},dtype=float32",
        judge={"name": "token_recall", "strict": False},
        examples={"uq_truthfulqa": 4},
        tokens={"uq_truthfulqa": 48},
        questions=args.smollm2_questions,
        measured=args.smollm2_measured,
        batch_size=16,
    )
    return [small, smollm2]


def _auxiliary(args: argparse.Namespace) -> str:
    return f"similarity_model={args.similarity_model},nli_model={args.nli_model}"


def _label(methods: str) -> str:
    """What stands for a choice of methods in the name of a file."""
    return methods if len(methods) <= 60 else hashlib.sha256(methods.encode()).hexdigest()[:12]


def _answer(model: Model, args: argparse.Namespace, task: str, data: Path) -> None:
    """A run of lm_eval, which takes from its cache what was answered before."""
    folder = args.output / model.name
    arguments = f"pretrained={model.pretrained},{model.arguments},methods={args.methods},{_auxiliary(args)}"
    metadata = {"data_files": {task: str(data)}, "correctness": model.judge}
    examples = model.examples.get(task, 0)
    shown = ("--num_fewshot", str(examples), "--fewshot_as_multiturn") if examples else ()
    limit = ("--gen_kwargs", f"max_gen_toks={model.tokens[task]}") if task in model.tokens else ()
    _run(
        *("lm_eval", "--model", "uq-hf", "--model_args", arguments, "--tasks", task, "--apply_chat_template", *shown),
        *limit,
        *("--metadata", json.dumps(metadata), "--limit", str(model.questions), "--batch_size", str(model.batch_size)),
        *("--device", args.device, "--use_cache", str(folder / f"{task}_{_label(args.methods)}")),
        *("--output_path", str(folder / "runs"), "--log_samples"),
    )


def read_model(name: str, folder: Path) -> tuple[list[TaskRun], list[str]]:
    """A run of each task under the model's name, and what reading them has met with."""
    found, warnings = read_with_warnings([folder])
    newest_last = sorted(found, key=lambda run: run.date.timestamp() if run.date else -math.inf)
    by_task = {task: [run for run in newest_last if run.task == task] for task in TASKS}
    return [replace(_joined(runs), model=name) for runs in by_task.values() if runs], warnings


def _joined(runs: list[TaskRun]) -> TaskRun:
    """The last run, with the scores that earlier ones have for the same answers to the same questions."""
    last = runs[-1]
    same = [run for run in runs if (run.keys, run.answers, run.judge) == (last.keys, last.answers, last.judge)]
    scores = {name: values for run in same for name, values in run.uncertainty.items()}
    metrics = {name: value for run in same for name, value in run.metrics.items()}
    return replace(last, uncertainty=scores, metrics=metrics)


def _measure(model: Model, args: argparse.Namespace, data: dict[str, Path], methods: set[str]) -> dict[str, float]:
    """What each method alone adds to generation, as a share of it; measured where one of them has no cost yet."""
    folder = args.output / model.name / "costs"
    if not methods <= _shares(folder).keys():
        printed = _run(
            *("uq_harness", "bench", "--model", model.pretrained, "--tasks", ",".join(TASKS)),
            *("--methods", args.methods, "--model-args", f"{model.arguments},{_auxiliary(args)}"),
            *("--metadata", json.dumps({"data_files": {task: str(file) for task, file in data.items()}})),
            *("--apply-chat-template", "--limit", str(model.measured), "--batch-size", str(model.batch_size)),
            *("--repeats", "1", "--device", args.device, "--threads", "1", "--json"),
            keep=True,
        )
        folder.mkdir(exist_ok=True)
        (folder / f"{_label(args.methods)}.json").write_text(printed, encoding="utf-8")
    return _shares(folder)


def _shares(folder: Path) -> dict[str, float]:
    measured: list[dict[str, Any]] = [json.loads(one.read_text(encoding="utf-8")) for one in folder.glob("*.json")]
    return {cost["name"]: cost["share"]["median"] for one in measured for cost in one["costs"]}


def _run(module: str, *arguments: str, keep: bool = False) -> str:
    """Runs a module; what it prints is returned or shown, its messages are shown.

    Raises:
        SystemExit: It failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE if keep else sys.stderr, text=True
    )
    if done.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} ended with {done.returncode}; the same command goes on there")
    return done.stdout or ""


def _markdown(content: Report, costs: dict[str, dict[str, float]]) -> str:
    """Runs and tables as they stand on the page."""
    runs = sorted(content.runs, key=lambda one: (one.model.lower(), one.task))
    overall = {}
    for model in dict.fromkeys(one.model for one in runs):
        own = [one.run for one in runs if one.model == model]
        overall[model] = rank([run.uncertainty for run in own], [run.correct for run in own], ALPHA)
    tables = [ranking_table(measure, runs, overall, ALPHA) for measure in MEASURES]
    place = {row.name: at for at, row in enumerate(tables[0].rows)}
    ordered = [replace(one, rows=tuple(sorted(one.rows, key=lambda row: place[row.name]))) for one in tables]
    ordered[0] = _with_costs(ordered[0], costs)
    parts = ["| model | task | judge | questions | right |\n|---|---|---|---:|---:|\n" + "\n".join(map(_run_row, runs))]
    if content.notes:
        parts.append("\n".join(f"- {markdown(note)}" for note in content.notes))
    parts += [f"## {table.title}\n\n{table_as_markdown(table)}" for table in ordered]
    parts.append("## All scores together\n\n" + "\n".join(f"- {markdown(one)}" for one in content.combined))
    return "\n\n".join(parts) + "\n"


def _run_row(one: RunSummary) -> str:
    right = int(one.run.correct.sum())
    return f"| {one.model} | {one.task} | {one.judge} | {one.questions} | {right} |"


def _with_costs(table: Table, costs: dict[str, dict[str, float]]) -> Table:
    """A table with a further column for each model whose costs are known."""
    if not costs:
        return table

    def cells(row: Row) -> tuple[Cell, ...]:
        return tuple(Cell(known.get(row.name, math.nan)) for known in costs.values())

    return replace(
        table,
        caption=f"{table.caption} {COST.capitalize()}: what the method alone adds, in times of generation.",
        headings=(*table.headings, *(Heading(name, COST) for name in costs)),
        rows=tuple(replace(row, cells=(*row.cells, *cells(row))) for row in table.rows),
    )


if __name__ == "__main__":
    main()
