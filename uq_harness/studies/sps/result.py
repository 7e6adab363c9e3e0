"""What an analysis finds, with the token that it recommends; the layout of its result file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness import __version__
from uq_harness.answering.identity import ModelIdentity
from uq_harness.answering.recommended_token import (
    FORMAT,
    FORMAT_KEY,
    identity_of,
    is_current,
    of_type,
    parse,
    position_of,
)
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import LayerSpan
from uq_harness.files import plain, user_path
from uq_harness.functional import FloatArray
from uq_harness.studies.paraphrase.file import Dropped
from uq_harness.studies.sps.prompts import Position

FILE = "sps.json"


@dataclass(frozen=True)
class TokenChoice:
    """A choice of the semantic-preserving token.

    Attributes:
        position: Counted from the prompt's end.
        text: The token that most prompts have there; ``None`` where the position was not looked at.
        sps: The mean score over SemGrad's layers, averaged over data sets; ``None`` where it was not measured.
    """

    position: int
    text: str | None
    sps: float | None


@dataclass(frozen=True)
class DataSetSps:
    """The scores on one data set; arrays are ``[layers, positions]``.

    Attributes:
        name: The data set's name.
        file: Its paraphrase file.
        task: The task whose prompt put the questions.
        checked: Whether the questions were compared with the task's.
        questions: Number of questions.
        paraphrases: Number of their paraphrases, all together.
        dropped: What the whole file held that counts for nothing.
        seconds: Time that the forward passes took.
        within: Mean cosine between the wordings of a question, mean over questions.
        between: Mean cosine between different questions.
    """

    name: str
    file: str
    task: str
    checked: bool
    questions: int
    paraphrases: int
    dropped: Dropped
    seconds: float
    within: FloatArray
    between: FloatArray

    @property
    def sps(self) -> FloatArray:
        """The Semantic Preservation Score."""
        return self.within - self.between


@dataclass(frozen=True)
class SpsResult:
    """The Semantic Preservation Score of a model's states.

    Attributes:
        model: The model; its template is ``None`` where the prompts did not go through one.
        blocks: Number of transformer blocks.
        layers: The rows: ``l`` is the state entering block ``l``, the number of blocks what leaves the last one.
        positions: The columns.
        data_sets: The scores.
        template_choice: The token that ``sp_token=auto`` takes.
        candidates: How many of the last positions are the user's last token and what the template puts behind it. No
            position before these has seen the whole question.
        recommended: The candidate with the best mean score over SemGrad's layers, averaged over data sets.
        no_recommendation: Why there is none, if so.
        max_paraphrases: How many paraphrases of a question were read at most.
        example: The first prompt.
        version: Version of this package.
        date: When it was measured.
    """

    model: ModelIdentity
    blocks: int
    layers: tuple[int, ...]
    positions: tuple[Position, ...]
    data_sets: tuple[DataSetSps, ...]
    template_choice: TokenChoice
    candidates: int
    recommended: TokenChoice | None
    no_recommendation: str | None
    max_paraphrases: int
    example: str
    version: str
    date: str

    @classmethod
    def of(
        cls,
        model: ModelIdentity,
        *,
        through_template: bool,
        blocks: int,
        layers: Sequence[int],
        positions: Sequence[Position],
        data_sets: Sequence[DataSetSps],
        template_choice: int,
        candidates: int,
        max_paraphrases: int,
        example: str,
    ) -> SpsResult:
        """Puts measured scores together and finds the recommended token."""
        bare = cls(
            model=model if through_template else replace(model, template=None),
            blocks=blocks,
            layers=tuple(layers),
            positions=tuple(positions),
            data_sets=tuple(data_sets),
            template_choice=TokenChoice(template_choice, None, None),
            candidates=candidates,
            recommended=None,
            no_recommendation=None,
            max_paraphrases=max_paraphrases,
            example=example,
            version=__version__,
            date=datetime.now().astimezone().isoformat(timespec="seconds"),
        )
        means = bare.token_scores(bare.average)
        if means is not None:
            means = means[-candidates:]
        if means is None:
            first, last = bare.semgrad_layers[0], bare.semgrad_layers[-1]
            reason = f"SemGrad's layers, {first} to {last}, were not all measured"
        elif not np.isfinite(means).any():
            reason = "the score is undefined at every position that has seen the whole question"
        else:
            reason = None
        best = None if reason or means is None else bare.positions[-candidates:][int(np.nanargmax(means))].position
        return replace(
            bare,
            template_choice=bare.choice(template_choice),
            recommended=None if best is None else bare.choice(best),
            no_recommendation=reason,
        )

    @cached_property
    def average(self) -> FloatArray:
        """The score averaged over data sets, each counting alike, ``[layers, positions]``."""
        mean: FloatArray = np.mean([one.sps for one in self.data_sets], axis=0)
        return mean

    @property
    def semgrad_layers(self) -> range:
        """The layers whose gradients SemGrad takes by default."""
        return LayerSpan("top_half").resolve(self.blocks)

    @property
    def embedding_scores(self) -> FloatArray | None:
        """The average score of the embedding, which knows one token and no context; ``None`` where not measured."""
        return self.average[self.layers.index(0)] if 0 in self.layers else None

    def token_scores(self, scores: FloatArray) -> FloatArray | None:
        """The mean of scores over SemGrad's layers, one a position; ``None`` where a layer was not measured.

        Args:
            scores: ``[layers, positions]``.
        """
        if not set(self.semgrad_layers) <= set(self.layers):
            return None
        mean: FloatArray = scores[[self.layers.index(layer) for layer in self.semgrad_layers]].mean(0)
        return mean

    def choice(self, position: int) -> TokenChoice:
        """A position with its token and average score, as far as they are known."""
        column = len(self.positions) + position
        if column < 0:
            return TokenChoice(position, None, None)
        means = self.token_scores(self.average)
        return TokenChoice(
            position, self.positions[column].text, None if means is None else plain(float(means[column]))
        )

    def to_json(self) -> dict[str, Any]:
        """The content of the result file; undefined scores are ``None``."""
        return {
            FORMAT_KEY: FORMAT,
            "version": self.version,
            "date": self.date,
            "model": asdict(self.model) | {"blocks": self.blocks},
            "recommended": self.recommended and asdict(self.recommended),
            "no_recommendation": self.no_recommendation,
            "template_choice": asdict(self.template_choice),
            "candidates": self.candidates,
            "semgrad_layers": list(self.semgrad_layers),
            "layers": list(self.layers),
            "positions": [asdict(position) for position in self.positions],
            "max_paraphrases": self.max_paraphrases,
            "average": {"sps": _rows(self.average)},
            "data_sets": {
                one.name: {
                    "file": one.file,
                    "task": one.task,
                    "checked": one.checked,
                    "questions": one.questions,
                    "paraphrases": one.paraphrases,
                    "dropped": asdict(one.dropped),
                    "seconds": one.seconds,
                    "sps": _rows(one.sps),
                    "within": _rows(one.within),
                    "between": _rows(one.between),
                }
                for one in self.data_sets
            },
            "example": self.example,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SpsResult:
        """The result that a file holds.

        Raises:
            KeyError: Something is missing.
            TypeError: Something is not a list or object that should be one.
            ValueError: Something has a value that no result has.
        """
        model = content["model"]
        blocks = _count(model["blocks"], "blocks")
        layers = tuple(_count(layer, "layer", at_least=0) for layer in content["layers"])
        positions = tuple(_position(position) for position in content["positions"])
        if [one.position for one in positions] != list(range(-len(positions), 0)):
            raise ValueError("the positions are not counted from the prompt's end")
        if any(layer > blocks for layer in layers):
            raise ValueError(f"there are layers beyond the model's {blocks} blocks")
        shape = (len(layers), len(positions))
        recommended = content["recommended"]
        return cls(
            model=identity_of(model),
            blocks=blocks,
            layers=layers,
            positions=positions,
            data_sets=tuple(_data_set(name, one, shape) for name, one in content["data_sets"].items()),
            template_choice=_choice(content["template_choice"]),
            candidates=_count(content["candidates"], "candidates"),
            recommended=None if recommended is None else _choice(recommended),
            no_recommendation=of_type(content["no_recommendation"], "no_recommendation", str, type(None)),
            max_paraphrases=_count(content["max_paraphrases"], "max_paraphrases"),
            example=of_type(content["example"], "example", str),
            version=of_type(content["version"], "version", str),
            date=of_type(content["date"], "date", str),
        )

    def write(self, folder: Path) -> Path:
        """Writes the result file into a folder, which is made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / FILE
        text = json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False, indent=1)
        file.write_text(text + "\n", encoding="utf-8")
        return file

    @classmethod
    def read(cls, file: str | Path) -> SpsResult:
        """Reads a result file.

        Raises:
            UQHarnessError: It cannot be read, is none, or is damaged.
        """
        path = user_path(file, "SPS file")
        try:
            content = parse(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UQHarnessError(f"SPS file {str(path)!r} cannot be read: {error}") from None
        if not is_current(content):
            raise UQHarnessError(
                f"SPS file {str(path)!r} is none that this version's `uq-harness sps` writes: give its {FILE}"
            )
        try:
            result = cls.from_json(content)
            if not (result.data_sets and result.layers and result.positions):
                raise ValueError("it holds no scores")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UQHarnessError(
                f"SPS file {str(path)!r} is damaged ({type(error).__name__}: {error}): run `uq-harness sps` again"
            ) from error
        return result


def _count(value: Any, name: str, at_least: int = 1) -> int:
    number: int = of_type(value, name, int)
    if number < at_least:
        raise ValueError(f"{name} is {number}")
    return number


def _position(content: dict[str, Any]) -> Position:
    return Position(
        position=of_type(content["position"], "position", int),
        text=of_type(content["text"], "text", str),
        share=float(of_type(content["share"], "share", float, int)),
    )


def _choice(content: dict[str, Any]) -> TokenChoice:
    return TokenChoice(
        position_of(content),
        of_type(content["text"], "text", str, type(None)),
        of_type(content["sps"], "sps", float, int, type(None)),
    )


def _data_set(name: str, content: dict[str, Any], shape: tuple[int, int]) -> DataSetSps:
    dropped = {field.name: _count(content["dropped"][field.name], field.name, at_least=0) for field in fields(Dropped)}
    return DataSetSps(
        name=name,
        file=of_type(content["file"], "file", str),
        task=of_type(content["task"], "task", str),
        checked=of_type(content["checked"], "checked", bool),
        questions=_count(content["questions"], "questions"),
        paraphrases=_count(content["paraphrases"], "paraphrases"),
        dropped=Dropped(**dropped),
        seconds=float(of_type(content["seconds"], "seconds", float, int)),
        within=_scores(content["within"], "within", shape),
        between=_scores(content["between"], "between", shape),
    )


def _scores(rows: Any, name: str, shape: tuple[int, int]) -> FloatArray:
    values = [[of_type(value, name, float, int, type(None)) for value in row] for row in rows]
    if (len(values), *{len(row) for row in values}) != shape:
        raise ValueError(f"{name} does not fit layers and positions")
    return np.array(values, dtype=np.float64)


def _rows(scores: FloatArray) -> list[list[float | None]]:
    values: list[list[float | None]] = plain(scores.tolist())
    return values
