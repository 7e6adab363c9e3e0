"""How well each judge of correctness agrees with people: the table in docs/correctness.md.

Needs a folder with ``triviaqa/questions.jsonl`` (``id``, ``question``, ``answers``) and
``triviaqa/human_judgements.jsonl`` (``id``, ``candidate``, ``human_correct``), and scikit-learn.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from uq_harness.correctness import Judge, build_judge, judge_names


class Verdicts(NamedTuple):
    """Answers of several systems, and whether a person took them for correct."""

    questions: list[str]
    answers: list[str]
    references: list[list[str]]
    human: list[bool]


def main() -> None:
    """Prints the table."""
    arguments = parse_arguments()
    verdicts = read_verdicts(arguments.data / "triviaqa")
    judges = [build_judge(name) for name in judge_names() if name not in ("bem", "llm_judge")]
    if arguments.bem_model:
        options = {"model": arguments.bem_model, "backend": arguments.bem_backend}
        judges.append(build_judge({"name": "bem", **options}))
    if arguments.llm_model:
        options = {"model": arguments.llm_model, "base_url": arguments.llm_base_url}
        judges.append(build_judge({"name": "llm_judge", **options}))
    for judge in judges:
        judge.prepare()
    right = np.array(verdicts.human)
    print(f"{len(right)} answers, {right.mean():.1%} of them correct\n")
    print("| judge | threshold | AUROC | accuracy | balanced accuracy | seconds |\n|---|---|---|---|---|---|")
    for judge in judges:
        print(row(judge, verdicts, right), flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds triviaqa/")
    parser.add_argument("--bem-model", help="score BEM too, with this folder or name on the hub")
    parser.add_argument("--bem-backend", default="torch", choices=["torch", "tfhub"])
    parser.add_argument("--llm-model", help="ask this chat model too, by the name that its endpoint has for it")
    parser.add_argument("--llm-base-url", help="the endpoint's address (default: OpenAI's)")
    return parser.parse_args()


def read_verdicts(folder: Path) -> Verdicts:
    questions = {record["id"]: record for record in read_lines(folder / "questions.jsonl")}
    verdicts = list(read_lines(folder / "human_judgements.jsonl"))
    return Verdicts(
        questions=[questions[verdict["id"]]["question"] for verdict in verdicts],
        answers=[verdict["candidate"] for verdict in verdicts],
        references=[questions[verdict["id"]]["answers"] for verdict in verdicts],
        human=[verdict["human_correct"] for verdict in verdicts],
    )


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def row(judge: Judge, verdicts: Verdicts, right: np.ndarray) -> str:
    start = time.perf_counter()
    scores = np.array(judge.score(verdicts.questions, verdicts.answers, verdicts.references))
    seconds = time.perf_counter() - start
    known = ~np.isnan(scores)
    if not known.all():
        print(f"{judge.name}: {(~known).sum()} answers without a verdict are left out")
        scores, right = scores[known], right[known]
    verdict = scores >= judge.threshold
    cells = [
        judge.name,
        f"{judge.threshold:g}",
        f"{roc_auc_score(right, scores):.3f}{error_of_auroc(scores, right)}",
        f"{accuracy_score(right, verdict):.3f}",
        f"{balanced_accuracy_score(right, verdict):.3f}",
        f"{seconds:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def error_of_auroc(scores: np.ndarray, right: np.ndarray) -> str:
    """DeLong's standard error; minus the score is the uncertainty that a wrong answer should have most of."""
    from uq_harness.functional import auroc_stderr

    return f" ± {auroc_stderr(uncertainty=-scores, correct=right):.3f}"


if __name__ == "__main__":
    main()
