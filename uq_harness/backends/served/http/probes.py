"""Finds out by a few tiny requests what a server gives, and whether its values are the model's own.

Servers ignore fields that they do not know and reply with status 200, so only what comes back counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from uq_harness.backends.served.engine import Ability
from uq_harness.backends.served.http.dialect import UnexpectedReplyError
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest
from uq_harness.backends.served.rescoring import LIKELIEST
from uq_harness.backends.served.sampling import SEEDS
from uq_harness.endpoints.first_token import NOISE, first_token

T = TypeVar("T")
Ask = Callable[[TokenRequest], TokenReply]

# Numbers of alternatives to try; 20 is what vLLM gives by default.
_ALTERNATIVES = (20, 10, 5, 2, 1)
_HOT = 2.0  # the highest temperature that servers allow
# Nats: the value of one drawn token that is less than this moves by more than the noise when the temperature is high
# and all but two tokens are cut off; the value of a likelier one may stay where it is.
_TELLING = -1.0
_SAMPLES = 4
_SEED = SEEDS - 2 * _SAMPLES  # as large as those of samples are: a server may take smaller ones only
_TOKENS = 8


@dataclass(frozen=True)
class Findings:
    """What a server was found to give.

    Attributes:
        most_alternatives: How many likeliest tokens it tells at most.
        lacking: For each ability that it does not have, what was found, in words.
        first_token: The first token that it writes, by which it is known again.
    """

    most_alternatives: int
    lacking: Mapping[Ability, str] = field(default_factory=dict)
    first_token: Mapping[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """The findings as JSON values."""
        lacking = {ability.name: why for ability, why in self.lacking.items()}
        return {"most_alternatives": self.most_alternatives, "lacking": lacking, "first_token": dict(self.first_token)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Findings:
        """The findings again."""
        lacking = {Ability[name]: why for name, why in plain["lacking"].items()}
        return cls(plain["most_alternatives"], lacking, plain["first_token"])


def probe(ask: Ask, prompt: Sequence[int], alternatives: int = 0) -> Findings:
    """Asks a server five times or so, for a few tokens each.

    Args:
        ask: Sends a request.
        prompt: The tokens of any text that the model may go on from.
        alternatives: How many likeliest tokens will be needed; that many are tried too.

    Raises:
        QuestionRefusedError: The server does not take prompts as tokens.
        UnexpectedReplyError: It does not tell the tokens that it writes.
    """
    ids = tuple(prompt)
    greedy, most = _greedy(ask, ids, alternatives)
    lacking: dict[Ability, str] = {}
    if not most:
        lacking[Ability.ALTERNATIVES] = "the server tells no likeliest tokens beside the one it wrote"
    if math.isnan(greedy.logprobs[0]):
        lacking[Ability.LOGPROBS] = "the server gives no log-probabilities"
    beside = min(most, LIKELIEST)
    forced, refusal = _unless_refused(lambda: _forced(ask, (*ids, greedy.token_ids[0]), beside))
    if forced is None or forced.forced is None:
        lacking[Ability.FORCED] = f"the server gives no log-probabilities of given tokens ({refusal})"
    elif not abs(forced.forced[-1] - greedy.logprobs[0]) <= NOISE and Ability.LOGPROBS not in lacking:
        lacking[Ability.FORCED] = (
            f"the server gives {forced.forced[-1]:.3f} for a given token and {greedy.logprobs[0]:.3f} for the same one "
            "when it writes it"
        )
    if Ability.FORCED in lacking or forced is None:
        lacking[Ability.FORCED_ALTERNATIVES] = lacking[Ability.FORCED]
    else:
        lacking |= _beside_given(greedy, forced, beside)
    lacking |= _law(ask, ids, greedy, most, Ability.FORCED not in lacking)
    lacking |= _seeds(ask, ids)
    known_by = first_token(greedy.token_ids[0], float(greedy.logprobs[0]), greedy.top[0] if greedy.top else {})
    return Findings(most, {ability: lacking[ability] for ability in Ability if ability in lacking}, known_by)


def _greedy(ask: Ask, ids: tuple[int, ...], alternatives: int) -> tuple[Choice, int]:
    """The first token of a greedy answer, and how many likeliest tokens there are beside it."""
    for most in sorted({*_ALTERNATIVES, max(1, alternatives)}, reverse=True):
        reply, _ = _unless_refused(partial(ask, TokenRequest(ids, max_tokens=1, top=most)))
        if reply is not None and reply.choices[0].token_ids:
            choice = reply.choices[0]
            return choice, min(most, len(choice.top[0])) if choice.top else 0
    reply = ask(TokenRequest(ids, max_tokens=1))
    if not reply.choices[0].token_ids:
        raise UnexpectedReplyError("an answer of one token has none")
    return reply.choices[0], 0


def _forced(ask: Ask, ids: tuple[int, ...], most: int) -> TokenReply:
    reply = ask(TokenRequest(ids, max_tokens=0, forced=2, forced_top=most))
    if reply.forced is None or np.isnan(reply.forced).any():
        raise UnexpectedReplyError("the values are not there")
    return reply


def _beside_given(greedy: Choice, forced: TokenReply, beside: int) -> dict[Ability, str]:
    """Whether the likeliest tokens beside the last given one are those beside the same token when it is written."""
    if not beside or len(forced.forced_top[-1]) < beside:
        return {Ability.FORCED_ALTERNATIVES: "the server tells no likeliest tokens beside given ones"}
    written, given = list(greedy.top[0].values())[:2], forced.forced_top[-1][:2].tolist()
    if np.allclose(written[: len(given)], given[: len(written)], rtol=0, atol=NOISE):
        return {}
    return {
        Ability.FORCED_ALTERNATIVES: f"the server's likeliest tokens beside a given token have {_values(given)}, and "
        f"{_values(written)} beside the same one when it writes it"
    }


def _law(ask: Ask, ids: tuple[int, ...], greedy: Choice, most: int, forced: bool) -> dict[Ability, str]:
    """Whether values stay those of the model when the temperature is high and all but two tokens are cut off."""
    if math.isnan(greedy.logprobs[0]):
        return {Ability.OWN_LAW: "the server gives no log-probabilities"}
    with_top = most >= 2
    request = TokenRequest(
        ids, max_tokens=1 if with_top else _TOKENS, temperature=_HOT, top_k=2, seed=1, top=min(2, most)
    )
    reply, refusal = _unless_refused(lambda: ask(request))
    if reply is None:
        return {Ability.OWN_LAW: f"the server refuses to draw at temperature {_HOT:g} from two tokens ({refusal})"}
    (hot,) = reply.choices
    if with_top and len(hot.top) and len(hot.top[0]) >= 2:
        then, now = list(greedy.top[0].values())[:2], list(hot.top[0].values())[:2]
    else:
        then, now = _of_drawn_tokens(ask, ids, greedy, hot, forced)
        if not any(value < _TELLING for value in then):
            return {Ability.OWN_LAW: "the server tells too little to find out whose log-probabilities it gives"}
    if np.allclose(then, now, rtol=0, atol=NOISE):
        return {}
    return {
        Ability.OWN_LAW: "the server's log-probabilities of drawn tokens are those after temperature and cuts, not the "
        f"model's own ({_values(then)} when nothing is cut, {_values(now)} at temperature {_HOT:g} from two tokens)"
    }


def _of_drawn_tokens(
    ask: Ask, ids: tuple[int, ...], greedy: Choice, hot: Choice, forced: bool
) -> tuple[list[float], list[float]]:
    """The values of drawn tokens under the model itself, as far as they can be had, and those that came with them."""
    now = hot.logprobs.tolist()
    if forced:
        tokens = hot.token_ids
        read = ask(TokenRequest((*ids, *tokens), max_tokens=0, forced=len(tokens))).forced
        return ([] if read is None else read.tolist()), now
    same = hot.token_ids[0] == greedy.token_ids[0]
    return ([float(greedy.logprobs[0])], now[:1]) if same else ([], [])


def _values(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def _seeds(ask: Ask, ids: tuple[int, ...]) -> dict[Ability, str]:
    """Whether sample i of a request is that of seed + i, again and whatever else is asked for, and seeds matter."""

    def drawn(seed: int) -> list[tuple[int, ...]]:
        request = TokenRequest(ids, max_tokens=_TOKENS, count=_SAMPLES, temperature=_HOT, seed=seed)
        return [choice.token_ids for choice in ask(request).choices]

    found, refusal = _unless_refused(lambda: (drawn(_SEED), drawn(_SEED + 1)))
    if found is None:
        return {Ability.SEEDS: f"the server refuses several samples at once ({refusal})"}
    first, second = found
    if len({*first, *second}) == 1:
        return {Ability.SEEDS: "samples of different seeds are all the same"}
    if first[1:] != second[:-1]:
        return {Ability.SEEDS: "samples of equal seeds differ, so that no run can be repeated"}
    return {}


def _unless_refused(ask: Callable[[], T]) -> tuple[T | None, str]:
    """What comes back, or why nothing usable did."""
    try:
        return ask(), ""
    except (QuestionRefusedError, UnexpectedReplyError) as error:
        return None, str(error)
