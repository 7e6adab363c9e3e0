"""An answer in HTML whose tokens are coloured by how uncertain the model was of each.

Colour is never alone: an underline has the same levels, and pointing at a token or focusing it tells the number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from uq_harness.rendering.escape import visible

LOG_PROBABILITY, ENTROPY = "log-probability", "entropy"
_FIELDS = {LOG_PROBABILITY: "token_logprobs", ENTROPY: "token_entropies"}
# Upper ends of the levels: probabilities of 0.9, 0.5, 0.1 and 0.01 as surprise in nats, and entropies in nats.
_LIMITS = {LOG_PROBABILITY: tuple(-math.log(p) for p in (0.9, 0.5, 0.1, 0.01)), ENTROPY: (0.1, 0.5, 1.0, 2.0)}
_LEVELS = {
    LOG_PROBABILITY: ("p ≥ 0.9", "0.5 to 0.9", "0.1 to 0.5", "0.01 to 0.1", "below 0.01"),
    ENTROPY: ("up to 0.1 nats", "to 0.5", "to 1", "to 2", "above 2"),
}
_SHARES = ("lowest fifth", "second", "third", "fourth", "highest fifth")
_END = "‹end›"


@dataclass(frozen=True)
class TokenValues:
    """The tokens of an answer, and what is known of each.

    Attributes:
        texts: Their texts; together they are the answer's. Empty for a token that the text does not show, and for all
            but the last of those that write a character together.
        values: Numbers by name, one a token, ``nan`` where undefined: ``log-probability``, ``entropy`` in nats, and
            what methods tell, higher meaning less certain.
    """

    texts: tuple[str, ...]
    values: Mapping[str, tuple[float, ...]]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> TokenValues | None:
        """What an answer's record says of its tokens.

        Returns:
            ``None`` where it has no texts of tokens, or they are not those of its answer. Values that are not one
            number a token are left out.
        """
        texts, answer = record.get("tokens"), record.get("answer")
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return None
        if not isinstance(answer, str) or not "".join(texts).strip().startswith(answer.strip()):
            return None
        further = record.get("token_values")
        columns = {name: record.get(place) for name, place in _FIELDS.items()}
        told = further.items() if isinstance(further, dict) else ()
        columns |= {str(name): values for name, values in told if name not in _FIELDS}  # the model's own stand
        known = {name: _numbers(column, len(texts)) for name, column in columns.items()}
        return cls(tuple(texts), {name: values for name, values in known.items() if values is not None})

    def as_html(self, by: str = LOG_PROBABILITY) -> Markup | None:
        """The answer with its tokens coloured; ``None`` where it has no value of this name.

        A token that an earlier one shares a character with is shown with it, by the less certain of the two.
        """
        if by not in self.values:
            return None
        levels = _levels(by, self.values[by])
        spans, begin = [], 0
        for at, text in enumerate(self.texts):
            if text:
                spans.append(self._span(text, range(begin, at + 1), levels))
                begin = at + 1
        spans += [self._span(_END, range(at, at + 1), levels, "end") for at in range(begin, len(self.texts))]
        return Markup('<bdi class="uq-tokens">{}</bdi>').format(Markup("").join(spans))

    def _span(self, text: str, tokens: range, levels: Sequence[int | None], extra: str = "") -> Markup:
        known = [level for at in tokens if (level := levels[at]) is not None]
        level = max(known) if known else None
        note = "; ".join(self._note(at) for at in tokens)
        classes = " ".join(filter(None, ["uq-token", "uq-unknown" if level is None else f"uq-level{level}", extra]))
        focus = Markup(' tabindex="0"') if level else ""
        shown = escape(visible(text))
        return Markup('<span class="{}" title="{}" data-note="{}"{}>{}</span>').format(
            classes, note, note, focus, shown
        )

    def _note(self, at: int) -> str:
        parts = []
        for name, values in self.values.items():
            value = values[at]
            if math.isnan(value):
                parts.append(f"{visible(name)} undefined")
            elif name == LOG_PROBABILITY:
                parts += [f"probability {math.exp(min(value, 0.0)):.3g}", f"log-probability {value:.3f}"]
            else:
                parts.append(f"{visible(name)} {value:.3g}")
        return ", ".join(parts)


def _numbers(values: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(values, list) or len(values) != count:
        return None
    found = []
    for value in values:
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            return None
        try:
            number = math.nan if value is None else float(value)
        except OverflowError:
            return None
        found.append(number)
    return tuple(found)


def _levels(by: str, values: Sequence[float]) -> list[int | None]:
    """0 to 4, the higher the less certain; ``None`` where the value is undefined."""
    uncertain = [-value if by == LOG_PROBABILITY else value for value in values]
    finite = [value for value in uncertain if math.isfinite(value)]
    if by in _LIMITS:
        limits: Sequence[float] = _LIMITS[by]
    else:
        low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
        limits = [low + (high - low) * step / 5 for step in (1, 2, 3, 4)] if high > low else [math.inf] * 4
    # a rounding error above a limit is none: 1e-9 is far below what a number shows
    return [None if math.isnan(value) else sum(value > limit + 1e-9 for limit in limits) for value in uncertain]


def legend(by: str = LOG_PROBABILITY) -> Markup:
    """What the colours mean."""
    keys = Markup(" ").join(
        Markup('<span class="uq-token uq-level{}">{}</span>').format(level, text)
        for level, text in enumerate(_LEVELS.get(by, _SHARES))
    )
    what = "the model's probability of each token" if by == LOG_PROBABILITY else visible(by) + " of each token"
    if by not in _LEVELS:
        what += ", between the lowest and the highest of the answer"
    return Markup(
        '<p class="uq-legend">Coloured by {}: {}. Point at a token, or move to it, for its numbers.</p>'
    ).format(what, keys)
