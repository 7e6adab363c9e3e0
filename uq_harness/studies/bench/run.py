"""Runs a benchmark: the same questions through lm_eval's own generation, our decoding, and all methods together."""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from tqdm import tqdm

import uq_harness
from uq_harness import __version__
from uq_harness.answering.answerer import Recorder
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import QuestionInstance
from uq_harness.models import UQHFLM
from uq_harness.studies.bench.groups import groups_of
from uq_harness.studies.bench.interleaved import interleaved, peak_megabytes, seconds_of
from uq_harness.studies.bench.ledger import Ledger, Reader
from uq_harness.studies.bench.report import DECODING, GENERATION, RUN, TOGETHER, Accounts, Bench, Round, summary


def requests_of(
    lm: UQHFLM,
    tasks: Sequence[str],
    limit: int,
    *,
    metadata: Mapping[str, Any],
    chat: bool,
    include_path: str | None = None,
) -> dict[str, list[QuestionInstance]]:
    """Requests of each task, as lm_eval makes them for the model.

    Args:
        lm: The model.
        tasks: Names of uncertainty tasks.
        limit: Questions of each task.
        metadata: As under ``--metadata``: local data files.
        chat: Whether the chat template is applied.
        include_path: A folder with further tasks.

    Raises:
        UQHarnessError: A task is unknown or no uncertainty task, its data cannot be had, or there is no chat template.
    """
    uq_harness.register()
    manager = TaskManager(include_defaults=False, include_path=include_path, metadata=dict(metadata))
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


BATCHES_A_CHUNK = 2
WARMING_UP = 2
Requests = Sequence[QuestionInstance]


def run_bench(
    model: str,
    *,
    tasks: Sequence[str],
    methods: str = "sampling_free",
    model_arguments: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
    include_path: str | None = None,
    chat: bool = False,
    limit: int = 64,
    batch_size: int = 16,
    repeats: int = 1,
    progress: bool = False,
    keep: Callable[[Bench], None] = lambda found: None,
) -> Bench:
    """Measures lm_eval's own generation, our decoding, and all methods in one run, whose stages tell each one's price.

    All ways answer the same chunks of questions in turn. Before, each answers a few to warm up. What has been measured
    is kept when the run is stopped, or fails behind its first chunk.

    Args:
        model: What ``pretrained=`` takes; ``demo`` for the package's demo model.
        tasks: Names of uncertainty tasks.
        methods: As for ``uq-hf``.
        model_arguments: Further arguments of ``uq-hf``.
        metadata: As under ``--metadata``: local data files.
        include_path: A folder with further tasks.
        chat: Whether the chat template is applied.
        limit: Questions of each task.
        batch_size: Questions in a batch.
        repeats: How often all is measured.
        progress: Whether to show a bar.
        keep: Called after each chunk with what has been found so far.

    Raises:
        UQHarnessError: The model cannot be loaded, or an argument is not allowed.
    """
    lm = _load(model, methods, batch_size, dict(model_arguments or {}))
    asked = requests_of(lm, tasks, limit, metadata=metadata or {}, chat=chat, include_path=include_path)
    requests = _longest_first(lm, [request for rows in asked.values() for request in rows])
    size = BATCHES_A_CHUNK * batch_size
    chunks = [requests[start : start + size] for start in range(0, len(requests), size)]
    measured = _Measured(lm)
    rounds: list[Round] = []

    def found() -> Bench:
        return Bench(
            model=model,
            device=_device(lm.device),
            dtype=str(lm.model.dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            batch_size=batch_size,
            tasks={name: len(rows) for name, rows in asked.items()},
            repeats=repeats,
            complete=len(rounds) == repeats * len(chunks),
            measured=sum(one.questions for one in rounds),
            **summary(rounds, lm.methods, measured.groups),
            peak_megabytes=dict(measured.peaks),
            failed=dict(measured.failed),
            versions={
                "uq_harness": __version__,
                **{name: version(name) for name in ("lm_eval", "torch", "transformers")},
                "python": platform.python_version(),
            },
            settings=lm.get_model_info()["uncertainty"],
        )

    weights: dict[str, float] = {}
    for name in tqdm(measured.names, desc="Warming up", disable=not progress, leave=False):
        weights[name] = seconds_of(partial(measured, name, requests[-WARMING_UP:]))
    total, bar_format = len(requests) * sum(weights.values()), "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    with tqdm(total=repeats * total, disable=not progress, bar_format=bar_format) as bar:

        def answer(name: str, chunk: Requests) -> float | None:
            bar.set_description(name)
            spent = measured.seconds(name, chunk)
            bar.update(len(chunk) * weights[name])
            return spent

        try:
            for repeat, number, seconds in interleaved(measured.names, answer, chunks, repeats):
                rounds.append(Round(repeat, len(chunks[number]), seconds, measured.take()))
                keep(found())
        except (KeyboardInterrupt, Exception) as error:
            if not rounds:
                raise
            if not isinstance(error, KeyboardInterrupt):
                measured.failed[RUN] = f"{type(error).__name__}: {error}"
    return found()


class _MeasuredLM(UQHFLM):
    """`UQHFLM` with other recorders instead of methods."""

    gathered: tuple[Recorder, ...] = ()

    def with_recorder(self, recorder: Recorder) -> _MeasuredLM:
        """The same model with nothing but a recorder; weights and auxiliary models are shared."""
        other = copy.copy(self)
        other._methods, other._left_out, other.gathered = [], {}, (recorder,)
        other._answerer = other._build_answerer(())
        return other

    def _recorders(self) -> Sequence[Recorder]:
        return (*super()._recorders(), *self.gathered)


class _Measured:
    """The ways to answer questions, by name.

    Args:
        lm: The model with its methods.

    Attributes:
        names: The ways.
        groups: What is read by each way that is no method's.
        peaks: Memory of each way that has answered a chunk.
        failed: Why ways and methods could not be measured.
    """

    def __init__(self, lm: _MeasuredLM) -> None:
        self._lm = lm
        self.groups = groups_of(lm.methods)
        self._ledger = Ledger(lm.methods)
        self._readers = {DECODING: Reader(())} | {name: Reader(needs) for name, needs in self.groups.items()}
        recorders: dict[str, Recorder] = {**self._readers, TOGETHER: self._ledger}
        self._models = {name: lm.with_recorder(one) for name, one in recorders.items()}
        self.names = [GENERATION, *self._models]
        self.peaks: dict[str, float | None] = {}
        self.failed: dict[str, str] = {}

    def __call__(self, name: str, requests: Requests) -> None:
        """Answers questions in one way, and forgets what that says."""
        self._answer(name, requests)
        self.take()

    def seconds(self, name: str, requests: Requests) -> float | None:
        """Seconds that one way takes for some questions; ``None`` for one that has failed."""
        if name in self.failed:
            return None
        spent: list[float] = []

        def work() -> None:
            spent.append(seconds_of(lambda: self._answer(name, requests)))

        try:
            if name in self.peaks:
                work()
            else:
                self.peaks[name] = peak_megabytes(work, self._lm.device)
        except Exception as error:
            if name not in self.groups:
                raise
            self.failed[name] = f"{type(error).__name__}: {error}"
            return None
        return spent[0]

    def take(self) -> Accounts:
        """What has been noted since the last call."""
        found = Accounts(tuple(self._ledger.entries), {name: tuple(one.entries) for name, one in self._readers.items()})
        self._ledger.entries.clear()
        for one in self._readers.values():
            one.entries.clear()
        self.failed |= self._ledger.failed
        return found

    def _answer(self, name: str, requests: Requests) -> None:
        if name == GENERATION:
            HFLM.generate_until(self._lm, list(requests), disable_tqdm=True)
            return
        self._models[name].forget()  # what another way, or the last repeat, has compared
        self._models[name].generate_until(list(requests), disable_tqdm=True)


def _load(model: str, methods: str, batch_size: int, arguments: dict[str, Any]) -> _MeasuredLM:
    for name, what in (("pretrained", "--model"), ("methods", "--methods"), ("batch_size", "--batch_size")):
        if name in arguments:
            raise UQHarnessError(f"{name} is given twice: leave it out of --model_args, and give {what}")
    if not arguments.get("parallelize"):
        arguments.setdefault("device", "cuda" if torch.cuda.is_available() else "cpu")
    return _MeasuredLM(pretrained=model, methods=methods, batch_size=batch_size, **arguments)


def _longest_first(lm: UQHFLM, requests: list[QuestionInstance]) -> list[QuestionInstance]:
    """Prompts of similar length share a chunk, and the first chunk takes most memory."""
    return sorted(requests, key=lambda request: -len(lm.tok_encode(request.args[0])))


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({platform.processor() or platform.machine()})"
