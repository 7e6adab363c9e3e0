"""The model's thinking: noticed in answers where no one said how it ends, and left out of short replies."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from uq_harness.evidence.token_spans import Decode, tokens_of_beginning

log = logging.getLogger(__name__)

# What opens and what ends a thought, in the chat templates that are in use.
_MARKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
)
_LAST_TOKENS = 16  # of a prompt, more than any opening mark has


class ThinkingNotice:
    """Warns once where a thought is part of the answers, as it is for lm_eval's ``hf`` without ``think_end_token``.

    Args:
        tokenizer: The model's tokenizer.
        think_end_token: What the user said ends a thought; ``None`` for nothing.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, think_end_token: str | int | None) -> None:
        self._tokenizer = tokenizer
        self._looking = think_end_token is None

    def look(self, prompt: Sequence[int], answer: Sequence[int]) -> None:
        """Looks at one prompt and its answer."""
        end = self._end_of_thought(prompt, answer) if self._looking else None
        if end is None:
            return
        self._looking = False
        log.warning(
            "the model thinks before it answers, and its thoughts are judged and scored as part of the answers: give "
            "think_end_token=%s, and with it enough max_gen_toks for thought and answer, or turn thinking off where "
            "the chat template can (enable_thinking=False)",
            self._argument(end),
        )

    def _end_of_thought(self, prompt: Sequence[int], answer: Sequence[int]) -> str | None:
        """The mark that ends the thought that a prompt or an answer opens, or that an answer ends."""
        before = self._decode(prompt[-_LAST_TOKENS:]).rstrip()
        text = self._decode(answer)
        found = (
            end
            for opening, end in _MARKS
            if before.endswith(opening) or text.lstrip().startswith(opening) or end in text
        )
        return next(found, None)

    def _argument(self, end: str) -> str | int:
        """How to name a mark: a token that an answer's text does not show has to be given by its number."""
        ids: list[int] = self._tokenizer(end, add_special_tokens=False)["input_ids"]
        shown = self._tokenizer.decode(ids, skip_special_tokens=True)
        return end if end in shown else ids[-1]

    def _decode(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=False)
        return text


@dataclass(frozen=True)
class ReplyReader:
    """Reads short replies: a thought before one is not part of it, and leaves nothing where it has not ended.

    Attributes:
        decode: Turns tokens into text, special tokens left out.
        decode_all: The same with special tokens.
        think_end: The text that ends the model's thinking, as the user said; ``None`` for nothing. Where it is none of
            the usual marks, what opens a thought is unknown: a reply without it is taken for a thought.
    """

    decode: Decode
    decode_all: Decode
    think_end: str | None = None

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, think_end_token: str | int | None) -> ReplyReader:
        """Reads replies of a tokenizer's tokens; ``think_end_token`` as in `stop_criteria`."""

        def decode_all(tokens: Sequence[int]) -> str:
            text: str = tokenizer.decode(list(tokens), skip_special_tokens=False)
            return text

        def decode(tokens: Sequence[int]) -> str:
            text: str = tokenizer.decode(list(tokens), skip_special_tokens=True)
            return text

        end = decode_all([think_end_token]) if isinstance(think_end_token, int) else think_end_token
        return cls(decode, decode_all, end)

    def __call__(self, prompt: Sequence[int], tokens: Sequence[int]) -> str:
        """The text of a reply to a prompt, white space around it left out."""
        before, text = self.decode_all(prompt[-_LAST_TOKENS:]).rstrip(), self.decode_all(tokens)
        usual = {end for _, end in _MARKS}
        marks = _MARKS if self.think_end is None or self.think_end in usual else (("", self.think_end), *_MARKS)
        for opening, end in marks:
            if end in text:
                thought = text.removesuffix(text.split(end)[-1])
                return self.decode(tokens[tokens_of_beginning(self.decode_all, tokens, thought) :]).strip()
            if before.endswith(opening) or text.lstrip().startswith(opening):
                return ""
        return self.decode(tokens).strip()
