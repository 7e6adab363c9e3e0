"""The lm_eval task behind every uncertainty task: answers, correctness, and one row of metrics a method."""

from __future__ import annotations

import logging
from collections.abc import Callable, ItemsView, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from datasets.exceptions import DatasetsError
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from uq_harness.correctness.base import build_judge
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation import metrics as quality
from uq_harness.evaluation.columns import Columns
from uq_harness.evaluation.command import try_output
from uq_harness.evaluation.configuration import nested_metadata, refuse_unknown_fields
from uq_harness.evaluation.documents import data_file
from uq_harness.evaluation.fewshot import ExampleSampler
from uq_harness.evaluation.includes import FOLDER
from uq_harness.evaluation.instances import QuestionInstance, UQText, record_of
from uq_harness.evaluation.judging import FILTER  # registers it with lm_eval, too
from uq_harness.evaluation.progress import AggregationBar
from uq_harness.evaluation.task_data import TaskData
from uq_harness.files import or_not_available

log = logging.getLogger(__name__)
_MANY_TRUNCATED = 0.05  # the share of answers above which a hint is due


Aggregation = Callable[..., float | str]


class _Aggregations(dict[str, Aggregation]):
    """Aggregation functions by metric; those of methods are made when lm_eval asks for them by name."""

    def __init__(self, task: UQTask, seed: int, fixed: dict[str, Aggregation]) -> None:
        super().__init__(fixed)
        self._task, self._seed = task, seed

    def __missing__(self, metric: str) -> Aggregation:
        aggregate = quality.aggregation(metric, self._task.config.task, self._seed)
        return _for_json(self._task.bar.counting(metric, aggregate, self._task.methods_to_judge))


def _for_json(aggregate: Callable[..., float]) -> Aggregation:
    """The same aggregation with lm_eval's ``N/A`` where its number is undefined."""
    return lambda values: or_not_available(aggregate(values))


class _Metrics(dict[str, Any]):
    """The metrics of one answer, of which only a few enter the sample log.

    lm_eval aggregates what `items` gives and logs the entries of the mapping. Every metric of every method, and every
    count of what is undefined, refused or cut, would repeat what is in the document's record.

    Args:
        logged: Metrics that the sample log shows.
        aggregated: Metrics that are aggregated without being logged.
    """

    def __init__(self, logged: Mapping[str, Any], aggregated: Mapping[str, Any]) -> None:
        super().__init__(logged)
        self._aggregated = dict(aggregated)

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """All metrics: those that are logged first, so that a standard error follows its metric."""
        return {**self, **self._aggregated}.items()


class UQTask(ConfigurableTask):
    """Questions with reference answers, answered greedily, judged, and ranked by every uncertainty score.

    Beyond lm_eval's task configuration there is ``doc_to_question``, the column or template of the bare question where
    the data have no column ``question``. ``--metadata`` may name local data (``data_files``), local worked examples for
    ``--num_fewshot`` (``fewshot_files``) and the judge (``correctness``: a name, a mapping with ``name`` and options,
    or a list of these for several judges side by side).

    Raises:
        UQHarnessError: Data or judge cannot be had, or do not have the right shape.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        settings = dict(config or {})
        settings.pop("class", None)  # names this class in the YAML; lm_eval's configuration does not know it
        asked = settings.pop("doc_to_question", None)  # nor this
        refuse_unknown_fields(settings)
        metadata = nested_metadata(settings.get("metadata") or {})
        folder = _folder(metadata.pop(FOLDER, None), metadata.get("config_source"))
        file = data_file(metadata.get("data_files"), settings["task"])
        if file is not None:
            settings.update(
                dataset_path="json", dataset_name=None, dataset_kwargs={"data_files": file}, process_docs=None
            )
        given = settings.get("dataset_kwargs") or {}
        if isinstance(given.get("data_files"), Path):  # that of the demo
            settings["dataset_kwargs"] = {**given, "data_files": str(given["data_files"])}
        examples = dict(settings.get("fewshot_config") or {})
        if file is not None:
            settings["fewshot_split"] = settings["test_split"]
            examples["process_docs"] = None
        if examples.get("samples") is not None:
            settings["fewshot_split"] = None  # that of the base file, which lm_eval would prefer
        settings["fewshot_config"] = examples or None
        self._data = TaskData(
            task=settings["task"],
            columns=_columns(settings, asked, examples),
            file=file,
            fewshot_file=data_file(metadata.get("fewshot_files"), settings["task"], "fewshot_files"),
            folder=folder,
        )
        if "correctness" in metadata:
            settings["filter_list"] = _filters(metadata["correctness"])
        self._judges = {
            chain["name"]: build_judge(step["judge"])
            for chain in settings["filter_list"]
            for step in chain["filter"]
            if step["function"] == FILTER
        }
        metadata["judges"] = [judge.describe() for judge in self._judges.values()]
        settings["metadata"] = metadata
        self.bar = AggregationBar(settings["task"])
        self._seed = 0
        self._hinted = False
        self._directions = {"accuracy": True}
        self._directions |= dict.fromkeys(
            ("refused_questions", "truncated_answers", "undefined_scores", "undefined_verdicts"), False
        )
        self._directions |= dict.fromkeys(self._judges, True)
        super().__init__(config=settings, **kwargs)
        self.sampler = ExampleSampler(self._examples, settings["task"])

    # ------------------------------------------------------------------ data

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Loads the questions from local files if the task names some, else from the hub."""
        config = self.config
        local = self._data.read(config, self.fewshot_cfg)
        if local is not None:
            self.dataset = local
            return
        try:
            super().download(self._data.arguments(config), **kwargs)
        except (OSError, DatasetsError) as error:  # no network, offline with nothing cached, no such data set
            raise UQHarnessError(
                f"the data of {config.task} ({config.dataset_path}) could not be loaded: {error}. Without access to "
                f"the hub, give a local file: --metadata data_files.{config.task}=questions.jsonl"
            ) from error
        self._data.check_split("test_split", config.test_split, self.dataset)

    def test_docs(self) -> Dataset:
        """The documents, each with ``question`` and ``answers``."""
        return self._data.documents(self.config.test_split, super().test_docs())

    def doc_to_target(self, doc: Mapping[str, Any], doc_to_target: Any = None) -> Any:
        """The reference answers, a list."""
        own = doc_to_target is None or doc_to_target == self.config.doc_to_target
        return doc["answers"] if own else super().doc_to_target(doc, doc_to_target)

    def fewshot_docs(self) -> None:
        """None: lm_eval would read them for every run, and this task's sampler reads them when they are needed."""
        return

    def _examples(self) -> Iterable[dict[str, Any]]:
        """The documents that worked examples are drawn from."""
        return self._data.examples(self.dataset, self.fewshot_cfg)

    # ------------------------------------------------------------------ requests

    def fewshot_context(self, doc: dict[str, Any], *args: Any, **kwargs: Any) -> str:
        """The prompt; its worked examples are chosen for its question."""
        self.sampler.asked = doc["question"]
        context: str = super().fewshot_context(doc, *args, **kwargs)
        return context

    def set_fewshot_seed(self, seed: int | None = None) -> None:
        """Takes lm_eval's seed, which the bootstrap uses too."""
        super().set_fewshot_seed(seed)
        self._seed = seed or 0

    def build_all_requests(self, *, limit: int | None = None, world_size: int = 1, **kwargs: Any) -> None:
        """Builds the requests; everything that may be missing is found here, before the first answer.

        Raises:
            UQHarnessError: The task asks for sampling, there are fewer questions than processes, a question has no
                reference answer, a judge cannot be loaded, or the output folder cannot be written.
        """
        decoding = self.config.generation_kwargs or {}
        if decoding.get("do_sample") or decoding.get("temperature"):
            raise UQHarnessError(
                f"{self.config.task}: --gen_kwargs sets do_sample or temperature, but uncertainty is that of the "
                "greedy answer: leave them out"
            )
        if self._data.is_local(self.config) and kwargs.get("cache_requests"):
            log.warning("%s: --cache_requests is ignored, since it knows a task's data by name only", self.config.task)
            kwargs["cache_requests"] = False
        documents = self.eval_docs
        count = min(limit or len(documents), len(kwargs.get("samples") or documents), len(documents))
        if count < world_size:
            raise UQHarnessError(
                f"{self.config.task}: {count} questions cannot be shared by {world_size} processes: raise --limit to "
                f"{world_size} or more, or start fewer processes"
            )
        for question, answers in zip(documents["question"], documents["answers"], strict=True):
            if not answers:
                raise UQHarnessError(f"{self.config.task}: the question {question!r} has no reference answer")
        if not self._only_predicts:
            for judge in self._judges.values():
                judge.prepare()
        if kwargs.get("rank", 0) == 0:
            try_output(count * max(1, len(self._judges)))
        super().build_all_requests(limit=limit, world_size=world_size, **kwargs)

    def construct_requests(self, doc: dict[str, Any], ctx: str, **kwargs: Any) -> QuestionInstance:
        """A request that knows its bare question."""
        instance: Instance = super().construct_requests(doc, ctx, **kwargs)
        return QuestionInstance.of(instance, question=doc["question"], message=self.doc_to_text(doc))

    # ------------------------------------------------------------------ results

    @property
    def _only_predicts(self) -> bool:
        """Whether lm_eval runs with ``--predict_only``."""
        return "bypass" in self._metric_fn_list

    def apply_filters(self) -> None:
        """Judges the answers; their records stay attached whatever text the filters return."""
        if self._only_predicts:
            for instance in self._instances:
                instance.filtered_resps["none"] = instance.resps[0]
            return
        scored = ["uncertainty" in record_of(instance.resps[0]) for instance in self._instances]
        if not any(scored):
            log.warning("%s: this model gives no uncertainty; `--model uq-hf` does", self.config.task)
        elif not all(scored):
            raise UQHarnessError(
                f"{self.config.task}: {scored.count(False)} of {len(scored)} answers carry no uncertainty, since "
                "another model type wrote them into the --use_cache file: choose another one"
            )
        self._complete_records()
        self._warn_of_constant_scores()
        self._warn_of_refusals()
        super().apply_filters()
        for instance in self._instances:
            for name, text in instance.filtered_resps.items():
                instance.filtered_resps[name] = UQText(text, {**record_of(instance.resps[0]), **record_of(text)})
            instance.resps = [str(response) for response in instance.resps]  # their record is in the judged ones now

    def _complete_records(self) -> None:
        """A score that other answers have and one does not, as an old cache may hold it, is undefined and counted."""
        found = [record_of(instance.resps[0]).get("uncertainty", {}) for instance in self._instances]
        methods = dict.fromkeys(method for uncertainty in found for method in uncertainty)
        for method in methods:
            missing = sum(method not in uncertainty for uncertainty in found)
            if missing:
                log.warning(
                    "%s: %d of %d answers come without a score of %s, which counts as undefined there: choose another "
                    "--use_cache to have them scored",
                    *(self.config.task, missing, len(found), method),
                )
        for uncertainty in found:
            uncertainty.update({method: None for method in methods if method not in uncertainty})

    def _warn_of_constant_scores(self) -> None:
        constant = quality.constant_methods(
            [record_of(instance.resps[0]).get("uncertainty", {}) for instance in self._instances]
        )
        if constant:
            log.warning(
                "%s: %s: one and the same score for all %d answers, which ranks nothing. Methods that compare samples "
                "do that where all samples agree, or all differ as for a lexical comparison; others should not",
                *(self.config.task, ", ".join(constant), len(self._instances)),
            )

    def _warn_of_refusals(self) -> None:
        refused = [record["refused"] for one in self._instances if "refused" in (record := record_of(one.resps[0]))]
        if refused:
            log.warning(
                "%s: %d of %d questions were refused, so they have no answer: they are left out of accuracy and of all "
                "other metrics, and counted as refused_questions. The first reason: %s",
                *(self.config.task, len(refused), len(self._instances), refused[0]),
            )

    def process_results(self, doc: dict[str, Any], results: list[str]) -> dict[str, Any]:
        """Metrics of one answer; its record becomes the logged document's field ``uq``."""
        record = record_of(results[0])
        doc["uq"] = record
        if self._only_predicts:
            return {"bypass": None}
        uncertainty = record.get("uncertainty", {})
        correct: int | None = record["correct"]
        means = {"accuracy": None if correct is None else float(correct), record["judge"]: record["correctness"]}
        aggregated: dict[str, Any] = {f"{metric}_stderr": value for metric, value in means.items()}
        aggregated["undefined_verdicts"] = int(correct is None)
        scored = (uncertainty, correct)
        for metric in (metric for method in uncertainty for metric in quality.metrics_of(method)):
            aggregated[metric] = scored
            if not metric.endswith("_stderr"):
                self._directions[metric] = quality.higher_is_better(metric)
        if uncertainty:
            aggregated["undefined_scores"] = sum(score is None for score in uncertainty.values())
        if "refused" in record:
            aggregated["refused_questions"] = 1
        if isinstance(record.get("complete"), bool):
            aggregated["truncated_answers"] = int(not record["complete"])
        return _Metrics(means, aggregated)

    def aggregation(self) -> dict[str, Aggregation]:
        """Aggregation functions by metric; what is undefined becomes lm_eval's ``N/A``."""
        if self._only_predicts:
            aggregations: dict[str, Aggregation] = self._aggregation_list
            return aggregations
        fixed: dict[str, Aggregation] = dict.fromkeys(
            ("refused_questions", "undefined_scores", "undefined_verdicts"), sum
        )
        fixed["truncated_answers"] = self._count_truncated
        for metric in ("accuracy", *self._judges):
            fixed[metric] = _for_json(quality.mean_of_known)
            fixed[f"{metric}_stderr"] = _for_json(quality.mean_of_known_stderr)
        for name, judge in self._judges.items():
            fixed[name] = _for_json(partial(quality.mean_of_judge, judge=judge, task=self.config.task))
        return _Aggregations(self, self._seed, fixed)

    @property
    def methods_to_judge(self) -> int:
        """Number of methods, times that of judges."""
        return sum(name.startswith("auroc_") for name in self._directions) * len(self._judges)

    def _count_truncated(self, truncated: list[int]) -> int:
        """Number of answers that the token limit cut; a hint, once, where they are many."""
        count = sum(truncated)
        if count > _MANY_TRUNCATED * len(truncated) and not self._hinted:
            self._hinted = True
            log.warning(
                "%s: %d of %d answers did not end before max_gen_toks=%s and are judged and scored as they were cut: "
                "raise it with --gen_kwargs max_gen_toks=..., let answers end at a text, as a base model needs, with "
                "--gen_kwargs until=..., or take a chat model with --apply_chat_template",
                *(self.config.task, count, len(truncated), (self.config.generation_kwargs or {}).get("max_gen_toks")),
            )
        return count

    def dump_config(self) -> dict[str, Any]:
        """The configuration for the results file, with the logged metrics that lm_eval's W&B and Zeno read there."""
        config: dict[str, Any] = super().dump_config()
        if self._data.columns.asked is not None:
            config["doc_to_question"] = str(self._data.columns.asked)
        accuracy = {"metric": "accuracy", "aggregation": "mean", "higher_is_better": True}
        return config if self._only_predicts else {**config, "metric_list": [accuracy]}

    def higher_is_better(self) -> dict[str, bool]:
        """Directions of all metrics met so far."""
        directions: dict[str, bool] = self._higher_is_better if self._only_predicts else self._directions
        return directions


def _columns(settings: Mapping[str, Any], asked: Any, examples: Mapping[str, Any]) -> Columns:
    others = [settings.get("description"), settings.get("gen_prefix")]
    others += [examples.get(key) for key in ("doc_to_text", "gen_prefix")]
    target = settings["doc_to_target"]
    return Columns(settings["doc_to_text"], target, asked, tuple(others), examples.get("doc_to_target"))


def _folder(given: str | None, source: Any) -> str | None:
    """The folder of the task's file; ``None`` for a task that has none."""
    if given is None and isinstance(source, str) and source.endswith((".yaml", ".yml")):
        return str(Path(source).parent)
    return given


def _filters(correctness: Any) -> list[dict[str, Any]]:
    """lm_eval's filter chains for the judges that ``--metadata`` asks for; a chain bears its judge's label or name."""
    specs = correctness if isinstance(correctness, list) else [correctness]
    names = [build_judge(spec).key for spec in specs]
    if len(set(names)) < len(names) or not names:
        raise UQHarnessError(
            f"correctness names the judges {names}: give at least one, and each once; two of one kind need a label: "
            f'{{"name": "{names[0] if names else "llm_judge"}", "label": "second", ...}}'
        )
    return [
        {"name": name, "filter": [{"function": "take_first"}, {"function": FILTER, "judge": spec}]}
        for name, spec in zip(names, specs, strict=True)
    ]
