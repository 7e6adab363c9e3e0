"""How well each judge of correctness agrees with people, and what it says to the question repeated as the answer.

Prints the two tables of docs/correctness.md. Needs a folder with ``triviaqa/human_judgements.jsonl`` (``id``,
``candidate``, ``human_correct``) and ``questions.jsonl`` (``id``, ``question``, ``answers``) in ``triviaqa``, ``sciq``
and ``truthfulqa``, and scikit-learn.
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

from uq_harness.correctness.base import Judge, build_judge, judge_names

DATA_SETS = ("sciq", "truthfulqa", "triviaqa")
# As they are described in the papers: every word counts, and a half is enough.
ALL_WORDS: dict[str, dict[str, Any]] = {
    "f1": {"question_words": "count"},
    "rouge_l": {"question_words": "count"},
    "token_recall": {"question_words": "count", "strict": False},
}


class Verdicts(NamedTuple):
    """Answers of several systems, and whether a person took them for correct."""

    questions: list[str]
    answers: list[str]
    references: list[list[str]]
    human: list[bool]


def main() -> None:
    """Prints the tables."""
    arguments = parse_arguments()
    verdicts = read_verdicts(arguments.data / "triviaqa")
    lexical = [build_judge(name) for name in judge_names() if name not in ("bem", "llm_judge")]
    lexical += [build_judge({"name": name, **options}) for name, options in ALL_WORDS.items()]
    judges = [*lexical, *models(arguments)]
    for judge in judges:
        judge.prepare()
    right = np.array(verdicts.human)
    print(f"{len(right)} answers, {right.mean():.1%} of them correct\n")
    print("| judge | correct | AUROC | accuracy | balanced accuracy | wrong ones called right | seconds |")
    print("|---|---|---|---|---|---|---|")
    for judge in judges:
        print(row(judge, verdicts, right), flush=True)
    questions = {name: list(read_lines(arguments.data / name / "questions.jsonl")) for name in DATA_SETS}
    print("\nThe question repeated as the answer: share called right\n")
    print(f"| judge | {' | '.join(f'{name}, {len(rows)}' for name, rows in questions.items())} |")
    print("|---|" + "---|" * len(questions))
    for judge in lexical:
        shares = [f"{share_of_repetitions(judge, rows):.1%}" for rows in questions.values()]
        print(f"| {title(judge)} | {' | '.join(shares)} |", flush=True)


def models(arguments: argparse.Namespace) -> list[Judge]:
    """The judges that are models, where the arguments name them."""
    found = []
    if arguments.bem_model:
        options = {"model": arguments.bem_model, "backend": arguments.bem_backend}
        found.append(build_judge({"name": "bem", **options}))
    if arguments.llm_model:
        options = {"model": arguments.llm_model, "base_url": arguments.llm_base_url}
        found.append(build_judge({"name": "llm_judge", **options}))
    return found


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
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
    verdict = np.array([judge.correct(score) for score in scores])
    cells = [
        title(judge),
        f"{'>' if getattr(judge, 'strict', False) else '≥'} {judge.threshold:g}",
        f"{roc_auc_score(right, scores):.3f}{error_of_auroc(scores, right)}",
        f"{accuracy_score(right, verdict):.3f}",
        f"{balanced_accuracy_score(right, verdict):.3f}",
        f"{verdict[~right].mean():.1%}",
        f"{seconds:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def title(judge: Judge) -> str:
    return f"{judge.name}, all words" if judge.name in ALL_WORDS and judge.question_words == "count" else judge.name


def share_of_repetitions(judge: Judge, rows: list[dict[str, Any]]) -> float:
    """The share of questions that the judge takes for an answer to themselves."""
    questions = [record["question"] for record in rows]
    scores = judge.score(questions, questions, [record["answers"] for record in rows])
    return float(np.mean([judge.correct(score) for score in scores]))


def error_of_auroc(scores: np.ndarray, right: np.ndarray) -> str:
    """DeLong's standard error; minus the score is the uncertainty that a wrong answer should have most of."""
    from uq_harness.functional import auroc_stderr

    return f" ± {auroc_stderr(uncertainty=-scores, correct=right):.3f}"


if __name__ == "__main__":
    main()
