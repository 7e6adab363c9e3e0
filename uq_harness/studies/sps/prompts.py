"""The prompts of a data set: each question and its paraphrases, made as a run of the task makes them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uq_harness.answering.semantic_token import anchor_of
from uq_harness.errors import UQHarnessError, one_of
from uq_harness.evaluation.instances import QuestionInstance
from uq_harness.evaluation.plugin import register_tasks
from uq_harness.evaluation.task import UQTask
from uq_harness.evidence.prompt import Prompt
from uq_harness.files import user_path
from uq_harness.models import UQHFLM
from uq_harness.studies.paraphrase.file import Paraphrased, ParaphraseFile, read_paraphrases, single_spaced


@dataclass(frozen=True)
class Position:
    """A place in the prompt.

    Attributes:
        position: Counted from the prompt's end, ``-1`` for the last token.
        text: The token that most prompts have there.
        share: The share of prompts that have it; 1 for what the chat template writes.
    """

    position: int
    text: str
    share: float


def commonest_tokens(last: NDArray[np.integer[Any]], decode: Callable[[int], str]) -> list[Position]:
    """The commonest token of every position.

    Args:
        last: The last tokens of many prompts, ``[prompts, positions]``.
        decode: The text of a token.

    >>> commonest_tokens(np.array([[7, 2], [8, 2], [7, 2], [7, 2]]), "t{}".format)
    [Position(position=-2, text='t7', share=0.75), Position(position=-1, text='t2', share=1.0)]
    """
    described = []
    for place, column in enumerate(last.T):
        tokens, numbers = np.unique(column, return_counts=True)
        text = decode(int(tokens[numbers.argmax()]))
        described.append(Position(place - last.shape[1], text, float(numbers.max() / len(column))))
    return described


# Prompts that are rendered and tokenised together; only their token ids are kept.
_CHUNK = 512
# Tokens of the user's text that are looked at beyond what the template puts behind it.
USER_TOKENS = 8


@dataclass(frozen=True)
class PromptSet:
    """Tokenised prompts of one data set.

    Attributes:
        source: The data set.
        variants: For each question the token ids of its own prompt, then those of its paraphrases' prompts.
        template_choices: How often which position is the template's choice of the semantic-preserving token.
        through_template: Whether the prompts end as the model's chat template ends them.
        example: The text of the first prompt.
        suffix: Number of tokens that the template puts behind the last one of the user's text.
    """

    source: Source
    variants: list[list[NDArray[np.int32]]]
    template_choices: Counter[int]
    through_template: bool
    example: str
    suffix: int

    def shortest(self) -> int:
        """Length of the shortest prompt in tokens."""
        return min(len(ids) for ids in chain.from_iterable(self.variants))


def make_prompts(lm: UQHFLM, source: Source, max_paraphrases: int, *, chat_template: bool) -> PromptSet:
    """Renders and tokenises all prompts of a data set.

    Args:
        lm: The model.
        source: The data set.
        max_paraphrases: Only the first so many distinct paraphrases of each question.
        chat_template: Whether prompts go through the model's chat template.

    Raises:
        UQHarnessError: A prompt leaves no space for an answer.
    """
    texts = [(one, text) for one in source.questions for text in (one.question, *one.paraphrases[:max_paraphrases])]
    encoded = _encoded(lm, source, texts, chat_template)
    first, first_text = next(encoded)
    through_template = anchor_of(first_text, lm.chat_tail) is not None
    variants: list[list[NDArray[np.int32]]] = []
    choices: Counter[int] = Counter()
    for (one, text), (prompt, _) in zip(texts, chain([(first, first_text)], encoded), strict=True):
        if text == one.question:  # no paraphrase equals it
            variants.append([])
        variants[-1].append(np.array(prompt.token_ids, dtype=np.int32))
        choices[prompt.semantic_token] += 1
    return PromptSet(source, variants, choices, through_template, first_text, lm.suffix_length(first_text))


def _encoded(
    lm: UQHFLM, source: Source, texts: Sequence[tuple[Paraphrased, str]], chat_template: bool
) -> Iterator[tuple[Prompt, str]]:
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        requests = [_request(lm, source, one.question, text, chat_template) for one, text in chunk]
        for request, prompt in zip(requests, lm.prompts(requests), strict=True):
            yield prompt, request.args[0]


def _request(lm: UQHFLM, source: Source, question: str, text: str, chat_template: bool) -> QuestionInstance:
    """lm_eval's request for a question in the given words."""
    task, document = source.task, source.document(question, text)
    render = lm.apply_chat_template if chat_template else None
    context = task.fewshot_context(
        document,
        num_fewshot=task.config.num_fewshot or 0,
        apply_chat_template=chat_template,
        chat_template=render,
        gen_prefix=task.doc_to_prefix(document),
    )
    return task.construct_requests(
        doc=document,
        ctx=context,
        metadata=(task.config.task, 0, 1),
        apply_chat_template=chat_template,
        chat_template=render,
    )


log = logging.getLogger(__name__)
# Puts questions as all tasks of the package do, and its data are in the package.
_DEFAULT_TASK = "uq_demo"


@dataclass(frozen=True)
class Source:
    """A data set: questions with paraphrases, and how they are put to the model.

    Attributes:
        name: The data set's name.
        file: The paraphrase file.
        questions: The file's questions that are used.
        task: The task whose prompt puts them.
        documents: The task's documents by question, single spaced; ``None`` where the file's questions are not the
            task's own.
    """

    name: str
    file: ParaphraseFile
    questions: tuple[Paraphrased, ...]
    task: UQTask
    documents: Mapping[str, dict[str, Any]] | None

    def document(self, question: str, text: str) -> dict[str, Any]:
        """The document that puts ``text`` in the place of ``question``."""
        own = self.task.eval_docs[0] if self.documents is None else self.documents[single_spaced(question)]
        return {**own, "question": text}


def read_sources(
    files: Sequence[str],
    tasks: Sequence[str] = (),
    metadata: Mapping[str, Any] | None = None,
    limit: int | None = None,
    include_path: str | None = None,
) -> list[Source]:
    """Reads paraphrase files, and checks them against their tasks.

    Args:
        files: Paths, or ``NAME=PATH``; without a name a file is called by its own name, and one that is called
            ``paraphrases`` by its folder's.
        tasks: For each file the task whose questions it has; none for the package's prompt without a check.
        metadata: lm_eval's ``--metadata`` for the tasks, such as ``data_files``.
        limit: Only the first so many questions of each file.
        include_path: A folder with further tasks.

    Raises:
        UQHarnessError: Two data sets have the same name, a file cannot be used, a task does not exist, or a file has
            other questions than its task.
    """
    named = [_named(file) for file in files]
    names = [name for name, _ in named]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UQHarnessError(f"two data sets are called {twice[0]!r}: name them, as in --paraphrases NAME=FILE")
    if tasks and len(tasks) != len(files):
        raise UQHarnessError(
            f"--tasks names {len(tasks)} task(s) for {len(files)} paraphrase file(s): name one for each, in their order"
        )
    read = [read_paraphrases(path) for _, path in named]
    loaded = _load(list(tasks) or [_DEFAULT_TASK], metadata, include_path)
    sources = []
    for number, (name, file) in enumerate(zip(names, read, strict=True)):
        task = loaded[tasks[number]] if tasks else loaded[_DEFAULT_TASK]
        questions = file.questions[:limit]
        if len(questions) < 2:
            raise UQHarnessError(f"{name}: the score compares questions, and {file.path} gives only {len(questions)}")
        documents = _checked_documents(file, task) if tasks else None
        sources.append(Source(name, file, questions, task, documents))
    return sources


def _named(file: str) -> tuple[str, Path]:
    name, equals, path = file.partition("=")
    if equals and not user_path(file, "paraphrase file").exists():
        if not name or any(mark in name for mark in "/\\"):
            raise UQHarnessError(f"--paraphrases {file}: the name {name!r} cannot be part of a file's name")
        return name, Path(path)
    path_ = user_path(file, "paraphrase file")
    return (path_.resolve().parent.name if path_.stem == "paraphrases" else path_.stem), path_


def _load(names: Sequence[str], metadata: Mapping[str, Any] | None, include_path: str | None) -> dict[str, UQTask]:
    from lm_eval.tasks import TaskManager

    register_tasks()
    manager = TaskManager(include_defaults=False, include_path=include_path, metadata=dict(metadata or {}) or None)
    found = {}
    for name in names:
        try:
            tasks = list(manager.load([name])["tasks"].values())
        except KeyError:
            raise UQHarnessError(
                f"task {name!r} is unknown: use {one_of(manager.all_subtasks)}, or the path of your own task's YAML"
            ) from None
        if len(tasks) != 1 or not isinstance(tasks[0], UQTask):
            raise UQHarnessError(f"{name!r} is not one uncertainty task: use {one_of(manager.all_subtasks)}")
        found[name] = tasks[0]
    return found


def _checked_documents(file: ParaphraseFile, task: UQTask) -> dict[str, dict[str, Any]]:
    """The task's documents by question.

    Raises:
        UQHarnessError: The file has a question that the task does not have.
    """
    documents = {single_spaced(document["question"]): document for document in task.eval_docs}
    foreign = [one.question for one in file.questions if single_spaced(one.question) not in documents]
    if foreign:
        raise UQHarnessError(
            f"{file.path}: {len(foreign)} of {len(file.questions)} questions are not {task.config.task}'s, the first "
            f"is {foreign[0]!r}: give the paraphrases of that task's questions, or another --tasks"
        )
    missing = len(documents) - len(file.questions)
    if missing:
        log.warning(
            "%s has paraphrases for %d of the %d questions of %s: the score is that of these",
            file.path,
            len(file.questions),
            len(documents),
            task.config.task,
        )
    return documents
