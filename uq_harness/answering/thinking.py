"""Notices that answers hold the model's thinking, where no one said how it ends."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

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
