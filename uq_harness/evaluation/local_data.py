"""Data in files of the user's: JSON lines, CSV and Parquet, by split."""

from __future__ import annotations

import glob
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uq_harness.errors import UQHarnessError, one_of
from uq_harness.evaluation.columns import SHAPE
from uq_harness.files import read_json_lines, user_path

Rows = list[tuple[str, dict[str, Any]]]
FORMATS = ("json", "csv", "parquet")  # as lm_eval's dataset_path has them


@dataclass(frozen=True)
class LocalData:
    """Files of the user's, by split.

    Attributes:
        format: ``json``, ``csv`` or ``parquet``.
        files: The files of each split.
        options: For CSV, further arguments of ``pandas.read_csv``.
    """

    format: str
    files: Mapping[str, list[Path]]
    options: Mapping[str, Any] = field(default_factory=dict)

    def read(self, split: str) -> Rows:
        """The rows of a split, each with its place: file and line.

        Raises:
            UQHarnessError: A file cannot be read, or holds no row.
        """
        return [row for file in self.files[split] for row in _read(file, self.format, self.options)]


def of_task(dataset_path: str, dataset_kwargs: Mapping[str, Any], split: str, folder: str | None) -> LocalData | None:
    """What a task file names, where these are files that are read here; ``None`` where ``datasets`` reads them.

    Args:
        dataset_path: As in the task file: ``json``, ``csv`` or ``parquet`` for files.
        dataset_kwargs: As in the task file; ``data_files`` is a path, a list of them, or either by split.
        split: The split that files without one belong to.
        folder: The folder of the task file, which relative paths are taken from.

    Raises:
        UQHarnessError: A file does not exist, or ``data_files`` has another shape.
    """
    given = dataset_kwargs.get("data_files")
    others = {name: value for name, value in dataset_kwargs.items() if name != "data_files"}
    if dataset_path not in FORMATS or given is None or (others and dataset_path != "csv"):
        return None
    by_split = _by_split(given, split)
    if any("://" in name for names in by_split.values() for name in names):
        return None
    files = {key: [file for name in names for file in find(name, folder)] for key, names in by_split.items()}
    return LocalData(dataset_path, files, others)


def of_file(file: str, split: str) -> LocalData:
    """One file that ``--metadata`` names; its ending tells the format, JSON lines where it says nothing."""
    path = user_path(file, "data file")
    ending = path.suffix.lower()
    if ending == ".tsv":
        return LocalData("csv", {split: [path]}, {"sep": "\t"})
    return LocalData(ending[1:] if ending[1:] in FORMATS else "json", {split: [path]})


def found_files(dataset_kwargs: Mapping[str, Any], split: str, folder: str | None) -> dict[str, Any]:
    """The same arguments for ``datasets``, with local files as absolute paths."""
    if "data_files" not in dataset_kwargs:
        return dict(dataset_kwargs)
    given = dataset_kwargs["data_files"]
    by_split = {
        key: [str(file) for name in names for file in ([name] if "://" in name else find(name, folder))]
        for key, names in _by_split(given, split).items()
    }
    return {**dataset_kwargs, "data_files": by_split}


def find(name: str, folder: str | None) -> list[Path]:
    """The files that a path or a pattern means, seen from the task file's folder, then from the current one.

    Raises:
        UQHarnessError: There is none.
    """
    path = user_path(name, "data file")
    places = [Path(folder, path), path] if folder is not None else [path]
    for place in places:
        if place.exists():
            return [place]
        matches = sorted(glob.glob(str(place), recursive=True)) if glob.has_magic(str(place)) else []
        if matches:
            return [Path(match) for match in matches]
    looked = dict.fromkeys(str(place.absolute().parent) for place in places)
    raise UQHarnessError(
        f"data file {name!r} does not exist in {one_of(list(looked))}: a relative path is taken from the folder of the "
        f"task's YAML, or from the current one. It needs to be JSON lines, {SHAPE}, CSV or Parquet"
    )


def _by_split(given: Any, split: str) -> dict[str, list[str]]:
    by_split = given if isinstance(given, Mapping) else {split: given}
    named = {str(key): [value] if isinstance(value, str) else value for key, value in by_split.items()}
    if not named or not all(_are_paths(value) for value in named.values()):
        raise UQHarnessError(
            f"data_files is {given!r}: give a path, a list of paths, or either of them by split such as "
            "{validation: questions.jsonl, train: examples.jsonl}"
        )
    return named


def _are_paths(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) for one in value)


# ------------------------------------------------------------------ formats


def _read(file: Path, format_: str, options: Mapping[str, Any]) -> Rows:
    if not file.is_file():
        raise UQHarnessError(f"data file {str(file)!r} does not exist: it needs to be a JSON lines file, {SHAPE}")
    rows = _READERS[format_](file, options)
    if not rows:
        raise UQHarnessError(f"data file {str(file)!r} holds no question: it needs {SHAPE}")
    return rows


def _json(file: Path, _: Mapping[str, Any]) -> Rows:
    """JSON lines, or one JSON list of objects."""
    with file.open("rb") as content:
        first = content.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if first != b"[":
        return read_json_lines(file, "data file", SHAPE)
    try:
        rows = json.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError):
        return read_json_lines(file, "data file", SHAPE)  # names the line
    if not all(isinstance(row, dict) for row in rows):
        return read_json_lines(file, "data file", SHAPE)
    return _placed(file, rows)


def _csv(file: Path, options: Mapping[str, Any]) -> Rows:
    """Every cell as the text that it is: ``007`` stays so, and ``NA`` is no missing value."""
    import pandas

    if options.get("chunksize") or options.get("iterator"):
        raise UQHarnessError(
            f"data file {str(file)!r} is read as a whole: leave chunksize and iterator out of dataset_kwargs"
        )
    reading = {"encoding": "utf-8-sig", **options, "dtype": str, "keep_default_na": False, "index_col": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pandas.errors.ParserWarning)  # such as for cells that no column is there for
            rows = pandas.read_csv(file, **reading).fillna("").to_dict("records")
    except Exception as error:  # an odd argument makes pandas fail in any way
        raise UQHarnessError(
            f"data file {str(file)!r} cannot be read as CSV ({error}): a first line names the columns, and a cell with "
            'a comma is put in "quotes"; dataset_kwargs takes the arguments of pandas.read_csv, such as sep'
        ) from error
    return _placed(file, [{str(key): value for key, value in row.items()} for row in rows])


def _parquet(file: Path, _: Mapping[str, Any]) -> Rows:
    import pyarrow.parquet

    try:
        rows = pyarrow.parquet.read_table(file).to_pylist()
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise UQHarnessError(f"data file {str(file)!r} cannot be read as Parquet ({error})") from error
    return _placed(file, rows)


def _placed(file: Path, rows: list[dict[str, Any]]) -> Rows:
    return [(f"{file}, row {number}", row) for number, row in enumerate(rows, 1)]


_READERS: Mapping[str, Callable[[Path, Mapping[str, Any]], Rows]] = dict(
    zip(FORMATS, (_json, _csv, _parquet), strict=True)
)
