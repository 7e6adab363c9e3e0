"""Where a task's documents come from: rows of its own files, or of a data set that ``datasets`` loads."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset, DatasetDict

from uq_harness.errors import UQHarnessError
from uq_harness.evaluation import local_data
from uq_harness.evaluation.columns import Columns

log = logging.getLogger(__name__)


@dataclass
class TaskData:
    """The documents of one task: its questions, and what worked examples are drawn from.

    Configurations are lm_eval's ``TaskConfig`` and ``FewshotConfig``.

    Attributes:
        task: The task's name.
        columns: Which columns are question and answers.
        file: The file that ``--metadata`` gives in place of the task's data.
        fewshot_file: The file that it gives for worked examples.
        folder: The folder of the task's file.
    """

    task: str
    columns: Columns
    file: str | None
    fewshot_file: str | None
    folder: str | None
    _ready: set[str] = field(default_factory=set)  # splits whose rows became documents when they were read
    _made: dict[str, Dataset] = field(default_factory=dict)  # documents of the questions, by split

    def is_local(self, config: Any) -> bool:
        """Whether the data are in files, which may change under the same name."""
        return config.dataset_path in local_data.FORMATS or self.fewshot_file is not None

    def arguments(self, config: Any) -> dict[str, Any]:
        """The arguments of ``datasets.load_dataset``, with the task's own files found."""
        return local_data.found_files(config.dataset_kwargs or {}, config.test_split, self.folder)

    def read(self, config: Any, fewshot: Any) -> DatasetDict | None:
        """Reads the task's files; ``None`` where ``datasets`` loads its data.

        Rows become documents here, where their places are known, unless a function of the task's comes first.

        Raises:
            UQHarnessError: A file or a row is not as it has to be, or no file belongs to the split of the questions.
        """
        asked, examples = config.test_split, fewshot.split
        if self.file is not None:
            local = local_data.of_file(self.file, asked)
        else:
            found = local_data.of_task(config.dataset_path, config.dataset_kwargs or {}, asked, self.folder)
            if found is None:
                return None
            local = found
        self.check_split("test_split", asked, local.files)
        unused = [split for split in local.files if split not in (asked, examples)]
        if unused:
            log.warning(
                "%s: the split %s of data_files is not used: questions are %s, worked examples %s. `fewshot_split: %s` "
                "draws worked examples from it",
                *(self.task, unused[0], asked, examples or "those of fewshot_config", unused[0]),
            )
        later = config.process_docs or fewshot.process_docs
        splits = {}
        for split in dict.fromkeys(split for split in (asked, examples) if split in local.files):
            rows = local.read(split)
            splits[split] = self._table([row for _, row in rows] if later else self.columns.documents(rows))
        self._ready = set() if later else set(splits)
        return DatasetDict(splits)

    def documents(self, split: str, rows: Dataset) -> Dataset:
        """The documents of a split of the questions.

        Raises:
            UQHarnessError: A row is not as it has to be, or the prompt names a column that is not there.
        """
        if split not in self._made:
            self._made[split] = rows if self._fit(split, rows) else self._table(self._numbered(split, rows))
        rows = self._made[split]
        if len(rows):
            self.columns.check_text(self.task, rows[0])
        return rows

    def examples(self, dataset: Mapping[str, Dataset], fewshot: Any) -> Iterable[dict[str, Any]]:
        """The documents that worked examples are drawn from.

        Raises:
            UQHarnessError: There are none, or a row is not as it has to be.
        """
        if self.fewshot_file is not None:
            return self.columns.documents(local_data.of_file(self.fewshot_file, "examples").read("examples"))
        if fewshot.samples is not None:
            samples = fewshot.samples
            return self._numbered("fewshot_config", samples() if callable(samples) else samples)
        self.check_split("fewshot_split", fewshot.split, dataset)
        rows = dataset[fewshot.split]
        if fewshot.process_docs is not None:
            rows = fewshot.process_docs(rows)
        fits = self._fit(fewshot.split, rows)
        found: Iterable[dict[str, Any]] = rows if fits else self._numbered(fewshot.split, rows)
        return found

    def check_split(self, key: str, split: str | None, there: Collection[str]) -> None:
        """Checks that a split is there.

        Args:
            key: The field of the task's file that names it.
            split: The split.
            there: Those that there are.

        Raises:
            UQHarnessError: It is not.
        """
        if split is None or split not in there:
            raise UQHarnessError(
                f"{self.task}: {key} is {split!r}, and the data have {', '.join(there)}: write {key}: and one of "
                "these, or name the split so in data_files"
            )

    def _fit(self, split: str, rows: Dataset) -> bool:
        return split in self._ready or self.columns.fit(rows)

    def _numbered(self, split: str, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        place = f"{self.task}, {split}, row"
        return self.columns.documents((f"{place} {i}", row) for i, row in enumerate(rows, 1))

    def _table(self, rows: list[dict[str, Any]]) -> Dataset:
        names = dict.fromkeys(name for row in rows for name in row)
        try:
            return Dataset.from_list([{name: row.get(name) for name in names} for row in rows])
        except (ValueError, TypeError, OverflowError) as error:  # pyarrow's own errors are among these
            raise UQHarnessError(
                f"{self.task}: a field holds values of several kinds, which no table can ({error}): give every row the "
                "same kind"
            ) from error
