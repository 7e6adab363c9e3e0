"""What an application gets: an answer with its scores, as text, as JSON and as a notebook shows it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from transformers import PreTrainedTokenizerBase

from uq_harness.answering.answerer import Answerer
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Evidence
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.evidence.token_spans import token_texts
from uq_harness.functional import FloatArray
from uq_harness.rendering.coloured import LOG_PROBABILITY, TokenValues, legend
from uq_harness.rendering.escape import visible
from uq_harness.rendering.pages import token_style

_SHOWN_CHARACTERS, _SHOWN_SCORES = 40, 5


@dataclass(frozen=True, repr=False)
class ScoredAnswer:
    """A greedy answer and how uncertain it is.

    Attributes:
        question: The bare question.
        text: The answer: cut before the first stop string, thinking removed, no special tokens.
        uncertainty: One score a method, higher meaning less certain; ``nan`` where it is undefined.
        tokens: The answer's tokens as texts, the end-of-sequence token included when the model emitted it; a character
            that several tokens write is at the last of them.
        token_ids: The same as numbers.
        logprobs: Log-probability of each token, natural logarithm.
        entropies: Entropy of the distribution each token was taken from, in nats.
        complete: Whether the model ended the answer itself; false when ``max_new_tokens`` cut it.
        evidence: All that was gathered: samples, entailment, seconds of each stage, ….
        record: What a run writes to its sample log: plain JSON values.
    """

    question: str
    text: str
    uncertainty: Mapping[str, float]
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    entropies: tuple[float, ...]
    complete: bool
    evidence: Evidence = field(compare=False)
    record: Mapping[str, Any] = field(compare=False)

    def __repr__(self) -> str:
        scores = [f"{name}={value:.4g}" for name, value in self.uncertainty.items()]
        more = [f"… {len(scores) - _SHOWN_SCORES} more"] if len(scores) > _SHOWN_SCORES else []
        shown = [_short(self.text), *scores[:_SHOWN_SCORES], *more]
        return f"ScoredAnswer({', '.join(shown)}; question={_short(self.question)})"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the question and the record that a run writes to its sample log."""
        return {"question": self.question, **copy.deepcopy(dict(self.record))}

    def to_html(self, token_value: str = LOG_PROBABILITY) -> str:
        """The answer as HTML, its tokens coloured by how uncertain the model was of each, with a legend and scores.

        Notebooks show an answer so. It has its own style, and every text in it is escaped.

        Args:
            token_value: What colours the tokens: ``log-probability``, ``entropy``, or what a method tells of tokens.

        Raises:
            UQHarnessError: There is no value of this name.
        """
        tokens = TokenValues.from_record(self.record)
        known = {} if tokens is None else tokens.values
        if token_value not in known:
            raise UQHarnessError(
                f"token_value={token_value!r} is not known: use {', '.join(known) or 'none, there is no'}"
            )
        assert tokens is not None
        scores = ", ".join(f"{name} {value:.4g}" for name, value in self.uncertainty.items())
        return str(
            Markup("<style>{}</style><p><bdi>{}</bdi></p><p>{}</p><p>{}</p>{}").format(
                Markup(token_style()),  # our own file
                visible(self.question),
                tokens.as_html(token_value),
                scores,
                legend(token_value),
            )
        )

    def _repr_html_(self) -> str | None:
        tokens = TokenValues.from_record(self.record)
        return self.to_html() if tokens is not None and LOG_PROBABILITY in tokens.values else None


class PromptAnswerer:
    """Answers prompts, and scores the answers.

    Args:
        answerer: What answers them.
        stop: How answers end.
        batch_size: The largest batch.
        tokenizer: What makes texts of an answer's tokens.
    """

    def __init__(
        self, answerer: Answerer, stop: StopCriteria, batch_size: int, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self._answerer, self._stop, self._tokenizer = answerer, stop, tokenizer
        self.batch_size = batch_size

    def __call__(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, ScoredAnswer]]:
        """The position of each prompt with the answer to it, as soon as it is there; see `Answerer.answer`."""
        for row, evidence in self._answerer.answer(prompts, self._stop, self.batch_size):
            yield row, self._scored(evidence)

    def _scored(self, evidence: Evidence) -> ScoredAnswer:
        answer, uncertainty = evidence.answer, self._answerer.scores(evidence)
        return ScoredAnswer(
            question=evidence.question,
            text=answer.text,
            uncertainty=uncertainty,
            tokens=token_texts(self._decode, answer.token_ids or ()),
            token_ids=answer.token_ids or (),
            logprobs=_floats(answer.logprobs),
            entropies=_floats(answer.entropies),
            complete=bool(answer.complete),
            evidence=evidence,
            record=self._answerer.record(evidence, uncertainty),
        )

    def _decode(self, token_ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(token_ids))
        return text


def _floats(values: FloatArray | None) -> tuple[float, ...]:
    return () if values is None else tuple(values.tolist())


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…")
