"""A file of saved answers goes the way of a run: through lm_eval's own task, judges, metrics and files.

Only the model is another: it hands out what was saved.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset, DatasetDict
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
from lm_eval.utils import sanitize_model_name

from uq_harness.answering.options import take_auxiliary_models, take_options, unknown_option
from uq_harness.backends.saved.read import SavedAnswer, SavedFile
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.columns import columns_in
from uq_harness.evaluation.instances import QuestionInstance, UQText
from uq_harness.evaluation.task import UQTask
from uq_harness.files import NOT_AVAILABLE, is_whole, plain
from uq_harness.methods import Method, build_methods, settings
from uq_harness.models.agreement import Agreement
from uq_harness.models.reading import SecondPassOptions
from uq_harness.models.saved import MethodReport, Planner, Scorer
from uq_harness.rendering.escape import visible

if TYPE_CHECKING:
    from uq_harness.models.second_pass import SecondPassReader

LONGEST_NAME = 255  # bytes
_AROUND_A_TASK = 105  # bytes for what else is in the name of a file of samples, with some to spare


@dataclass(frozen=True)
class ScoredFile:
    """A scored and judged file.

    Attributes:
        model: Name of the model in the results.
        task: Name of the task in them.
        answers: Number of answers.
        methods: What has become of each method.
        results: lm_eval's results, as in the results file.
        agreement: How well the model that read the answers agrees with what was recorded; ``None`` without a model.
        written: The results file and the samples file; empty where nothing was to be written.
    """

    model: str
    task: str
    answers: int
    methods: tuple[MethodReport, ...]
    results: Mapping[str, Any]
    written: tuple[Path, ...]
    agreement: Agreement | None = None


def score_file(saved: SavedFile, **settings: Any) -> ScoredFile:
    """Scores and judges the answers of one file; see `score_files`."""
    (scored,) = score_files([saved], **settings)
    return scored


def score_files(
    files: Sequence[SavedFile],
    *,
    methods: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    correctness: Any = "bem",
    model: str | None = None,
    task: str | None = None,
    output: Path | None = None,
    batch_size: int = 32,
    limit: int | None = None,
    progress: bool = False,
    reads: SecondPassOptions | None = None,
) -> list[ScoredFile]:
    """Scores and judges the answers of files, and writes what a run writes.

    Args:
        files: The files.
        methods: Names joined by ``+``, or a set of them; each must be computable for some answer. ``None`` for all that
            can be computed, and all scores that are in the file.
        arguments: Options of methods, and ``nli_model``, ``similarity_model`` with their settings.
        correctness: The judge, as under ``correctness`` in ``--metadata``.
        model: Name of the model in the results; ``None`` for the one that the file tells, else the file's name.
        task: Name of the task in the results; likewise.
        output: Folder for results and samples, as lm_eval's ``--output_path``.
        batch_size: Questions whose texts are compared at a time.
        limit: Number of answers to take, from the beginning of each file.
        progress: Whether to show a bar.
        reads: The model that reads the answers, for scores that take one; ``None`` for none. Several processes of a
            launcher share the reading.

    Returns:
        The files, scored; nothing in all processes but the first.

    Raises:
        UQHarnessError: A method, option, judge or name that is not allowed, a method that was asked for by name lacks
            something for every answer, the model is not the one that answered, or the files could not be written in
            full.
    """
    given = dict(arguments or {})
    options = take_options(given)
    nli, similarity = take_auxiliary_models(given)
    if given:
        raise unknown_option(next(iter(given)), ["nli_model", "similarity_model"])
    chosen = build_methods("all" if methods is None else methods, options)
    recomputed = frozenset(method.name for method in chosen if any(field.name in options for field in method.options()))
    planner = Planner(chosen, recomputed, keep_others=methods is None or reads is not None, reads=reads is not None)
    if output is not None:
        check_output(output)
    prepared = []
    for saved in files:
        answers = saved.answers if limit is None else saved.answers[:limit]
        if methods is not None:
            _refuse_what_cannot_be(methods, chosen, planner, answers, reads is not None)
        names = names_of(saved, model, task)
        replayed = _task(saved, answers, names[1], correctness)
        scorer = Scorer(answers, planner, nli, similarity)
        prepared.append(_PreparedFile(saved, answers, names[0], replayed, scorer))
    reader = None
    if reads is not None and any(one.scorer.jobs() for one in prepared):
        from uq_harness.models.second_pass import SecondPassReader

        for one in prepared:
            one.task.prepare_judges()
        stamp = {"methods": settings(chosen), "arguments": dict(arguments or {})}
        reader = SecondPassReader(
            reads, (nli, similarity), batch_size=batch_size, output=output, stamp=stamp, progress=progress
        )
    try:
        if reader is not None:
            for one in prepared:
                one.read(reader, by_name=methods is not None)
            if reader.rank != 0:
                return []
        names_of_chosen = [method.name for method in chosen]
        scored = [one.scored(names_of_chosen, output, batch_size, progress) for one in prepared]
        if reader is not None:
            reader.finish()
    finally:
        if reader is not None:
            reader.close()
    return scored


@dataclass
class _PreparedFile:
    """A file that can be scored.

    Attributes:
        saved: The file.
        answers: Those of its answers that are scored.
        model: Name of the model in the results.
        task: The task that hands them out.
        scorer: What scores them.
        read_by: The model that has read them, for the results' configuration; empty for none.
        agreement: How well it agrees with what was recorded; ``None`` for none.
    """

    saved: SavedFile
    answers: Sequence[SavedAnswer]
    model: str
    task: SavedTask
    scorer: Scorer
    read_by: dict[str, Any] = field(default_factory=dict)
    agreement: Agreement | None = None

    def read(self, reader: SecondPassReader, by_name: bool) -> None:
        """Has a model read the answers that have to be read; ``by_name`` as in `SecondPassReader.read`."""
        jobs = self.scorer.jobs()
        if not jobs:
            return
        found = reader.read(list(jobs.values()), str(self.saved.path), by_name)
        if found is None:
            return
        self.scorer.readings = dict(zip(jobs, found, strict=True))
        self.scorer.read_with = reader.auxiliary()
        self.agreement = reader.agreement(list(jobs.values()), found)
        self.read_by = {"second_pass": reader.describe(self.agreement)}

    def scored(self, chosen: Sequence[str], output: Path | None, batch_size: int, progress: bool) -> ScoredFile:
        """Scores and judges by lm_eval's own way, and writes what a run writes."""
        replay = SavedModel(self.saved, self.answers, self.scorer, batch_size, progress)
        tracker = None if output is None else EvaluationTracker(output_path=str(output))
        found = simple_evaluate(
            model=replay,
            model_args={"pretrained": self.model},
            tasks=[self.task],
            task_manager=TaskManager(include_defaults=False),
            evaluation_tracker=tracker,
        )
        samples = found.pop("samples")
        earlier = self.saved.configuration.get("config", {})
        found["config"] = {**found["config"], **earlier, **replay.get_model_info(), **self.read_by}
        written = () if tracker is None else _written(tracker, found, samples)
        reports = self.scorer.report(chosen, replay.records)
        name = self.task.config.task
        return ScoredFile(self.model, name, len(self.answers), tuple(reports), found, written, self.agreement)


class SavedModel(LM):
    """A model for lm_eval that hands out saved answers with their records, and can do nothing else.

    Args:
        saved: The file.
        answers: Its answers that are handed out.
        scorer: Scores them, when the judges are known to be there.
        batch_size: Questions whose texts are compared at a time.
        progress: Whether to show a bar.
    """

    def __init__(
        self, saved: SavedFile, answers: Sequence[SavedAnswer], scorer: Scorer, batch_size: int, progress: bool
    ) -> None:
        super().__init__()
        self._saved, self._answers, self._scorer = saved, tuple(answers), scorer
        self._batch_size, self._progress = batch_size, progress
        self.records: list[dict[str, Any]] = []

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """The saved answers to requests of a `SavedTask`."""
        self.records = self._scorer.records(self._batch_size, self._progress and not disable_tqdm)
        return [UQText(self._answers[one.doc_id].answer, self.records[one.doc_id]) for one in requests]

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Not to be had from saved answers."""
        raise UQHarnessError("saved answers hold no log-likelihoods of other texts")

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Not to be had from saved answers."""
        raise UQHarnessError("saved answers hold no log-likelihoods of other texts")

    def get_model_info(self) -> dict[str, Any]:
        """The file, and the methods that were computed from it with all their options."""
        earlier: Mapping[str, Any] = self._saved.configuration.get("config", {})
        return {
            "model": earlier.get("model", "saved answers"),
            "saved_answers": str(self._saved.path),
            "uncertainty": {
                **_without_found(earlier.get("uncertainty", {}), self._scorer.names),
                "methods": self._scorer.names,
                **settings(self._scorer.methods()),
                **self._scorer.describe(),
            },
        }


def _without_found(earlier: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What a run noted, with what it left out less what has been computed since."""
    left_out = {name: why for name, why in _object(earlier.get("left_out")).items() if name not in names}
    return {name: value for name, value in earlier.items() if name != "left_out"} | (
        {"left_out": left_out} if left_out else {}
    )


class SavedTask(UQTask):
    """A task whose documents and prompts come from a file of saved answers.

    Args:
        answers: The saved answers.
        config: lm_eval's configuration of the task.
    """

    def __init__(self, answers: Sequence[SavedAnswer], config: Mapping[str, Any]) -> None:
        self._answers = tuple(answers)
        super().__init__(config=config)

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Takes the questions that are there already."""
        rows = [{"question": one.question, "answers": list(one.references)} for one in self._answers]
        self.dataset = DatasetDict({self.config.test_split: Dataset.from_list(rows)})

    def prepare_judges(self) -> None:
        """Finds out that the judges are there, before long work."""
        for judge in self._judges.values():
            judge.prepare()

    def fewshot_context(self, doc: dict[str, Any], *args: Any, **kwargs: Any) -> str:
        """Nothing: the file has the prompts, with the worked examples that the run gave."""
        return ""

    def construct_requests(self, doc: dict[str, Any], ctx: str, **kwargs: Any) -> QuestionInstance:
        """A request with the prompt of the file, so that its hash is that of the run that answered it."""
        return super().construct_requests(doc, self._answers[kwargs["metadata"][1]].prompt, **kwargs)


# Of a run's configuration of its task, what says which questions were asked and how, and its type.
_KEPT = {
    "dataset_path": str,
    "dataset_name": str,
    "test_split": str,
    "num_fewshot": int,
    "generation_kwargs": dict,
}


def _task(saved: SavedFile, answers: Sequence[SavedAnswer], name: str, correctness: Any) -> SavedTask:
    earlier = saved.settings
    metadata = {key: value for key, value in earlier.get("metadata", {}).items() if key != "judges"}
    return SavedTask(
        answers,
        {
            "task": name,
            "output_type": "generate_until",
            "dataset_path": "json",
            "test_split": "saved",
            "doc_to_target": "answers",
            "num_fewshot": 0,
            "generation_kwargs": {"until": [], "do_sample": False},
            "filter_list": [],
            **{key: earlier[key] for key, kind in _KEPT.items() if isinstance(earlier.get(key), kind)},
            "doc_to_text": _prompt(earlier.get("doc_to_text")),
            "dataset_kwargs": {"data_files": str(saved.path), **_object(earlier.get("dataset_kwargs"))},
            "metadata": {"version": 1.0, **metadata, "correctness": correctness, "scored_by": version("uq-harness")},
        },
    )


def _prompt(template: Any) -> str:
    """The earlier run's, unless it names columns of its data, which the file of answers does not have."""
    named = columns_in(template) if isinstance(template, str) else None
    return str(template) if named == {"question"} else "{{question}}"


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _refuse_what_cannot_be(
    methods: str, chosen: Sequence[Method], planner: Planner, answers: Sequence[SavedAnswer], reads: bool
) -> None:
    """Fails where a method that was asked for by its own name can be computed for no answer at all."""
    asked = {part.strip() for part in methods.replace(",", "+").split("+")}
    plans = [planner.plan(answer) for answer in sorted(answers, key=lambda answer: answer.refused)]
    for method in chosen:
        if method.name in asked and all(method.name in plan.lacking for plan in plans):
            what = plans[0].lacking[method.name]
            way_out = "" if reads or "take the model" not in what else ", give the model that answered with --model"
            raise UQHarnessError(
                f"{method.name} cannot be computed: the file lacks {what}. Leave it out{way_out}, or leave out "
                "--methods for all that can be computed"
            )


def names_of(saved: SavedFile, model: str | None, task: str | None) -> tuple[str, str]:
    """The names of model and task in the results: those given, else those of the file.

    Raises:
        UQHarnessError: Files, and the folder that they are in, cannot have such names.
    """
    names = model or saved.model or saved.path.stem, task or saved.task
    folder = sanitize_model_name(names[0])
    for option, name, part, longest in (
        ("--model_name", names[0], folder, LONGEST_NAME),
        ("--task_name", names[1], names[1], LONGEST_NAME - _AROUND_A_TASK),
    ):
        if part in (".", "..") or "/" in part or visible(name) != name or len(part.encode()) > longest:
            raise UQHarnessError(
                f"{option} {visible(name)!r} cannot be part of a file's name: use at most {longest} bytes with no "
                "control characters, neither . nor .. by itself, and no slash in a task's name"
            )
    return names


def check_output(output: Path) -> None:
    """Raises unless lm_eval writes into that folder: it takes a name that ends in ``.json`` for a file's.

    Raises:
        UQHarnessError: The name does so.
    """
    if output.suffix == ".json":
        raise UQHarnessError(f"--output {str(output)!r} is called like a file: name a folder")


def _written(tracker: EvaluationTracker, results: dict[str, Any], samples: dict[str, Any]) -> tuple[Path, ...]:
    """Writes results and samples where lm_eval would, in strict JSON, and reads them back.

    Raises:
        UQHarnessError: They could not be written, or not in full; what there is of them is removed.
    """
    strict: dict[str, Any] = plain({**results, "results": _with_lm_evals_signs(results["results"])})
    rows: dict[str, Any] = plain(samples)
    tracker.save_results_aggregated(results=strict, samples=rows)
    for task, lines in rows.items():
        tracker.save_results_samples(task_name=task, samples=lines)
    date = getattr(tracker, "date_id", "")
    found = sorted(Path(tracker.output_path).rglob(f"*{date}.json*")) if date else []
    lengths = {f"samples_{task}_{date}.jsonl": len(lines) for task, lines in rows.items()}
    whole = [file for file in found if is_whole(file, lengths.get(file.name))]
    if len(whole) < 1 + len(rows):
        for file in found:
            file.unlink(missing_ok=True)
        raise UQHarnessError(
            f"results could not be written to {tracker.output_path} in full: is it a folder you may write to, and is "
            "there space on the disk?"
        )
    return tuple(found)


def _with_lm_evals_signs(results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The metrics, an undefined one as lm_eval's text for it, as in the file of a run."""
    return {
        task: {name: str(value) if value == NOT_AVAILABLE else value for name, value in metrics.items()}
        for task, metrics in results.items()
    }
