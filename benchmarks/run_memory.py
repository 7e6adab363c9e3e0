"""How a run's own memory grows with the number of questions: the demo model, its questions under other words.

    python benchmarks/run_memory.py [--questions 1000 10000] [--methods cheap]

Each run is a process of its own, with samples logged. Reported are its most memory, what each further question took
beyond that of the shortest run, and the bytes of its sample log over those of the records in it. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from _child import run

from uq_harness.demo import QUESTIONS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--methods", default="cheap")
    arguments = parser.parse_args()
    found = []
    for questions in sorted(arguments.questions):
        with tempfile.TemporaryDirectory() as folder:
            write_questions(Path(folder) / "questions.jsonl", questions)
            used = run([sys.executable, "-m", *command(Path(folder), arguments.methods)])
            ratio = log_over_records(next(Path(folder).rglob("samples_*.jsonl")))
        found.append({"questions": questions, **used._asdict(), "log_over_records": ratio})
        print(f"{questions:8} questions: {used}, log {ratio:.3f} times its records{growth(found)}", flush=True)
    print(json.dumps({"methods": arguments.methods, "runs": found}))


def growth(found: list[dict[str, float]]) -> str:
    first, last = found[0], found[-1]
    more = last["questions"] - first["questions"]
    return f", {1024 * (last['megabytes'] - first['megabytes']) / more:.1f} KB a further question" if more else ""


def write_questions(file: Path, count: int) -> None:
    rows = [json.loads(line) for line in Path(QUESTIONS).read_text(encoding="utf-8").splitlines()]
    with file.open("w", encoding="utf-8") as lines:
        for number in range(count):
            row = rows[number % len(rows)]
            asked = {"question": f"{row['question']} ({number})", "answers": row["answers"]}
            lines.write(json.dumps(asked) + "\n")


def command(folder: Path, methods: str) -> list[str]:
    return [
        "lm_eval",
        *("--model", "uq-hf", "--tasks", "uq_demo", "--batch_size", "64", "--apply_chat_template", "--log_samples"),
        *("--model_args", f"pretrained=demo,methods={methods},nli_model=lexical,similarity_model=lexical"),
        *("--metadata", json.dumps({"data_files": str(folder / "questions.jsonl")})),
        *("--gen_kwargs", "max_gen_toks=12", "--output_path", str(folder / "out")),
    ]


def log_over_records(file: Path) -> float:
    records = 0
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            records += len(json.dumps(json.loads(line)["doc"]["uq"], ensure_ascii=False).encode())
    return file.stat().st_size / records


if __name__ == "__main__":
    main()
