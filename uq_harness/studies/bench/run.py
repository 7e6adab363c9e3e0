"""Runs a benchmark: the same questions through lm_eval's own generation and through each method."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tqdm import tqdm

import uq_harness
from uq_harness import __version__
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import QuestionInstance, record_of
from uq_harness.models import UQHFLM
from uq_harness.studies.bench.interleaved import interleaved, peak_megabytes
from uq_harness.studies.bench.report import DECODING, GENERATION, Bench, Spread, cost_of


def requests_of(
    lm: UQHFLM, tasks: Sequence[str], limit: int, *, metadata: Mapping[str, Any], chat: bool
) -> dict[str, list[QuestionInstance]]:
    """Requests of each task, as lm_eval makes them for the model.

    Args:
        lm: The model.
        tasks: Names of uncertainty tasks.
        limit: Questions of each task.
        metadata: As under ``--metadata``: local data files.
        chat: Whether the chat template is applied.

    Raises:
        UQHarnessError: A task is unknown or no uncertainty task, its data cannot be had, or there is no chat template.
    """
    uq_harness.register()
    manager = TaskManager(include_defaults=False, metadata=dict(metadata))
    known = sorted(name for name in manager.all_tasks if name.startswith("uq_"))
    unknown = [name for name in tasks if name not in manager.all_tasks]
    if unknown:
        raise UQHarnessError(f"unknown task {unknown[0]!r}: use some of {', '.join(known)}")
    if not tasks:
        raise UQHarnessError(f"no task is given: use some of {', '.join(known)}")
    loaded = manager.load(list(tasks))["tasks"]
    if chat:
        lm.chat_template(True)  # says so where there is none
    return {name: _requests(lm, task, limit, chat) for name, task in loaded.items()}


def _requests(lm: UQHFLM, task: Any, limit: int, chat: bool) -> list[QuestionInstance]:
    task.override_metric(metric_name="bypass")  # no judge is needed
    task.set_config(key="num_fewshot", value=0)
    task.build_all_requests(
        limit=limit,
        rank=0,
        world_size=1,
        apply_chat_template=chat,
        chat_template=lm.apply_chat_template if chat else None,
        tokenizer_name=lm.tokenizer_name if chat else "",
    )
    return list(task.instances)


log = logging.getLogger(__name__)
TOGETHER = "together"
BATCHES_A_CHUNK = 4
Requests = Sequence[QuestionInstance]


def run_bench(
    model: str,
    *,
    tasks: Sequence[str],
    methods: str = "sampling_free",
    model_arguments: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    chat: bool = False,
    limit: int = 64,
    batch_size: int = 16,
    repeats: int = 3,
    progress: bool = False,
) -> Bench:
    """Measures lm_eval's own generation, our decoding, each method alone, and all methods together.

    All ways answer the same chunks of questions in turn. Before, each answers a batch to warm up, and the first chunk,
    which holds the longest prompts, for its memory.

    Args:
        model: What ``pretrained=`` takes; ``demo`` for the package's demo model.
        tasks: Names of uncertainty tasks.
        methods: As for ``uq-hf``.
        model_arguments: Further arguments of ``uq-hf``.
        metadata: As under ``--metadata``: local data files.
        chat: Whether the chat template is applied.
        limit: Questions of each task.
        batch_size: Questions in a batch.
        repeats: How often all is measured.
        progress: Whether to show a bar.

    Raises:
        UQHarnessError: The model cannot be loaded, or an argument is not allowed.
    """
    lm = _load(model, methods, batch_size, dict(model_arguments or {}))
    asked = requests_of(lm, tasks, limit, metadata=metadata or {}, chat=chat)
    requests = _longest_first(lm, [request for rows in asked.values() for request in rows])
    size = BATCHES_A_CHUNK * batch_size
    chunks = [requests[start : start + size] for start in range(0, len(requests), size)]
    ways, work = _ways(lm)
    for way in ways.values():
        way(requests[:batch_size])  # warms up
    peaks = {name: peak_megabytes(lambda way=way: way(chunks[0]), lm.device) for name, way in ways.items()}  # type: ignore[misc]
    for counts in work.values():
        counts.clear()
    with tqdm(total=repeats * len(chunks) * len(ways), disable=not progress, desc="Measuring") as bar:
        totals = interleaved(ways, chunks, repeats, done=bar.update)
    each = {name: [spent / len(requests) for spent in spents] for name, spents in totals.items()}
    return Bench(
        model=model,
        device=_device(lm.device),
        dtype=str(lm.model.dtype).removeprefix("torch."),
        threads=torch.get_num_threads(),
        batch_size=batch_size,
        tasks={name: len(rows) for name, rows in asked.items()},
        repeats=repeats,
        generation=Spread.of(each[GENERATION]),
        generation_peak_megabytes=peaks[GENERATION],
        costs=tuple(cost_of(name, each, work[name], peaks[name]) for name in ways if name != GENERATION),
        versions={
            "uq_harness": __version__,
            **{name: version(name) for name in ("lm_eval", "torch", "transformers")},
            "python": platform.python_version(),
        },
        settings=lm.get_model_info()["uncertainty"],
    )


def _load(model: str, methods: str, batch_size: int, arguments: dict[str, Any]) -> UQHFLM:
    for name, what in (("pretrained", "--model"), ("methods", "--methods"), ("batch_size", "--batch-size")):
        if name in arguments:
            raise UQHarnessError(f"{name} is given twice: leave it out of --model-args, and give {what}")
    if not arguments.get("parallelize"):
        arguments.setdefault("device", "cuda" if torch.cuda.is_available() else "cpu")
    return UQHFLM(pretrained=model, methods=methods, batch_size=batch_size, **arguments)


def _longest_first(lm: UQHFLM, requests: list[QuestionInstance]) -> list[QuestionInstance]:
    """Prompts of similar length share a chunk, and the first chunk takes most memory."""
    return sorted(requests, key=lambda request: -len(lm.tok_encode(request.args[0])))


def _ways(lm: UQHFLM) -> tuple[dict[str, Callable[[Requests], None]], dict[str, list[dict[str, float]]]]:
    """The ways to answer, and what each notes of its work."""
    chosen = lm.methods
    scoring: dict[str, Sequence[Any]] = {DECODING: (), **{method.name: (method,) for method in chosen}}
    if len(chosen) > 1:
        scoring[TOGETHER] = chosen
    work: dict[str, list[dict[str, float]]] = {name: [] for name in scoring}

    def generate(requests: Requests) -> None:
        HFLM.generate_until(lm, list(requests), disable_tqdm=True)

    def answer(name: str, model: UQHFLM) -> Callable[[Requests], None]:
        def run(requests: Requests) -> None:
            model.forget()  # what another way, or the last repeat, has compared
            for text in model.generate_until(list(requests), disable_tqdm=True):
                record = record_of(text)
                work[name].append({**record["cost"], "answer_tokens": record["answer_tokens"]})

        return run

    ways = {name: answer(name, lm.with_methods(methods)) for name, methods in scoring.items()}
    return {GENERATION: generate, **ways}, work


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({platform.processor() or platform.machine()})"
