"""What a backend finds out about one question: the greedy answer, and a value for each need."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from uq_harness.evidence import needs
from uq_harness.evidence.answers import Answer
from uq_harness.evidence.cost import ByReaders, by_need
from uq_harness.evidence.needs import Need

T = TypeVar("T")


# Attributes of earlier releases, for methods of other packages: a mapping for each kind of need.
_EARLIER: dict[str, tuple[type[Need[Any]], ...]] = {
    "head_gradients": (needs.HeadGradient,),
    "state_gradients": (needs.StateGradient,),
    "state_gradient_maps": (needs.StateGradientMap,),
    "continuations": (needs.ContinuationLogProb,),
    "samples": (needs.Samples, needs.DiverseBeams),
    "states": (needs.SampleStates,),
    "entailment": (needs.PairwiseEntailment, needs.AnswerEntailment),
    "similarity": (needs.PairwiseSimilarity,),
    "relevance": (needs.TokenRelevance,),
    "rescored": (needs.RescoredLogProb,),
    "conditionals": (needs.AnswersGivenAnswers,),
}


@dataclass(frozen=True)
class Evidence:
    """All that was gathered about one question: ``evidence[need]`` is the value of a need.

    Attributes:
        question: The bare question, without the chat prompt around it.
        answer: The greedy answer.
        values: The value of each need that was gathered. What the answer and the samples hold themselves, such as their
            log-probabilities, is read from there.
        undefined: Needs without a meaningful value for this question, such as samples drawn while the model gave NaNs:
            what reads them is undefined.
        semantic_token: Position of the prompt's semantic-preserving token from its end, ``-1`` for the last token.
        semantic_text: That token's text; ``None`` where there is no such token.
        prompt_ids: The prompt's tokens as they were answered; ``None`` where the backend has none.
        message: The user's message that put the question; likewise.
        refused: Why the backend gave no answer to the question; ``None`` where it did. The answer is empty then.
        cost: This question's share of its batch's seconds by stage (``decode_seconds``, …), and counts of the work.
        seconds: The same seconds by all the needs that read what was done, as far as the backend knows; those of the
            greedy answer are not among them.
        pairs: Pairs of texts that went through auxiliary models, by all the needs that read them.

    >>> import numpy as np
    >>> answer = Answer("Paris", (5, 2), np.array([-0.5, -0.25]), None, complete=True)
    >>> Evidence("Which city?", answer)[needs.AnswerLogProbs()]
    array([-0.5 , -0.25])
    """

    question: str
    answer: Answer
    values: Mapping[Need[Any], Any] = field(default_factory=dict)
    undefined: frozenset[Need[Any]] = frozenset()
    semantic_token: int = -1
    semantic_text: str | None = None
    prompt_ids: tuple[int, ...] | None = None
    message: str | None = None
    refused: str | None = None
    cost: Mapping[str, float] = field(default_factory=dict)
    seconds: ByReaders = field(default_factory=dict)
    pairs: ByReaders = field(default_factory=dict)

    def __getitem__(self, need: Need[T]) -> T:
        """The value of a need.

        Raises:
            KeyError: It was not gathered, since no method declares it.
        """
        try:
            return need.read(self)
        except KeyError:
            raise KeyError(f"{need} was not gathered: a method gets what its needs() declares") from None

    def plus(
        self,
        values: Iterable[tuple[Need[Any], Any]],
        cost: Mapping[str, float],
        seconds: ByReaders | None = None,
        pairs: ByReaders | None = None,
    ) -> Evidence:
        """The same evidence with further needs and their values, and what they cost."""
        return replace(
            self,
            values={**self.values, **dict(values)},
            cost={**self.cost, **cost},
            seconds={**self.seconds, **(seconds or {})},
            pairs={**self.pairs, **(pairs or {})},
        )

    @property
    def recorded_cost(self) -> dict[str, float]:
        """The cost as records have it: with the seconds of what each need reads."""
        return {**self.cost, **by_need(self.seconds)}

    def defines(self, declared: Iterable[Need[Any]]) -> bool:
        """Whether every one of the declared needs has a meaningful value, and so has the sample set it is about."""
        return not any(need in self.undefined or need.sample_set in self.undefined for need in declared)

    def __getattr__(self, name: str) -> Any:
        """The mappings of earlier releases, such as ``samples``, each from needs to values.

        Raises:
            AttributeError: There is no such attribute.
        """
        if name not in _EARLIER:
            raise AttributeError(f"Evidence has no attribute {name!r}: evidence[need] is the value of a need")
        warnings.warn(
            f"evidence.{name}[need] becomes evidence[need]; the next release drops it", DeprecationWarning, stacklevel=2
        )
        return {need: value for need, value in self.values.items() if isinstance(need, _EARLIER[name])}
