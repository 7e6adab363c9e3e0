"""The probability that a model states for its answer when asked, read from its reply."""

from __future__ import annotations

import math
import re

from uq_harness.errors import UQHarnessError

# Signs that other scripts write in the place of ours.
_SIGNS = str.maketrans({"٫": ".", "．": ".", "，": ",", "％": "%", "٪": "%", "−": "-", "–": "-", "／": "/", "⁄": "/"})
# What is a number and says nothing: the scale repeated from the question, and the number of a list's first line.
_SCALE = re.compile(
    r"(?<![\d.,])0(?:[.,]0+)?\s*%?\s*(?:to|and|through|-)\s*(?:1(?:[.,]0+)?|100(?:[.,]0+)?\s*%?)(?![.,]?\d)",
    re.IGNORECASE,
)
_ENUMERATION = re.compile(r"^\s*\d+[.)]\s+(?=.*\d)", re.DOTALL)
_PLAIN = r"(?:\d+(?:[.,]\d+)?|\.\d+)(?:e[+-]?\d+)?"
_NUMBER = re.compile(
    rf"(?<![a-z_\d.,])(?P<sign>(?<!\w)-)?(?<![\d.,])(?P<number>{_PLAIN})(?![a-z_])"
    rf"(?P<more>[.,]\d)?"
    rf"(?:\s*/\s*(?P<of>{_PLAIN})(?![.,/]?\d)|\s+(?:out\s+of|in)\s+(?P<of_whole>\d+)(?![.,]?\d))?"
    rf"(?:(?P<percent>\s*(?:%|per\s?cent\b))|(?P<unfinished>(?:[\s.,/]|out|of|in)*…|/))?",
    re.IGNORECASE,
)
_PRECISE = re.compile(r".*[.,]\d{2,}")  # whatever digits follow change it by less than 0.01
_GROUPED = re.compile(r"[1-9]\d*,\d{3}")


def stated_confidence(reply: str) -> float:
    """The probability that a reply states: its first number.

    With ``%`` (or the word) it is a per cent, and so is a number above 1 up to 100. A ratio (``8/10``, ``8 out of 10``)
    is one number. The decimal sign may be a comma, and digits may be those of any script. The scale of the question,
    where a reply repeats it (``0.0 to 1.0``), does not count as a number, nor do digits within words.

    Args:
        reply: The reply. It ends with ``…`` where it was cut: a number at its very end may not be whole then, and
            counts if two digits stand behind its decimal sign.

    Returns:
        A probability in [0, 1]; ``nan`` where the reply has no number, or the first one is no probability: negative,
        above 100, cut, or of two readings such as ``1,000``.

    Raises:
        UQHarnessError: It is not a text.

    Source:
        Tian et al. 2023, arXiv 2305.14975.

    >>> [stated_confidence(reply) for reply in ("0.9.", "I am 95 % sure", "8/10", "0.0 to 1.0: 0,7", "150", "Sure!")]
    [0.9, 0.95, 0.8, 0.7, nan, nan]
    """
    if not isinstance(reply, str):
        raise UQHarnessError(f"the reply is {reply!r}: it needs to be a text")
    digits = "".join(str(int(one)) if one.isdecimal() else one for one in reply.translate(_SIGNS))
    found = _NUMBER.search(_SCALE.sub(" ", _ENUMERATION.sub("", digits)))
    if found is None or found["sign"] or found["more"] or _GROUPED.fullmatch(found["number"]):
        return math.nan
    if found["unfinished"] and not (found["unfinished"] == "…" and _PRECISE.fullmatch(found["number"])):
        return math.nan
    whole = found["of"] or found["of_whole"]
    value = _value(found["number"])
    if whole is not None:
        value = value / _value(whole) if _value(whole) > 0 else math.nan
        value = value if value <= 1 else math.nan
    elif found["percent"] or value > 1:
        value /= 100
    return value if 0 <= value <= 1 else math.nan


def _value(number: str) -> float:
    return float(number.replace(",", "."))
