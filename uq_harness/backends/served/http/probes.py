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

T = TypeVar("T")
Ask = Callable[[TokenRequest], TokenReply]

# Numbers of alternatives to try; 20 is what vLLM gives by default.
_ALTERNATIVES = (20, 10, 5, 2, 1)
# Nats by which values of the same token may differ: 16-bit logits move a little with the batch.
_NOISE = 0.1
_HOT = 2.0  # the highest temperature that servers allow
_SAMPLES = 4
_SEED = SEEDS - 2 * _SAMPLES  # as large as those of samples are: a server may take smaller ones only
_TOKENS = 8


@dataclass(frozen=True)
class Findings:
    """What a server was found to give.

    Attributes:
        most_alternatives: How many likeliest tokens it tells at most.
        lacking: For each ability that it does not have, what was found, in words.
    """

    most_alternatives: int
    lacking: Mapping[Ability, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """The findings as JSON values."""
        lacking = {ability.name: why for ability, why in self.lacking.items()}
        return {"most_alternatives": self.most_alternatives, "lacking": lacking}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Findings:
        """The findings again."""
        return cls(plain["most_alternatives"], {Ability[name]: why for name, why in plain["lacking"].items()})


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
    elif not abs(forced.forced[-1] - greedy.logprobs[0]) <= _NOISE and Ability.LOGPROBS not in lacking:
        lacking[Ability.FORCED] = (
            f"the server gives {forced.forced[-1]:.3f} for a given token and {greedy.logprobs[0]:.3f} for the same one "
            "when it writes it"
        )
    if Ability.FORCED in lacking or forced is None:
        lacking[Ability.FORCED_ALTERNATIVES] = lacking[Ability.FORCED]
    elif not most or len(forced.forced_top[-1]) < beside:
        lacking[Ability.FORCED_ALTERNATIVES] = "the server tells no likeliest tokens beside given ones"
    lacking |= _law(ask, ids, greedy, most, Ability.FORCED not in lacking)
    lacking |= _seeds(ask, ids)
    return Findings(most, {ability: lacking[ability] for ability in Ability if ability in lacking})


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


def _law(ask: Ask, ids: tuple[int, ...], greedy: Choice, most: int, forced: bool) -> dict[Ability, str]:
    """Whether values stay those of the model when the temperature is high and all but two tokens are cut off."""
    if math.isnan(greedy.logprobs[0]):
        return {Ability.OWN_LAW: "the server gives no log-probabilities"}
    request = TokenRequest(ids, max_tokens=1, temperature=_HOT, top_k=2, seed=1, top=min(2, most))
    reply, refusal = _unless_refused(lambda: ask(request))
    if reply is None:
        return {Ability.OWN_LAW: f"the server refuses to draw at temperature {_HOT:g} from two tokens ({refusal})"}
    (hot,) = reply.choices
    if most >= 2 and len(hot.top) and len(hot.top[0]) >= 2:
        then, now = list(greedy.top[0].values())[:2], list(hot.top[0].values())[:2]
    else:
        token = hot.token_ids[0]
        if token == greedy.token_ids[0]:
            known = float(greedy.logprobs[0])
        elif forced:
            known = float(ask(TokenRequest((*ids, token), max_tokens=0, forced=1)).forced[-1])  # type: ignore[index]
        else:
            return {Ability.OWN_LAW: "the server tells too little to find out whose log-probabilities it gives"}
        then, now = [known], [float(hot.logprobs[0])]
    if np.allclose(then, now, atol=_NOISE):
        return {}
    words = [", ".join(f"{value:.3f}" for value in values) for values in (then, now)]
    return {
        Ability.OWN_LAW: "the server's log-probabilities of drawn tokens are those after temperature and cuts, not the "
        f"model's own ({words[0]} when nothing is cut, {words[1]} at temperature {_HOT:g} from two tokens)"
    }


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
