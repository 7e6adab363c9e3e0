"""One generation pass over tasks, run by lm_eval itself from its own command-line arguments."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness import register
from uq_harness.answering.identity import ModelIdentity
from uq_harness.errors import UQHarnessError, one_of
from uq_harness.evaluation.plugin import MODEL
from uq_harness.studies.ablation.evidence import AblationEvidence
from uq_harness.studies.ablation.model import FIELD, AblationLM, GradientSizes

# lm_eval's arguments that would do nothing here.
_UNUSED = ("wandb_args", "wandb_config_args", "trackio_args", "hf_hub_log_args", "predict_only", "show_config")


def generate(
    arguments: Sequence[str], output: Path, positions: int | None, check: Callable[[AblationLM, ModelIdentity], None]
) -> tuple[AblationEvidence, ...] | None:
    """Runs lm_eval on uncertainty tasks and takes the sizes of all gradients along.

    The evidence is written to ``output`` as ``evidence_<task>_<judge>.npz``, next to lm_eval's results and samples as
    from a stock run of ``uq-hf``.

    Args:
        arguments: lm_eval's command-line arguments.
        output: Folder for what is written.
        positions: How many of the prompt's last tokens are covered; see `AblationLM`.
        check: Called before the first answer with the loaded model, and with what it is known by (no template where
            none is applied); raises where something does not fit it.

    Returns:
        The evidence, one a task and judge; ``None`` in every process but the first.

    Raises:
        UQHarnessError: Arguments that an ablation cannot use, or a task without uncertainty.
        SystemExit: Arguments that lm_eval does not know.
    """
    register()
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.utils import setup_logging

    setup_logging()
    config = _configuration(arguments, output)
    manager, loaded = _load_tasks(config)
    lm = _load_model(config, positions)
    check(lm, lm.identity if config.apply_chat_template else replace(lm.identity, template=None))
    tracker = EvaluationTracker(output_path=str(output))
    results = simple_evaluate(
        model=lm,
        model_args=config.model_args,
        tasks=_outermost(loaded),
        num_fewshot=config.num_fewshot,
        batch_size=config.batch_size,
        max_batch_size=config.max_batch_size,
        device=config.device,
        use_cache=config.use_cache,
        cache_requests=config.cache_requests.get("cache_requests", False),
        rewrite_requests_cache=config.cache_requests.get("rewrite_requests_cache", False),
        delete_requests_cache=config.cache_requests.get("delete_requests_cache", False),
        limit=config.limit,
        samples=config.samples,
        check_integrity=config.check_integrity,
        write_out=config.write_out,
        log_samples=True,
        evaluation_tracker=tracker,
        system_instruction=config.system_instruction,
        apply_chat_template=config.apply_chat_template,
        fewshot_as_multiturn=config.fewshot_as_multiturn,
        gen_kwargs=config.gen_kwargs,
        task_manager=manager,
        random_seed=config.seed[0] if config.seed else None,
        numpy_random_seed=config.seed[1] if config.seed else None,
        torch_random_seed=config.seed[2] if config.seed else None,
        fewshot_random_seed=config.seed[3] if config.seed else None,
        confirm_run_unsafe_code=config.confirm_run_unsafe_code,
        metadata=config.metadata,
    )
    if results is None:
        return None
    results["config"]["model"] = tracker.general_config_tracker.model_source = MODEL  # as in a stock run
    samples = results.pop("samples")
    evidence = tuple(one for task, rows in samples.items() for one in _evidence(lm, task, rows))
    for one in evidence:
        one.write(output)
    tracker.save_results_aggregated(results=results, samples=samples)
    for task, rows in samples.items():
        tracker.save_results_samples(task_name=task, samples=rows)
    return evidence


def _configuration(arguments: Sequence[str], output: Path) -> Any:
    """lm_eval's arguments, read by lm_eval.

    Raises:
        UQHarnessError: Something is asked for that an ablation does not do.
    """
    from lm_eval.__main__ import HarnessCLI
    from lm_eval.config.evaluate_config import EvaluatorConfig

    before = sys.argv
    sys.argv = ["lm_eval", "run", *arguments, "--output_path", str(output)]  # its parser reads nothing else
    try:
        given = HarnessCLI().parse_args()
    finally:
        sys.argv = before
    try:
        config = EvaluatorConfig.from_cli(given)
    except ValueError as error:
        raise UQHarnessError(f"lm_eval refuses these arguments: {error}") from error
    unused = [name for name in _UNUSED if getattr(config, name)]
    if unused:
        raise UQHarnessError(f"--{unused[0]} would do nothing in an ablation: leave it out")
    if config.model not in (MODEL, EvaluatorConfig().model) or given.model not in (None, MODEL):
        raise UQHarnessError(f"--model {config.model} gives no gradients: leave it out, or use {MODEL}")
    if not config.tasks:
        raise UQHarnessError("no task is named: add --tasks, such as --tasks uq_truthfulqa")
    return config


def _load_tasks(config: Any) -> tuple[Any, Mapping[str, Any]]:
    """lm_eval's task manager, and the tasks and groups that are asked for; lm_eval's own tasks have no uncertainty.

    Raises:
        UQHarnessError: A task is unknown, or asks no questions of uncertainty.
    """
    from lm_eval.tasks import TaskManager

    from uq_harness.evaluation.task import UQTask

    manager = TaskManager(include_path=config.include_path, include_defaults=False, metadata=config.metadata)
    listed = [config.tasks] if isinstance(config.tasks, str) else config.tasks
    wanted = [name for part in listed for name in part.split(",")]
    other = [name for name in wanted if not manager.match_tasks([name]) and not Path(name).is_file()]
    loaded: Mapping[str, Any] = {"tasks": {}}
    if not other:
        loaded = manager.load([match for name in wanted for match in manager.match_tasks([name]) or [name]])
        other = [name for name, task in loaded["tasks"].items() if not isinstance(task, UQTask)]
    if other:
        raise UQHarnessError(
            f"task {other[0]} is unknown, or has no uncertainty: use {one_of(manager.all_tasks)}, or the file of a "
            "task of your own that includes their base file"
        )
    return manager, loaded


def _load_model(config: Any, positions: int | None) -> AblationLM:
    hardware = {"batch_size": config.batch_size, "max_batch_size": config.max_batch_size, "device": config.device}
    return AblationLM(positions=positions, **{**hardware, **config.model_args})


def _outermost(loaded: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Loaded groups and tasks that are part of no other group."""
    within = {child for children in loaded["group_map"].values() for child in children}
    both = {**loaded["groups"], **loaded["tasks"]}
    return [one for name, one in both.items() if name not in within]


def _evidence(lm: AblationLM, task: str, samples: Sequence[dict[str, Any]]) -> list[AblationEvidence]:
    """The evidence about a task, one a judge; takes the sizes of the gradients out of the samples' records."""
    ordered = sorted(samples, key=itemgetter("filter", "doc_id"))
    return [_judged(lm, task, judge, list(rows)) for judge, rows in groupby(ordered, key=itemgetter("filter"))]


def _judged(lm: AblationLM, task: str, judge: str, samples: list[dict[str, Any]]) -> AblationEvidence:
    records = [sample["doc"]["uq"] for sample in samples]
    sizes: list[GradientSizes] = [record.pop(FIELD) for record in records]
    prompts = [sample["arguments"][0][0] for sample in samples]
    through_template, positions = lm.describe_prompts(prompts)
    identity = lm.identity if through_template else replace(lm.identity, template=None)
    return AblationEvidence(
        task=task,
        judge=judge,
        model=identity,
        positions=positions,
        documents=np.array([sample["doc_id"] for sample in samples], dtype=np.int64),
        correct=_floats([record["correct"] for record in records]),
        correctness=_floats([record["correctness"] for record in records]),
        semantic_token=np.array([one.semantic_token for one in sizes], dtype=np.int64),
        mean_entropy=np.array([one.mean_entropy for one in sizes]),
        head=np.stack([one.head for one in sizes], 1),
        absolute=np.stack([one.absolute for one in sizes], 1),
        squared=np.stack([one.squared for one in sizes], 1),
        methods={
            method: _floats([record["uncertainty"][method] for record in records])
            for method in records[0]["uncertainty"]
        },
    )


def _floats(values: Sequence[float | None]) -> np.ndarray[Any, Any]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
