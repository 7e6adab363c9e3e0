"""Where an answer ends, and what of its tokens counts: stop strings, special tokens, the model's thinking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from lm_eval.models.utils import postprocess_generated_text
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.answering.thinking import ReplyReader
from uq_harness.evidence.prompt import StopCriteria
from uq_harness.evidence.token_spans import Decode, tokens_of_beginning


def stop_criteria(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    *,
    stop_strings: Sequence[str],
    max_new_tokens: int,
    think_end_token: str | int | None = None,
) -> StopCriteria:
    """How the model's answers end.

    Args:
        model: The model; the end tokens of its generation configuration end an answer.
        tokenizer: Its tokenizer; so does its end-of-sequence token.
        stop_strings: An answer stops before the first of these.
        max_new_tokens: Limit on an answer's tokens, thinking included.
        think_end_token: What ends the model's thinking, as text or token; what is before it is not part of the
            answer.
    """
    return stop_at(
        end_tokens(model.generation_config, tokenizer),
        tokenizer,
        stop_strings=stop_strings,
        max_new_tokens=max_new_tokens,
        think_end_token=think_end_token,
    )


def end_tokens(generation_config: GenerationConfig | None, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that end an answer: those of the model's generation configuration, and the tokenizer's own."""
    configured = None if generation_config is None else generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return frozenset(int(token) for token in [*ends, tokenizer.eos_token_id] if token is not None)


def stop_at(
    end_ids: frozenset[int],
    tokenizer: PreTrainedTokenizerBase,
    *,
    stop_strings: Sequence[str],
    max_new_tokens: int,
    think_end_token: str | int | None = None,
) -> StopCriteria:
    """How answers end at some tokens, of a model that is not at hand; the rest as in `stop_criteria`."""
    stop_ids = _special_stops(tokenizer, stop_strings) - end_ids
    decode = partial(tokenizer.decode, skip_special_tokens=True)
    reader = _Reader(decode, tuple(stop_strings), stop_ids, think_end_token)
    return StopCriteria(
        end_ids=end_ids,
        max_new_tokens=max_new_tokens,
        read=reader.read,
        stops=reader.stops if stop_strings else None,
        stop_strings=tuple(stop_strings),
        read_reply=ReplyReader.of(tokenizer, think_end_token),
    )


def text_stop_criteria(
    decode: Decode,
    *,
    stop_strings: Sequence[str],
    max_new_tokens: int,
    think_end: str | None = None,
) -> StopCriteria:
    """How answers end of which texts alone are known, such as those of a chat endpoint.

    Args:
        decode: Turns an answer's tokens, whatever stands for them, into its text.
        stop_strings: An answer stops before the first of these.
        max_new_tokens: Limit on an answer's tokens, thinking included.
        think_end: The text that ends the model's thinking; what is before it is not part of the answer.
    """
    reader = _Reader(decode, tuple(stop_strings), frozenset(), think_end)
    return StopCriteria(
        frozenset(),
        max_new_tokens,
        reader.read,
        stop_strings=tuple(stop_strings),
        read_reply=ReplyReader(decode, decode, think_end),
    )


def _special_stops(tokenizer: PreTrainedTokenizerBase, stop_strings: Sequence[str]) -> frozenset[int]:
    """The stop strings that are special tokens, which an answer's text does not show."""
    encoded = [tokenizer(stop, add_special_tokens=False)["input_ids"] for stop in stop_strings]
    return frozenset(ids[0] for ids in encoded if len(ids) == 1 and not tokenizer.decode(ids, skip_special_tokens=True))


@dataclass(frozen=True)
class _Reader:
    """Reads tokens as lm_eval's ``hf`` reads them, and keeps account of which tokens make up the text."""

    decode: Decode
    stop_strings: tuple[str, ...]
    stop_ids: frozenset[int]
    think_end_token: str | int | None

    def stops(self, tokens: list[int]) -> bool:
        """Whether an answer of these tokens has come to a stop string; as in hf, one in the thinking ends it too."""
        if not self.stop_ids.isdisjoint(tokens):
            return True
        text = self._decode(tokens)
        return any(stop in text for stop in self.stop_strings)

    def read(self, tokens: list[int]) -> tuple[str, range]:
        """The answer's text as lm_eval's ``hf`` would give it, and the range of tokens that make it up."""
        tokens = tokens[: next((i for i, token in enumerate(tokens) if token in self.stop_ids), len(tokens))]
        start = self._thinking(tokens)
        whole = self._decode(tokens[start:])
        text = postprocess_generated_text(whole, stop=list(self.stop_strings), think_end_token=None)
        stop = len(tokens)
        if text != whole:  # up to the token that completes the last character before the stop string
            stop = start + tokens_of_beginning(self._decode, tokens[start:], text)
        return (text.lstrip() if start else text), range(start, stop)

    def _thinking(self, tokens: list[int]) -> int:
        """Number of tokens up to the end of the model's thinking; 0 where it did not think."""
        end = self.think_end_token
        if isinstance(end, int):
            return len(tokens) - tokens[::-1].index(end) if end in tokens else 0
        text = self._decode(tokens) if end else ""
        if not end or end not in text:
            return 0
        thought = text.removesuffix(text.split(end)[-1])
        return tokens_of_beginning(self._decode, tokens, thought)

    def _decode(self, tokens: Sequence[int]) -> str:
        return self.decode(list(tokens))
