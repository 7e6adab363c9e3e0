"""Finds out by effect what an engine is able to do: a few tiny requests, and what their replies look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from uq_harness.backends.served.engine import Ability
from uq_harness.backends.served.requests import Choice, TokenReply, TokenRequest
from uq_harness.backends.served.steps import Outcome

# Log-probabilities of equal prompts move this far at most with the rest of a batch, in 16-bit types too.
_CLOSE = 0.05
_SEED = 20
_TOKENS = 4
_ALTERNATIVES = 5


def what_lacks(
    ask: Callable[[list[TokenRequest]], Sequence[Outcome]], prompt_ids: Sequence[int], most_alternatives: int
) -> dict[Ability, str]:
    """What an engine lacks, each with what was seen.

    Args:
        ask: Answers requests, in their order; gives the error in the place of the reply where it refuses one.
        prompt_ids: A prompt of two tokens or more.
        most_alternatives: How many likeliest tokens the engine tells at most.
    """
    prompt, top = tuple(prompt_ids), min(_ALTERNATIVES, most_alternatives)
    plain = TokenRequest(prompt, max_tokens=1, top=top)
    hot = TokenRequest(prompt, max_tokens=1, temperature=2.0, top_k=2, seed=_SEED, top=top)
    drawn = TokenRequest(prompt, max_tokens=_TOKENS, count=2, temperature=1.0, seed=_SEED)
    again = TokenRequest(prompt, max_tokens=_TOKENS, count=1, temperature=1.0, seed=_SEED + 1)
    before = TokenRequest(prompt[:-1], max_tokens=1, top=top)
    forced = TokenRequest(prompt, max_tokens=0, forced=1, forced_top=top)
    found = dict(zip((plain, hot, drawn, again, before, forced), ask([plain, hot, drawn, again, before, forced]), strict=True))
    lacks = {
        Ability.LOGPROBS: _no_logprobs(found[plain]),
        Ability.ALTERNATIVES: _no_alternatives(found[plain], top),
        Ability.OWN_LAW: _other_law(found[plain], found[hot]),
        Ability.FORCED: _not_forced(found[forced]),
        Ability.FORCED_ALTERNATIVES: _no_forced_alternatives(found[before], found[forced], top),
        Ability.SEEDS: _not_repeatable(found[drawn], found[again]),
    }
    return {ability: why for ability, why in lacks.items() if why is not None}


def _no_logprobs(outcome: Outcome) -> str | None:
    if not isinstance(outcome, TokenReply):
        return f"it refuses a greedy request: {outcome}"
    logprobs, likeliest = outcome.choices[0].logprobs, _likeliest(outcome)
    if not np.isfinite(logprobs).all():
        return "it tells no log-probabilities of the tokens that it writes"
    if (logprobs > _CLOSE).any() or np.exp(likeliest).sum() > 1 + _CLOSE:
        return f"what it calls log-probabilities are none: the likeliest tokens have {_shown(likeliest)}"
    return None


def _no_alternatives(outcome: Outcome, top: int) -> str | None:
    if not isinstance(outcome, TokenReply):
        return f"it refuses them: {outcome}"
    told = len(_likeliest(outcome))
    return None if told == top > 0 else f"of the {_ALTERNATIVES} likeliest tokens it tells {told}"


def _other_law(plain: Outcome, hot: Outcome) -> str | None:
    if not isinstance(plain, TokenReply) or not isinstance(hot, TokenReply):
        return f"it refuses a request: {plain if not isinstance(plain, TokenReply) else hot}"
    one, other = _likeliest(plain), _likeliest(hot)
    if len(one) and one.shape == other.shape and np.allclose(one, other, rtol=0, atol=_CLOSE):
        return None
    return (
        f"the likeliest tokens have log-probabilities {_shown(one)} in a greedy answer and {_shown(other)} in one drawn "
        "at temperature 2 from the two likeliest: they are not the model's own"
    )


def _not_forced(outcome: Outcome) -> str | None:
    if not isinstance(outcome, TokenReply):
        return f"it refuses them: {outcome}"
    if outcome.forced is None or len(outcome.forced) != 1 or not np.isfinite(outcome.forced).all():
        return "it tells none for the tokens of a prompt"
    return None


def _no_forced_alternatives(before: Outcome, forced: Outcome, top: int) -> str | None:
    if not isinstance(before, TokenReply) or not isinstance(forced, TokenReply):
        return f"it refuses them: {before if not isinstance(before, TokenReply) else forced}"
    if len(forced.forced_top) != 1 or len(forced.forced_top[0]) != top or not top:
        return "it tells none for the tokens of a prompt"
    written, read = _likeliest(before), np.asarray(forced.forced_top[0])
    if written.shape == read.shape and np.allclose(written, read, rtol=0, atol=_CLOSE):
        return None
    return f"they are {_shown(read)} for a token that it reads and {_shown(written)} for one that it writes"


def _not_repeatable(drawn: Outcome, again: Outcome) -> str | None:
    if not isinstance(drawn, TokenReply) or not isinstance(again, TokenReply):
        return f"it refuses a request for samples: {drawn if not isinstance(drawn, TokenReply) else again}"
    if drawn.choices[1].token_ids == again.choices[0].token_ids:
        return None
    return "two samples of one seed differ"


def _likeliest(reply: TokenReply) -> np.ndarray:
    """The log-probabilities of the likeliest first tokens, best first."""
    choice: Choice = reply.choices[0]
    return np.array(sorted(choice.top[0].values(), reverse=True) if choice.top else [], dtype=np.float64)


def _shown(logprobs: np.ndarray) -> str:
    return ", ".join(f"{value:.2f}" for value in logprobs[:2]) or "none"
