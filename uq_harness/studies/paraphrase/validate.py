"""How many paraphrases mean the same as their question: what an NLI model says, and what a chat model says."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from uq_harness.endpoints.chat import ChatClient
from uq_harness.endpoints.replies import ReplyCache
from uq_harness.endpoints.settings import Endpoint
from uq_harness.endpoints.yes_no import ask_yes_no
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import ENTAILMENT
from uq_harness.functional import FloatArray
from uq_harness.similarity.services import NLI
from uq_harness.studies.paraphrase.file import ParaphraseFile, read_paraphrases

log = logging.getLogger(__name__)
# Paraphrases of TruthfulQA: Li et al., arXiv 2605.04638, appendix C.1.
PAPER = {"nli": 0.9008, "chat": 0.9872}
_PAIRS_AT_A_TIME = 256

PROMPT = """\
Do these two questions ask for the same thing, so that every answer to one answers the other?

First question: {question}
Second question: {paraphrase}

Reply with one word, yes or no."""


@dataclass(frozen=True)
class Share:
    """A share of paraphrases with its interval.

    Attributes:
        count: Paraphrases with the property.
        total: Paraphrases with a verdict.
        undefined: Paraphrases without one, which count in neither.
        low: Lower end of Wilson's 95 % interval.
        high: Its upper end.
    """

    count: int
    total: int
    undefined: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share; ``nan`` where no paraphrase has a verdict."""
        return self.count / self.total if self.total else math.nan

    def as_json(self) -> dict[str, Any]:
        """The share and its interval as plain JSON values."""
        fields = {"share": self.value, "low": self.low, "high": self.high}
        defined = {name: None if math.isnan(value) else value for name, value in fields.items()}
        return {**defined, "count": self.count, "total": self.total, "undefined": self.undefined}


def share(verdicts: Sequence[float]) -> Share:
    """The share of ones among zeros and ones, ``nan`` left out, with Wilson's 95 % interval.

    >>> found = share([1, 1, 0, 1, float("nan")])
    >>> found.value, found.undefined, round(found.low, 3), round(found.high, 3)
    (0.75, 1, 0.301, 0.954)
    """
    from scipy.stats import binomtest

    known = [verdict for verdict in verdicts if not math.isnan(verdict)]
    if not known:
        return Share(0, 0, len(verdicts), math.nan, math.nan)
    interval = binomtest(int(sum(known)), len(known)).proportion_ci(method="wilson")
    return Share(int(sum(known)), len(known), len(verdicts) - len(known), float(interval.low), float(interval.high))


@dataclass(frozen=True)
class Validation:
    """The paraphrases of a file and what the judges say of them.

    Attributes:
        file: The file.
        pairs: Question and paraphrase, n of them.
        forward: Probability that the question entails the paraphrase, and of neutral and contradiction, ``[n, 3]``.
        backward: The same from the paraphrase to the question.
        chat: 1 where the chat model calls them equivalent, 0 where it does not, ``nan`` for no verdict; None where no
            chat model was asked.
    """

    file: ParaphraseFile
    pairs: list[tuple[str, str]]
    forward: FloatArray
    backward: FloatArray
    chat: list[float] | None

    def shares(self) -> dict[str, Share]:
        """The share of paraphrases by judge; ``nli`` is entailment in both directions."""
        forward, backward = _entailed(self.forward), _entailed(self.backward)
        found = {
            "nli": share((forward & backward).astype(float).tolist()),
            "nli_question_to_paraphrase": share(forward.astype(float).tolist()),
            "nli_paraphrase_to_question": share(backward.astype(float).tolist()),
        }
        return found if self.chat is None else {**found, "chat": share(self.chat)}

    def rows(self) -> Iterator[dict[str, Any]]:
        """What was found of each paraphrase, as plain JSON values."""
        chat = [math.nan] * len(self.pairs) if self.chat is None else self.chat
        for (question, paraphrase), ahead, back, verdict in zip(
            self.pairs, self.forward, self.backward, chat, strict=True
        ):
            yield {
                "question": question,
                "paraphrase": paraphrase,
                "nli_question_to_paraphrase": ahead.tolist(),
                "nli_paraphrase_to_question": back.tolist(),
                "entailed": bool(_entailed(ahead) and _entailed(back)),
                "equivalent": None if math.isnan(verdict) else bool(verdict),
            }

    def write_rows(self, path: Path) -> None:
        """Writes `rows` as JSON lines."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows())


def validate_paraphrases(
    file: str | Path, nli: NLI, endpoint: Endpoint | None, cache: ReplyCache | None = None, limit: int | None = None
) -> Validation:
    """Asks both judges about every paraphrase of a file.

    Args:
        file: The file of paraphrases.
        nli: The NLI model.
        endpoint: The chat model; None asks none.
        cache: The chat model's replies; None means the user's file.
        limit: Only the paraphrases of the first so many questions.

    Raises:
        UQHarnessError: The file, a model or the endpoint cannot be used; found before the work.
    """
    if limit is not None and limit < 1:
        raise UQHarnessError(f"limit={limit!r} is not allowed, use a whole number from 1 on")
    paraphrases = read_paraphrases(file)
    pairs = [(item.question, text) for item in paraphrases.questions[:limit] for text in item.paraphrases]
    client = ChatClient(endpoint) if endpoint is not None else None
    replies = (cache or ReplyCache()) if client is not None else None
    if client is not None:
        client.check()
    nli.prepare()
    chat = None
    if client is not None and replies is not None:
        messages = [PROMPT.format(question=question, paraphrase=paraphrase) for question, paraphrase in pairs]
        chat = ask_yes_no(client, messages, replies, "chat judge").values
    forward, backward = _probabilities(nli, pairs)
    return Validation(paraphrases, pairs, forward, backward, chat)


def _probabilities(nli: NLI, pairs: Sequence[tuple[str, str]]) -> tuple[FloatArray, FloatArray]:
    both: list[FloatArray] = []
    with tqdm(total=len(pairs), desc="NLI", disable=None) as bar:
        for start in range(0, len(pairs), _PAIRS_AT_A_TIME):
            part = pairs[start : start + _PAIRS_AT_A_TIME]
            turned = [(paraphrase, question) for question, paraphrase in part]
            both.append(nli.probabilities([*part, *turned]).reshape(2, len(part), 3))
            bar.update(len(part))
    forward, backward = np.concatenate(both, axis=1)
    return forward, backward


def _entailed(probabilities: FloatArray) -> Any:
    """Whether entailment is the most probable of the three."""
    return np.argmax(probabilities, axis=-1) == ENTAILMENT
