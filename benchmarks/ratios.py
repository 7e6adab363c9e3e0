"""Every ratio that the documentation names: runs the benchmarks, keeps what they find, and writes benchmarks/README.md.

    python benchmarks/ratios.py --shared ../shared --smollm2 MODEL.gguf [--only gradients] [--rounds 3]

Each benchmark is a process of its own, one after another, on one thread; nothing else should run on the machine. The
numbers of every round are kept in ``benchmarks/ratios.json`` as soon as it has ended, so that ``--only`` measures some
of them anew and a stopped command loses nothing; ``--table`` writes the table from there and measures nothing. The
table has the worst of the rounds: the largest where a ratio should be small, the smallest where it should be large.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

from uq_harness.files import write_whole

FOLDER = Path(__file__).parent
PAGE, KEPT = FOLDER / "README.md", FOLDER / "ratios.json"
MARK = "<!-- What follows is written by benchmarks/ratios.py. -->"


@dataclass(frozen=True)
class Ratio:
    """A number that a benchmark finds.

    Attributes:
        meaning: What is compared with what.
        at: Keys to it in the benchmark's JSON.
        goal: What it should be at most, or at least; ``None`` where nothing is asked.
        least: Whether a large one is good.
        unit: Behind the number; empty for a ratio.
    """

    meaning: str
    at: tuple[str | int, ...]
    goal: float | None = None
    least: bool = False
    unit: str = ""

    def of(self, found: Any) -> float:
        """Its value in a benchmark's JSON."""
        return float(reduce(lambda value, key: value[key], self.at, found))

    def worst(self, rounds: Sequence[Any]) -> float:
        """Its worst value in several rounds."""
        return (min if self.least else max)(map(self.of, rounds))


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with what is read of it.

    Attributes:
        name: Its name for ``--only`` and in the file.
        command: The command, with places for paths: ``{shared}``, ``{smollm2}`` (folder), ``{gguf}`` (file in it).
        ratios: The numbers.
        rounds: The most rounds; the slow ones take one.
    """

    name: str
    command: str
    ratios: tuple[Ratio, ...]
    rounds: int = 3

    def words(self, places: Mapping[str, str]) -> list[str]:
        """The command for this machine."""
        return [sys.executable, *(word.format(**places) for word in shlex.split(self.command))]

    @property
    def shown(self) -> str:
        """The command for a reader."""
        return "python " + self.command.format(shared="../shared", smollm2="SMOLLM2", gguf="MODEL.gguf")


_SMOLLM2 = "--model {smollm2} --gguf-file {gguf}"
_QA_SMALL = "--model {shared}/models/qa-small"
_SCIQ = "--questions {shared}/data/sciq/questions.jsonl"
_TRUTHFULQA = "--questions {shared}/data/truthfulqa/questions.jsonl"
_GRADIENTS = (
    ("all gradient scores beside generation", ("extra_over_generation",)),
    ("answers with all gradient scores, to lm_eval's `hf` without", ("total_over_generation",)),
    ("plain autograd to ours", ("plain_over_ours",)),
    ("multiplications by weights that the gradients need, to generation's", ("multiplications_over_generation",)),
)


def _gradients(*goals: float | None) -> tuple[Ratio, ...]:
    pairs = zip(_GRADIENTS, goals, strict=True)
    return tuple(Ratio(meaning, at, goal, least="plain" in meaning) for (meaning, at), goal in pairs)


def _bench(words: str) -> str:
    return f"-m uq_harness bench {words} --apply-chat-template --threads 1 --device cpu --json"


BENCHMARKS = (
    Benchmark(
        "gradients-smollm2",
        f"benchmarks/gradients.py {_SMOLLM2} {_TRUTHFULQA} --limit 32 --repeats 1 --plain-batches 1 --no-memory",
        _gradients(0.20, 0.95, None, None),
    ),
    Benchmark(
        "gradients-qa-small",
        f"benchmarks/gradients.py {_QA_SMALL} {_SCIQ} --limit 160 --no-memory",
        _gradients(0.30, None, 8.0, None),
    ),
    Benchmark(
        "cheap-smollm2",
        f"benchmarks/cheap.py {_SMOLLM2} --tasks uq_truthfulqa --limit 16 --batch-size 8 --ways rauq,cheap "
        "--data-files {shared}/data/truthfulqa/questions.jsonl",
        (
            Ratio("RAUQ beside greedy decoding, worst of three in turn", ("over_greedy", "rauq", "worst"), 1.03),
            Ratio("RAUQ beside greedy decoding, median of three in turn", ("over_greedy", "rauq", "median")),
            Ratio("all of `cheap` beside greedy, worst of three in turn", ("over_greedy", "cheap", "worst"), 1.05),
            Ratio("all of `cheap` beside greedy, median of three in turn", ("over_greedy", "cheap", "median")),
            Ratio("greedy to itself, worst of three in turn: the noise", ("over_greedy", "greedy again", "worst")),
        ),
    ),
    Benchmark(
        "mutual-information-smollm2",
        f"benchmarks/mutual_information.py {_SMOLLM2} {_SCIQ} --limit 4",
        (Ratio("Mutual Information to plain batches of its distinct tokens", ("table", 0, "of_plain"), 1.3),),
    ),
    Benchmark(
        "mutual-information-demo",
        "benchmarks/mutual_information.py --model uq_harness/demo/model --questions uq_harness/demo/questions.jsonl "
        "--limit 100",
        (Ratio("Mutual Information to plain batches, on the demo model", ("table", 0, "of_plain"), 1.3),),
    ),
    Benchmark(
        "all-smollm2",
        _bench(
            "--model {smollm2} --model-args gguf_file={gguf},dtype=float32,nli_model=lexical,similarity_model=lexical "
            "--tasks uq_sciq --methods all --limit 8 --batch-size 8 "
            '--metadata \'{{"data_files": {{"uq_sciq": "{shared}/data/sciq/questions.jsonl"}}}}\''
        ),
        (Ratio("all methods together, words compared, beside generation", ("costs", "together", "share"), 20.0),),
        rounds=1,
    ),
    Benchmark(
        "decode-qa-small",
        f"benchmarks/decode.py {_QA_SMALL} {_SCIQ}",
        (
            Ratio("a `generate` for each sample set, to our one pass", ("generate_over_ours",), least=True),
            Ratio("ten diverse beams beside all samples", ("beams_add",)),
        ),
    ),
    Benchmark(
        "nli-deberta-large",
        "benchmarks/similarity.py --generations {shared}/data/uqnlg_llama13b_triviaqa/generations.jsonl --limit 4 "
        "--shape deberta-large --single-questions 1 --with bfloat16,compiled",
        (
            Ratio("pairs a second on one thread", ("pairs_a_second",), least=True, unit="/s"),
            Ratio("padding among what it reads", ("padding_share",)),
            Ratio("one pair at a time to ours", ("one_pair_at_a_time_over_ours",), least=True),
            Ratio("bfloat16 to float32", ("seconds_over_float32", "bfloat16")),
            Ratio("compiled to not", ("seconds_over_float32", "compiled")),
        ),
        rounds=1,
    ),
    Benchmark(
        "start",
        "benchmarks/start.py",
        (
            Ratio("`--help` to an empty typer program, user time", ("over_empty_program", "--help"), 2.0),
            Ratio("`methods` to an empty typer program", ("over_empty_program", "methods"), 2.0),
        ),
    ),
    Benchmark(
        "scale",
        "benchmarks/scale.py",
        tuple(
            Ratio(f"`{command}` of 100,000 questions, all methods", ("commands", command, key), goal, unit=unit)
            for command in ("report", "leaderboard", "compare", "threshold")
            for key, goal, unit in (("seconds", 60.0, " s"), ("megabytes", 1000.0, " MB"))
        ),
        rounds=1,
    ),
    Benchmark(
        "run-memory",
        "benchmarks/run_memory.py",
        (
            Ratio("sample log to the records in it, `cheap`", ("runs", 0, "log_over_records"), 1.3),
            Ratio("memory of a run of 1,000 questions", ("runs", 0, "megabytes"), unit=" MB"),
            Ratio("of 10,000", ("runs", 1, "megabytes"), unit=" MB"),
        ),
        rounds=1,
    ),
    Benchmark(
        "sample-log-all",
        "benchmarks/run_memory.py --questions 200 --methods all",
        (Ratio("sample log to the records in it, `all`", ("runs", 0, "log_over_records"), 1.3),),
        rounds=1,
    ),
)


def main() -> None:
    """Measures what is asked for, round by round, and writes the table."""
    args = _arguments()
    kept: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    chosen = [one for one in BENCHMARKS if not args.only or one.name in args.only]
    for one in () if args.table else chosen:
        rounds = []
        for number in range(min(args.rounds, one.rounds)):
            print(f"{one.name}, round {number + 1}", file=sys.stderr, flush=True)
            rounds.append(_measured(one, args))
            kept[one.name] = {"date": f"{date.today():%Y-%m-%d}", "machine": _machine(), "rounds": rounds}
            write_whole(KEPT, json.dumps(kept, indent=1) + "\n")
            _write_page(kept)
    _write_page(kept)


def _write_page(kept: Mapping[str, Any]) -> None:
    before = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{before}{MARK}\n\n{table(kept)}", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="folder with data/ and models/qa-small")
    parser.add_argument("--smollm2", type=Path, help="GGUF file of SmolLM2-135M-Instruct")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in BENCHMARKS], help="these alone")
    parser.add_argument("--rounds", type=int, default=3, help="of each benchmark, slow ones have fewer")
    parser.add_argument("--table", action="store_true", help="write the table again, measure nothing")
    return parser.parse_args()


def _measured(one: Benchmark, args: argparse.Namespace) -> Any:
    """The numbers of a benchmark's last line.

    Raises:
        SystemExit: It failed, or needs a model that was not given.
    """
    if "{gguf}" in one.command and args.smollm2 is None:
        raise SystemExit(f"{one.name} needs --smollm2, the GGUF file of SmolLM2-135M-Instruct")
    model = (args.smollm2 or Path()).resolve()
    words = one.words({"shared": str(args.shared.resolve()), "smollm2": str(model.parent), "gguf": model.name})
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        words, stdout=subprocess.PIPE, text=True, env={**os.environ, **threads}, cwd=FOLDER.parent, check=False
    )
    if done.returncode:
        raise SystemExit(f"{shlex.join(words)} ended with {done.returncode}")
    return _told(done.stdout)


def _told(printed: str) -> Any:
    """The JSON of the last line; that of ``bench`` is all of it, and is cut to its medians."""
    if not printed.startswith("{\n"):
        return json.loads(printed.splitlines()[-1])
    found = json.loads(printed)
    shares = {one["name"]: {"share": one["share"]["median"]} for one in found["costs"] if one["share"]}
    stages = {one["name"]: one["share"]["median"] for one in found["stages"] if one["share"]}
    return {"questions": found["measured"], "costs": shares, "stages": stages}


def _machine() -> str:
    return f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}"


def table(kept: Mapping[str, Any]) -> str:
    """The table of all that has been measured, what has not been, and the commands."""
    lines = ["| what | worst of | | goal | measured |", "|---|---:|---:|---:|---|"]
    lines += [line for one in BENCHMARKS if one.name in kept for line in _rows(one, kept[one.name])]
    missing = ", ".join(f"`{one.name}`" for one in BENCHMARKS if one.name not in kept)
    lines += ["", f"Not measured yet: {missing}."] if missing else []
    commands = [f"- `{one.name}`: `{one.shown}`" for one in BENCHMARKS]
    return "\n".join([*lines, "", "The commands, from the repository's folder:", "", *commands, ""])


def _rows(one: Benchmark, found: Mapping[str, Any]) -> Iterator[str]:
    for ratio in one.ratios:
        value = ratio.worst(found["rounds"])
        sign = "≥" if ratio.least else "≤"
        goal = "" if ratio.goal is None else f"{sign} {ratio.goal:g}{ratio.unit}"
        if ratio.goal is not None and (value < ratio.goal if ratio.least else value > ratio.goal):
            goal += ", not reached"
        yield (
            f"| {ratio.meaning} (`{one.name}`) | {len(found['rounds'])} | {value:.3g}{ratio.unit} | {goal} "
            f"| {found['date']} |"
        )


if __name__ == "__main__":
    main()
