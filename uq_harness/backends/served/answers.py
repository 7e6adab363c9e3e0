"""What an engine wrote, read as an answer: from its tokens, never from its text, which stop strings have cut."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from uq_harness.backends.served.requests import Choice
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Alternatives, Answer, Sample
from uq_harness.evidence.prompt import StopCriteria
from uq_harness.functional import FloatArray
from uq_harness.functional.statistics import DistributionSums

_ROUNDING = 1e-3  # by which a log-probability may be above 0


@dataclass(frozen=True)
class Written:
    """An answer of an engine.

    Attributes:
        text: What lm_eval sees of it.
        token_ids: The tokens that make it up.
        logprobs: Their log-probabilities in nats, ``nan`` where the engine does not tell one, shape ``[tokens]``.
        complete: Whether it ended by itself.
        emitted_ids: All its tokens, where they are more than those that make it up.
        top: For each of the tokens that make it up the likeliest tokens with their log-probabilities, best first; none
            where they were not asked for.
    """

    text: str
    token_ids: tuple[int, ...]
    logprobs: FloatArray
    complete: bool
    emitted_ids: tuple[int, ...] | None
    top: tuple[tuple[tuple[int, float], ...], ...] = ()

    @classmethod
    def read(cls, choice: Choice, stop: StopCriteria) -> Written:
        """Reads an answer as other backends read theirs.

        An engine may write on behind an end token or a stop string that it does not heed; what is behind it is dropped.

        Raises:
            UQHarnessError: Tokens and log-probabilities do not belong together.
        """
        values = log_probabilities(choice.logprobs, len(choice.token_ids))
        end = next((i for i, token in enumerate(choice.token_ids, 1) if token in stop.end_ids), None)
        length, stopped = length_to_stop(choice.token_ids[:end], stop)
        emitted = choice.token_ids[:length]
        text, counted = stop.read(list(emitted))
        return cls(
            text=text,
            token_ids=emitted[counted.start : counted.stop],
            logprobs=values[counted.start : counted.stop],
            complete=choice.ended or stopped or not stop.end_ids.isdisjoint(emitted[-1:]),
            emitted_ids=emitted if len(counted) < len(emitted) else None,
            top=tuple(
                tuple(sorted(one.items(), key=lambda told: -told[1]))
                for one in choice.top[counted.start : counted.stop]
            ),
        )

    @property
    def undefined(self) -> bool:
        """Whether the engine did not tell a log-probability of the answer."""
        return bool(np.isnan(self.logprobs).any())

    def sums(self) -> DistributionSums:
        """What the likeliest tokens tell of the distributions; as many as are known at every token.

        Raises:
            UQHarnessError: At a token they are not told at all.
        """
        _, best = self._likeliest()
        return DistributionSums(chosen=self.logprobs, likeliest=best)

    def alternatives(self, count: int) -> Alternatives | None:
        """The likeliest tokens at each of the answer's; ``None`` where fewer than ``count`` are known at one of them.

        Raises:
            UQHarnessError: At a token they are not told at all.
        """
        ids, best = self._likeliest()
        if not len(ids):
            return Alternatives(np.empty((0, count), dtype=np.int64), np.empty((0, count)))
        if ids.shape[1] < count:
            return None
        return Alternatives.of(self.token_ids, self.logprobs, ids, best, count)

    def _likeliest(self) -> tuple[NDArray[np.int64], FloatArray]:
        """Ids and log-probabilities of the likeliest tokens, as many as are known at every token, best first."""
        if len(self.top) != len(self.token_ids):
            raise UQHarnessError("the engine tells no likeliest tokens at a token that it wrote: it cannot be used")
        count = min(map(len, self.top), default=0)
        told = np.array([one[:count] for one in self.top], dtype=np.float64).reshape(len(self.top), count, 2)
        return told[..., 0].astype(np.int64), np.minimum(told[..., 1], 0.0)

    def answer(self, known: bool) -> Answer:
        """As greedy answer; ``known`` says whether the engine tells log-probabilities."""
        logprobs = self.logprobs if known else None
        return Answer(self.text, self.token_ids, logprobs, None, self.complete, self.emitted_ids)

    def sample(self, known: bool, lawful: bool) -> Sample:
        """As sampled answer.

        Args:
            known: Whether its log-probabilities are the model's own.
            lawful: Whether they also have to serve as those of the law that it was drawn from, which is the model's
                own.
        """
        logprobs = self.logprobs if known else None
        return Sample(
            text=self.text,
            token_ids=self.token_ids,
            logprobs=logprobs,
            complete=self.complete,
            sampled_logprobs=logprobs if lawful else None,
            emitted_ids=self.emitted_ids,
        )


def length_to_stop(tokens: tuple[int, ...], stop: StopCriteria) -> tuple[int, bool]:
    """Number of tokens up to the one that completes a stop string, and whether there is one."""
    stops = stop.stops
    if stops is None or not stops(list(tokens)):
        return len(tokens), False
    return bisect_left(range(len(tokens) + 1), True, key=lambda count: count > 0 and stops(list(tokens[:count]))), True


def log_probabilities(values: ArrayLike, count: int) -> FloatArray:
    """An engine's log-probabilities, ``[count]``, in nats; rounding above 0 is cut off.

    Raises:
        UQHarnessError: There are more or fewer of them than tokens, or one is no logarithm of a probability.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.shape != (count,):
        raise UQHarnessError(f"the engine gives {found.size} log-probabilities for {count} tokens: it cannot be used")
    if (found > _ROUNDING).any():
        raise UQHarnessError(f"the engine gives {found.max():g} as a log-probability: it cannot be used")
    return np.minimum(found, 0.0)
