"""Which output of a classifier means what, read from the names of its labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# In the order in which probabilities are given.
MEANINGS = ("entail", "neutral", "contradict")
_NAMELESS = re.compile(r"label_\d+", re.IGNORECASE)


def label_columns(config: Any) -> list[int]:
    """The outputs that mean entailment, neutral and contradiction, in this order.

    Args:
        config: A model's configuration with ``label2id`` and ``id2label``. Labels are told by their beginnings,
            whatever their case; where only one of the two mappings has names, it counts.

    Raises:
        ValueError: The labels are others, have no names, or the two mappings contradict each other.
    """
    names = _names(config)
    shown = ", ".join(f"{place}: {name}" for place, name in sorted(names.items()))
    if all(_NAMELESS.fullmatch(name) for name in names.values()):
        raise ValueError(
            f"its config does not name its labels ({shown}): write entailment, neutral and contradiction into the "
            "label2id and id2label of its config.json, in the order it was trained with"
        )
    columns = [[place for place, name in names.items() if name.lower().startswith(start)] for start in MEANINGS]
    if len(names) != len(MEANINGS) or any(len(places) != 1 for places in columns):
        raise ValueError(f"its labels are {shown}, but must be entailment, neutral and contradiction")
    return [places[0] for places in columns]


def _names(config: Any) -> dict[int, str]:
    to_id: Mapping[str, int] = config.label2id or {}
    from_id: Mapping[int, str] = config.id2label or {}
    told = {int(place): str(name).strip() for name, place in to_id.items()}
    listed = {int(place): str(name).strip() for place, name in from_id.items()}
    known = [names for names in (told, listed) if not all(map(_NAMELESS.fullmatch, names.values()))]
    if len(known) == 2 and _lower(told) != _lower(listed):
        raise ValueError(f"its config contradicts itself: label2id is {dict(to_id)}, id2label {dict(from_id)}")
    return known[0] if known else listed


def _lower(names: Mapping[int, str]) -> dict[int, str]:
    return {place: name.lower() for place, name in names.items()}
