"""NLI with a sequence classifier of transformers."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from uq_harness.functional import FloatArray
from uq_harness.hub import fetch_classifier
from uq_harness.similarity.loading import Settings, check_tokenizer, limit_length, place, unify_dtype
from uq_harness.similarity.memory import Pair
from uq_harness.similarity.neural import PairNetwork

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


class NLIClassifier(PairNetwork):
    """A sequence classifier whose labels are entailment, neutral and contradiction.

    Args:
        model: The classifier, in evaluation mode.
        tokenizer: Its tokenizer, set to cut what is too long.
        device: Where the model is.
        columns: Its outputs for entailment, neutral and contradiction.
        max_length: The most tokens of a pair that it reads.
    """

    def __init__(self, model: Any, tokenizer: Any, device: Any, columns: Sequence[int], max_length: int) -> None:
        self.model, self.tokenizer, self.device = model, tokenizer, device
        self.columns, self.max_length = list(columns), max_length

    @property
    def on_cpu(self) -> bool:
        """Whether the model is on the processor."""
        return str(self.device) == "cpu"

    def text_lengths(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text, without special tokens."""
        return text_lengths(self.tokenizer, texts)

    @property
    def special_tokens(self) -> int:
        """Number of special tokens around a pair."""
        return int(self.tokenizer.num_special_tokens_to_add(pair=True))

    def forward(self, pairs: Sequence[Pair]) -> FloatArray:
        """Probabilities of entailment, neutral and contradiction, shape ``[pairs, 3]``."""
        import torch

        premises, hypotheses = map(list, zip(*pairs, strict=True))
        inputs = self.tokenizer(premises, hypotheses, padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            logits = self.model(**inputs.to(self.device)).logits
        probabilities: FloatArray = logits.cpu().double().softmax(-1).numpy()
        return probabilities[:, self.columns]


def text_lengths(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Number of tokens of each text, without special tokens and uncut."""
    encoded = tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)
    return [len(ids) for ids in encoded["input_ids"]]


def load(settings: Settings) -> NLIClassifier:
    """Loads a classifier and its tokenizer, once a process for the same settings.

    Raises:
        UQHarnessError: Model or device cannot be had, or the model is not an NLI classifier.
    """
    return _load(settings.of_network)


@functools.cache
def _load(settings: Settings) -> NLIClassifier:
    model, tokenizer = fetch_classifier(settings.model, settings.dtype, settings.cannot_load)
    try:
        columns = label_columns(model.config)
    except ValueError as error:
        raise settings.cannot_load(error) from error
    check_tokenizer(settings, tokenizer, model.config)
    unify_dtype(settings, model)
    max_length = limit_length(settings, tokenizer, model)
    return NLIClassifier(model, tokenizer, place(settings, model.eval()), columns, max_length)
