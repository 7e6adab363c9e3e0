"""What an application loads: whether to give an answer, and how probably it is wrong. Standard library only."""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from uq_harness.errors import UQHarnessError
from uq_harness.files import user_path

if TYPE_CHECKING:
    from uq_harness.abstention.fit import Describes

FORMAT = "uq-harness abstention 1"
_FIX = "make the file with `uq-harness threshold`"


class Scored(Protocol):
    """An answer with one score a method, such as `ScoredAnswer`."""

    @property
    def uncertainty(self) -> Mapping[str, float]:
        """Method → score, higher meaning less certain; ``nan`` where it is undefined."""


Answered = Scored | Mapping[str, float | None] | float | None


@dataclass(frozen=True, repr=False)
class Abstainer:
    """Decides by an answer's uncertainty score whether to give it.

    Attributes:
        method: The uncertainty method whose scores it takes.
        threshold: Answers are given where the score is below it: ``inf`` wherever there is a score, ``-inf`` never.
        target: Highest error rate among given answers that it was made for.
        delta: Probability that the error rate is higher all the same.
        curve: Points of the map from score to probability of error, scores ascending.
        details: All that the file says.

    >>> abstainer = Abstainer("g_nll", threshold=0.5, target=0.1, delta=0.05, curve=((0.0, 0.0), (1.0, 0.4)))
    >>> abstainer.should_answer(0.2), abstainer.should_answer(0.5), abstainer.should_answer(float("nan"))
    (True, False, False)
    >>> abstainer.error_probability(0.25), abstainer.error_probability({"g_nll": 7.0})
    (0.1, 0.4)
    >>> abstainer
    Abstainer(g_nll < 0.5, target=0.1, delta=0.05)
    """

    method: str
    threshold: float
    target: float
    delta: float
    curve: tuple[tuple[float, float], ...] = ()
    details: Mapping[str, Any] | None = None

    @classmethod
    def load(cls, file: str | Path) -> Abstainer:
        """Reads the file that ``uq-harness threshold`` writes.

        Raises:
            UQHarnessError: The file does not exist, is another kind of file, or contradicts itself.
        """
        path = user_path(file, "policy")
        if path.exists() and not path.is_file():
            raise UQHarnessError(f"policy {str(path)!r} is not a file: {_FIX}")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UQHarnessError(f"{str(path)!r} cannot be read ({error.strerror}): {_FIX}") from None
        except (ValueError, RecursionError) as error:
            raise UQHarnessError(f"{str(path)!r} is not valid JSON ({error}): {_FIX}") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            found = content.get("format") if isinstance(content, dict) else type(content).__name__
            raise UQHarnessError(f"{str(path)!r} has the format {found!r} and not {FORMAT!r}: {_FIX}")
        try:
            return cls(
                method=content["method"],
                threshold=_threshold(content),
                target=content["target"],
                delta=content["delta"],
                curve=_curve(content["error_curve"]),
                details=content,
            )
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else error
            raise UQHarnessError(
                f"{str(path)!r} was changed by hand, and is not a policy now ({what}): {_FIX}"
            ) from None

    def __post_init__(self) -> None:
        """Finds what would make every decision wrong, or fail.

        Raises:
            UQHarnessError: A value is not allowed.
        """
        if not isinstance(self.method, str) or not self.method:
            raise UQHarnessError(f"method is {self.method!r}, but must be a name")
        if not _is_number(self.threshold) or math.isnan(self.threshold):
            raise UQHarnessError(f"threshold is {self.threshold!r}, but must be a number, inf or -inf")
        for name, value in (("target", self.target), ("delta", self.delta)):
            if not _is_number(value) or not 0 < value < 1:
                raise UQHarnessError(f"{name} is {value!r}, but must be between 0 and 1")
        if not all(_is_number(number) and math.isfinite(number) for point in self.curve for number in point):
            raise UQHarnessError("the curve holds what is not a number")
        if any(right[0] < left[0] for left, right in pairwise(self.curve)):
            raise UQHarnessError("the curve's scores do not ascend")
        if not all(0 <= probability <= 1 for _, probability in self.curve):
            raise UQHarnessError("the curve holds a probability that is not between 0 and 1")

    def should_answer(self, answer: Answered) -> bool:
        """Whether to give an answer; never one without a score.

        Args:
            answer: The answer, its ``uncertainty`` (method → score), or the score of this object's method; ``None``
                for one that is undefined.

        Raises:
            UQHarnessError: It is something else, or has no score of this method.
        """
        score = self._score(answer)
        return math.isfinite(score) and score < self.threshold

    def check(self, model: Describes) -> None:
        """Refuses a model whose answers or scores are not those of the run that this policy was made from.

        Compared are the model's weights and type, the method's options and auxiliary models, the seed where it draws
        samples, and how questions are put and answers end. Other versions of packages, and what cannot be compared, are
        a warning.

        Args:
            model: An `UncertaintyModel`.

        Raises:
            UQHarnessError: Something differs, and what; or this policy does not say what it was made from.
        """
        from uq_harness.abstention.fit import check_fit

        check_fit(self, model)

    def __repr__(self) -> str:
        if math.isinf(self.threshold):
            rule = f"{self.method}, {'all' if self.threshold > 0 else 'no'} answers"
        else:
            rule = f"{self.method} < {self.threshold:.4g}"
        return f"Abstainer({rule}, target={self.target:g}, delta={self.delta:g})"

    def error_probability(self, answer: Answered) -> float:
        """Probability that an answer is wrong, from 0 to 1; ``nan`` where its score is undefined.

        It is comparable between methods and models, as scores are not, and read from the run's curve of scores against
        wrong answers (isotonic regression).

        Args:
            answer: As for `should_answer`.

        Raises:
            UQHarnessError: As for `should_answer`.
        """
        score = self._score(answer)
        if math.isnan(score) or not self.curve:
            return math.nan
        right = bisect_right(self.curve, score, key=lambda point: point[0])
        if right in (0, len(self.curve)):
            return self.curve[max(right - 1, 0)][1]
        (x0, y0), (x1, y1) = self.curve[right - 1 : right + 1]
        return y0 + (y1 - y0) * (score - x0) / (x1 - x0)

    def _score(self, answer: Any) -> float:
        scores = getattr(answer, "uncertainty", answer)
        if isinstance(scores, Mapping):
            if self.method not in scores:
                known = ", ".join(map(str, scores)) or "none"
                raise UQHarnessError(
                    f"the answer has no score of {self.method}, which this policy needs: it has {known}; make the "
                    f"model with methods={self.method!r}"
                )
            scores = scores[self.method]
        return _score(scores)


def _threshold(content: Mapping[str, Any]) -> float:
    """The threshold as a number; the file says in words what JSON has no number for."""
    answer, threshold = content["answer"], content["threshold"]
    limits = {"all": math.inf, "none": -math.inf}
    if answer == "below":
        if not _is_number(threshold) or not math.isfinite(threshold):
            raise ValueError(f"answer is {answer!r}, and threshold is {threshold!r}, which is not a number")
        return float(threshold)
    if answer not in limits:
        raise ValueError(f"answer is {answer!r}")
    if threshold is not None:
        raise ValueError(f"answer is {answer!r}, but threshold is {threshold!r}")
    return limits[answer]


def _curve(curve: Mapping[str, Any]) -> tuple[tuple[float, float], ...]:
    return tuple(zip(curve["scores"], curve["probabilities"], strict=True))


def _is_number(value: object) -> bool:
    """Whether it is a number that floating point can hold, or an infinite one."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        float(value)
    except OverflowError:
        return False
    return True


def _score(uncertainty: Any) -> float:
    """An answer's score; ``nan`` without one.

    Raises:
        UQHarnessError: It is not a number: a verdict, or a text.
    """
    if uncertainty is None:
        return math.nan
    try:
        if isinstance(uncertainty, bool | str):
            raise TypeError
        return float(uncertainty)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf if uncertainty > 0 else -math.inf
    except (TypeError, ValueError):
        raise UQHarnessError(
            f"{uncertainty!r:.200} is no answer: give an answer of UncertaintyModel, its uncertainty, or the score, a "
            "number or None"
        ) from None
