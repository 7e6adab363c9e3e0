"""Diverse beam search by an engine that only decodes greedily.

A group's greedy continuation holds up to the token where the penalty for what earlier groups used lets another win;
from there the engine is asked again. The sequences, their order and the precision of their scores are those of
`uq_harness.backends.transformers.beams`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from uq_harness.backends.served.engine import Steps
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import DiverseBeams
from uq_harness.evidence.prompt import StopCriteria

_WHOLE_MASS = 0.999  # what fewer tokens than were asked for must add to, to be all that there are


def candidates(search: DiverseBeams, n_ends: int) -> int:
    """Number of likeliest tokens that decide a step.

    At most ``groups - 1`` tokens are penalised, and one is needed that is no end token.

    Args:
        search: The search.
        n_ends: Number of end tokens.
    """
    return max(2, 1 + n_ends) + search.groups - 1


def diverse_beams(
    search: DiverseBeams, go_on: Callable[[Sequence[int]], Steps[TokenReply]], stop: StopCriteria, pad_id: int
) -> Steps[list[Choice]]:
    """The answers of a search, best first.

    Args:
        search: The search.
        go_on: Asks for the greedy continuation of an answer that begins with some tokens, with the likeliest tokens.
        stop: How answers end.
        pad_id: The token that a group that has ended counts as using.

    Raises:
        QuestionRefusedError: The engine refuses a request, or writes nothing.
        UQHarnessError: The engine tells fewer of the likeliest tokens than decide a step.
    """
    known = _Beginning()
    groups: list[_Group] = []
    for _ in range(search.groups):
        group = _Group(search, groups, stop, pad_id)
        place = known
        while not group.over:
            if place.likeliest is None:
                reply = yield from go_on(group.tokens)
                place.learn(reply.choices[0])
            place = place.after.setdefault(group.take(place.likeliest or {}), _Beginning())
        groups.append(group)
    order = sorted(range(len(groups)), key=lambda number: (-groups[number].score, -number))
    return [groups[number].choice() for number in order]


@dataclass
class _Beginning:
    """What the engine has said about the token that follows some tokens; ``None`` where it was not asked."""

    likeliest: Mapping[int, float] | None = None
    after: dict[int, _Beginning] = field(default_factory=dict)

    def learn(self, choice: Choice) -> None:
        """Takes note of a continuation and the likeliest tokens at each of its steps."""
        if not choice.token_ids:
            raise QuestionRefusedError("the engine writes nothing where an answer could go on")
        if len(choice.top) != len(choice.token_ids):
            raise UQHarnessError("the engine tells no likeliest tokens beside those it writes: it cannot be used")
        place = self
        for token, likeliest in zip(choice.token_ids, choice.top, strict=True):
            place.likeliest = likeliest
            place = place.after.setdefault(token, _Beginning())


class _Group:
    """One group's sequence so far."""

    def __init__(self, search: DiverseBeams, earlier: Sequence[_Group], stop: StopCriteria, pad_id: int) -> None:
        self._earlier, self._stop, self._pad = tuple(earlier), stop, pad_id
        self._penalty, self._candidates = np.float32(search.penalty), candidates(search, len(stop.end_ids))
        self._logprobs: list[float] = []
        self._used: list[int] = []
        self._total = np.float32(0)
        self.tokens: list[int] = []
        self._ended = False

    @property
    def over(self) -> bool:
        """Whether the sequence has come to its end."""
        return self._ended or len(self.tokens) == self._stop.max_new_tokens

    @property
    def score(self) -> float:
        """The mean of the penalised log-probabilities."""
        return float(self._total) / len(self.tokens)

    def take(self, likeliest: Mapping[int, float]) -> int:
        """Adds the token that is likeliest under the penalty; ends where the engine does not know which that is."""
        best = sorted(likeliest.items(), key=lambda one: -one[1])[: self._candidates]
        ids: list[int] = [token for token, _ in best]
        logprobs = np.array([value for _, value in best], dtype=np.float32)
        self._check(logprobs)
        step = len(self.tokens)
        taken = [group.used(step) for group in self._earlier]
        times = np.array([taken.count(token) for token in ids], dtype=np.float32)
        # in float32 and with the sum so far, as transformers ranks them: ties are decided there
        totals = (logprobs - self._penalty * times) + self._total
        order = np.argsort(-totals, kind="stable")
        token, self._total = int(ids[order[0]]), np.float32(totals[order[0]])
        ends = self._stop.end_ids
        self._used.append(next((ids[place] for place in order if ids[place] not in ends), token))
        self.tokens.append(token)
        unknown = bool(np.isnan(logprobs).any())
        self._logprobs.append(float("nan") if unknown else float(likeliest[token]))
        stops = self._stop.stops
        self._ended = unknown or token in ends or (stops is not None and stops(self.tokens))
        return token

    def used(self, step: int) -> int:
        """The token that the group counts as having used at a step; the padding token behind its end."""
        return self._used[step] if step < len(self._used) else self._pad

    def choice(self) -> Choice:
        """The sequence."""
        return Choice(tuple(self.tokens), np.array(self._logprobs), ended=self._ended)

    def _check(self, logprobs: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
        if len(logprobs) < self._candidates and not np.exp(logprobs).sum() > _WHOLE_MASS:
            raise UQHarnessError(
                f"the engine tells {len(logprobs)} of the {self._candidates} likeliest tokens that were asked for: let "
                "it tell as many (vLLM: --max-logprobs), or leave out what needs diverse beams (semantic_density)"
            )
