"""What an analysis finds, with the token that it recommends; the layout of its result file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from uq_harness import __version__
from uq_harness.engine.recommended_token import FORMAT, FORMAT_KEY
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import LayerSpan
from uq_harness.functional import FloatArray
from uq_harness.identity import ModelIdentity
from uq_harness.paraphrase import Dropped
from uq_harness.sps._positions import Position

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
        recommended: The token with the best mean score over SemGrad's layers, averaged over data sets.
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
            recommended=None,
            no_recommendation=None,
            max_paraphrases=max_paraphrases,
            example=example,
            version=__version__,
            date=datetime.now().astimezone().isoformat(timespec="seconds"),
        )
        means = bare.token_scores(bare.average)
        if means is None:
            first, last = bare.semgrad_layers[0], bare.semgrad_layers[-1]
            reason = f"SemGrad's layers, {first} to {last}, were not all measured"
        elif not np.isfinite(means).any():
            reason = "the score is undefined at every position"
        else:
            reason = None
        best = None if reason or means is None else bare.positions[int(np.nanargmax(means))].position
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
        return TokenChoice(position, self.positions[column].text, None if means is None else _plain(means[column]))

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
        """The result that a file holds."""
        model = dict(content["model"])
        blocks = model.pop("blocks")
        recommended = content["recommended"]
        return cls(
            model=ModelIdentity(**model),
            blocks=blocks,
            layers=tuple(content["layers"]),
            positions=tuple(Position(**position) for position in content["positions"]),
            data_sets=tuple(_data_set(name, one) for name, one in content["data_sets"].items()),
            template_choice=TokenChoice(**content["template_choice"]),
            recommended=recommended and TokenChoice(**recommended),
            no_recommendation=content["no_recommendation"],
            max_paraphrases=content["max_paraphrases"],
            example=content["example"],
            version=content["version"],
            date=content["date"],
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
        path = Path(file).expanduser()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UQHarnessError(f"SPS file {str(path)!r} cannot be read: {error}") from None
        if not isinstance(content, dict) or content.get(FORMAT_KEY) != FORMAT:
            raise UQHarnessError(
                f"SPS file {str(path)!r} is none that this version's `uq-harness sps` writes: give its {FILE}"
            )
        try:
            result = cls.from_json(content)
            shapes = {one.sps.shape for one in result.data_sets}
            if shapes != {(len(result.layers), len(result.positions))}:
                raise ValueError("the scores do not fit layers and positions")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UQHarnessError(
                f"SPS file {str(path)!r} is damaged ({type(error).__name__}: {error}): run `uq-harness sps` again"
            ) from error
        return result


def _data_set(name: str, content: dict[str, Any]) -> DataSetSps:
    plain = {field: content[field] for field in ("file", "task", "checked", "questions", "paraphrases", "seconds")}
    return DataSetSps(
        name=name,
        dropped=Dropped(**content["dropped"]),
        within=np.array(content["within"], dtype=np.float64),
        between=np.array(content["between"], dtype=np.float64),
        **plain,
    )


def _rows(scores: FloatArray) -> list[list[float | None]]:
    return [[_plain(score) for score in row] for row in scores]


def _plain(score: float) -> float | None:
    return float(score) if math.isfinite(score) else None
