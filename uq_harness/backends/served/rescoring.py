"""Texts scored at another temperature, where the engine tells only the likeliest tokens at temperature 1.

Below temperature 1 the likeliest tokens decide the normaliser, and what the others could add to it is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from uq_harness.backends.served.engine import Steps
from uq_harness.backends.served.forcing import Ask, Tokenise, forced_request, forced_values
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Need, RescoredLogProb
from uq_harness.functional import FloatArray

# Likeliest tokens asked for; at temperature 0.1 they leave less than a millionth of the normaliser.
LIKELIEST = 20
# The largest error of a mean log-probability, in nats, with which it is still a number.
TOLERANCE = 0.01


def is_bounded(need: Need[Any]) -> bool:
    """Whether the likeliest tokens give a need only up to a bound, which the records hold as ``rescoring_error``."""
    return isinstance(need, RescoredLogProb) and need.temperature != 1


def mean_logprobs(
    prompt: Sequence[int],
    texts: Sequence[str],
    temperature: float,
    tokenise: Tokenise,
    ask: Ask,
    *,
    most_alternatives: int,
    max_length: int,
) -> Steps[tuple[FloatArray, float]]:
    """Mean log-probability per token of texts after a prompt, in nats, and the largest error that it may have.

    It is ``-inf`` for a text without tokens, and ``nan`` for one that does not fit into the context or whose error may
    be above `TOLERANCE`.

    Args:
        prompt: The prompt's tokens.
        texts: The texts; equal ones are scored once.
        temperature: Divides the logits before the softmax; 1 at most.
        tokenise: Token ids of a text, without special tokens.
        ask: Sends requests.
        most_alternatives: How many likeliest tokens the engine tells at most.
        max_length: The model's context in tokens.
    """
    top = 0 if temperature == 1 else min(LIKELIEST, most_alternatives)
    tokens = {text: tokenise(text) for text in dict.fromkeys(texts)}
    fitting = [text for text, ids in tokens.items() if ids and len(prompt) + len(ids) <= max_length]
    means = {text: np.nan if ids else -np.inf for text, ids in tokens.items()}
    worst = 0.0
    if fitting:
        replies = yield from ask([forced_request(prompt, tokens[text], top) for text in fitting])
        for text, reply in zip(fitting, replies, strict=True):
            own = forced_values(reply, len(tokens[text]))
            if temperature != 1:
                if len(reply.forced_top) != len(own):
                    raise UQHarnessError("the engine tells no likeliest tokens beside given ones: it cannot be used")
                pairs = [tempered(one, row, top, temperature) for one, row in zip(own, reply.forced_top, strict=True)]
                own = np.array([value for value, _ in pairs])
                error = float(np.mean([bound for _, bound in pairs]))
                worst = max(worst, error)
                if not error <= TOLERANCE:
                    continue
            means[text] = float(own.mean())
    return np.array([means[text] for text in texts]), worst


def tempered(own: float, likeliest: ArrayLike, top: int, temperature: float) -> tuple[float, float]:
    """A token's log-probability at a temperature below 1, in nats, and by how much it may be too high.

    With ``r`` the mass of the tokens that are not told, and ``p`` the least likely of the likeliest, the unseen part of
    the normaliser ``Σ p_i^(1/T)`` is at most ``r p^(1/T - 1)``, since none of its tokens is likelier than ``p``.

    Args:
        own: The token's log-probability at temperature 1.
        likeliest: Log-probabilities of the likeliest tokens, best first; the token itself may follow them.
        top: How many likeliest tokens were asked for.
        temperature: The temperature.

    >>> whole = np.log([0.6, 0.3, 0.1])
    >>> value, error = tempered(whole[1], whole, 3, 0.5)
    >>> bool(np.isclose(np.exp(value), 0.3**2 / (0.6**2 + 0.3**2 + 0.1**2))), error < 1e-6
    (True, True)
    """
    told = np.asarray(likeliest, dtype=np.float64)[:top]
    if not len(told) or np.isnan(told).any():
        return float("nan"), float("nan")
    least = told[-1]
    known = np.append(told, own) if own < least else told
    normaliser = float(np.logaddexp.reduce(known / temperature))
    unseen = max(0.0, 1.0 - float(np.exp(known).sum()))
    with np.errstate(divide="ignore"):
        share = np.log(unseen) + (1 / temperature - 1) * least - normaliser
    return own / temperature - normaliser, float(np.log1p(np.exp(share)))
