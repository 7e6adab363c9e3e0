"""Prompt texts become tokens, with the place of the semantic-preserving token, and fit into the model's context."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Protocol

from jinja2 import TemplateError
from lm_eval.models.utils import has_bos_prefix
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.answering.further_turn import FurtherTurn
from uq_harness.answering.identity import ModelIdentity
from uq_harness.answering.semantic_token import ChatTail, SemanticToken, anchor_of, user_end
from uq_harness.answering.template import holds, rendered
from uq_harness.errors import UQHarnessError
from uq_harness.evidence.prompt import Prompt

log = logging.getLogger(__name__)

_AT_ONCE = 512  # prompts whose tokens' places in the text are held, which take more than the tokens


@dataclass(frozen=True)
class PromptText:
    """A prompt before it is tokenised.

    Attributes:
        text: The whole prompt, chat template included.
        question: The bare question.
        message: The user's message that puts the question, before the chat template.
    """

    text: str
    question: str
    message: str


class Prompts(Protocol):
    """Makes prompts of prompt texts, as tokens or as an endpoint takes them."""

    @property
    def used(self) -> tuple[int, str] | None:
        """Position and text of the semantic-preserving token of most prompts so far; ``None`` where there is none."""

    def encode(self, prompts: Sequence[PromptText]) -> list[Prompt]:
        """The prompts.

        Raises:
            UQHarnessError: One of them cannot be put.
        """

    def fit(self, prompt: Prompt, max_new_tokens: int) -> Prompt:
        """The prompt as it leaves space for an answer.

        Raises:
            UQHarnessError: It leaves none.
        """

    def describe(self) -> dict[str, Any]:
        """What of this changes answers or scores, for results."""


class PromptEncoder:
    """Tokenises prompts as lm_eval's ``hf`` does, and finds their semantic-preserving tokens.

    Args:
        tokenizer: The model's tokenizer; its chat template is read when the first prompt is.
        semantic_token: Which token is meant.
        max_length: The model's context in tokens.
        max_gen_toks: Tokens that are kept free behind a prompt whose answer has no limit of its own.
        chat_template_args: Further arguments of the chat template.
        add_bos_token: Whether prompts begin with the beginning-of-sequence token; ``None`` leaves it to the tokenizer.
        truncation: Whether the tokenizer may cut a prompt's end.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        semantic_token: SemanticToken,
        *,
        max_length: int,
        max_gen_toks: int,
        chat_template_args: Mapping[str, Any] | None = None,
        add_bos_token: bool | None = None,
        truncation: bool = False,
    ) -> None:
        self._tokenizer, self._semantic_token = tokenizer, semantic_token
        self._max_length, self._max_gen_toks = max_length, max_gen_toks
        self._chat_template_args = dict(chat_template_args or {})
        self._add_bos_token, self._truncation = add_bos_token, truncation
        self._vocabulary: int | None = None
        self._used: Counter[tuple[int, str]] = Counter()

    def encode(self, prompts: Sequence[PromptText]) -> list[Prompt]:
        """Tokenised prompts with their semantic-preserving tokens.

        Raises:
            UQHarnessError: The chosen position is before a prompt's first token, or the chat template has lost a
                question.
        """
        for prompt in prompts:
            self._check_question(prompt)
        special = self._special_tokens(prompts[0].text)
        parts = (prompts[start : start + _AT_ONCE] for start in range(0, len(prompts), _AT_ONCE))
        found = [prompt for part in parts for prompt in self._encode(part, special)]
        self._used.update((prompt.semantic_token, prompt.semantic_text) for prompt in found)
        return found

    def _encode(self, prompts: Sequence[PromptText], special: Mapping[str, Any]) -> Iterator[Prompt]:
        texts = [prompt.text for prompt in prompts]
        fast = bool(self._tokenizer.is_fast)
        encoded = self._tokenizer(texts, truncation=self._truncation, return_offsets_mapping=fast, **special)
        offsets = encoded["offset_mapping"] if fast else [None] * len(texts)
        for ids in encoded["input_ids"]:
            self._check_ids(ids)
        for prompt, ids, spans in zip(prompts, encoded["input_ids"], offsets, strict=True):
            yield self._prompt(prompt, ids, self._locate(prompt.text, ids, spans))

    def token_ids(self, prompts: Sequence[PromptText]) -> list[list[int]]:
        """Token ids of prompts whose semantic-preserving tokens are not needed."""
        texts = [prompt.text for prompt in prompts]
        found: list[list[int]] = self._tokenizer(texts, **self._special_tokens(texts[0]))["input_ids"]
        for ids in found:
            self._check_ids(ids)
        return found

    def suffix_length(self, text: str) -> int:
        """Number of tokens behind the last one of the user's text: those that the chat template adds."""
        anchor = user_end(text, self._tail)
        if anchor is None:
            return 0
        if not self._tokenizer.is_fast:
            return len(self._tokenizer(text[anchor.character + 1 :], add_special_tokens=False)["input_ids"])
        encoded = self._tokenizer(text, return_offsets_mapping=True, **self._special_tokens(text))
        spans = encoded["offset_mapping"]
        holding = [i for i, (start, end) in enumerate(spans) if start <= anchor.character < end]
        return len(spans) - 1 - holding[-1] if holding else 0

    def goes_through_template(self, text: str) -> bool:
        """Whether a prompt ends as the chat template ends it."""
        return anchor_of(text, self._tail) is not None

    def choose(self, semantic_token: SemanticToken) -> None:
        """Takes another semantic-preserving token from now on."""
        self._semantic_token = semantic_token

    @property
    def used(self) -> tuple[int, str] | None:
        """Position and text of the semantic-preserving token of most prompts so far; ``None`` before the first."""
        used = dict(self._used)  # other threads may add to it
        return max(used, key=used.__getitem__) if used else None

    def describe(self) -> dict[str, Any]:
        """The semantic-preserving token, as it was chosen and as it was used, for results."""
        used = {} if self.used is None else {"semantic_token": dict(zip(("position", "text"), self.used, strict=True))}
        return {**self._semantic_token.describe(), **used}

    def _prompt(self, prompt: PromptText, ids: list[int], position: int) -> Prompt:
        text = self._tokenizer.decode([ids[position]])
        return Prompt(
            prompt.question,
            prompt.message,
            ids,
            position,
            partial(self.restate, prompt),
            text,
            partial(self.go_on, prompt),
        )

    def fit(self, prompt: Prompt, max_new_tokens: int) -> Prompt:
        """The prompt without its beginning, where prompt and answer would not fit into the context.

        Raises:
            UQHarnessError: The semantic-preserving token would be cut off too.
        """
        room = self._max_length - max_new_tokens
        if len(prompt.token_ids) <= room:
            return prompt
        if -prompt.semantic_token > room:
            raise UQHarnessError(
                f"a prompt of {len(prompt.token_ids)} tokens does not fit into the context of {self._max_length} with "
                f"max_gen_toks={max_new_tokens}, and cutting it would lose its semantic-preserving token"
            )
        log.warning(
            "a prompt of %d tokens is cut to its last %d to leave space for an answer: %r",
            len(prompt.token_ids),
            room,
            prompt.question,
        )
        return replace(prompt, token_ids=prompt.token_ids[-room:])

    def check_model(self, model: PreTrainedModel) -> None:
        """Refuses a semantic-preserving token that was recommended for another model or chat template.

        From here on, prompts with tokens that the model does not have are refused, too.

        Raises:
            UQHarnessError: It was.
        """
        self.limit_vocabulary(int(model.get_input_embeddings().weight.shape[0]))
        self._semantic_token.check(ModelIdentity.of(model, self._tokenizer, self._chat_template_args))

    def limit_vocabulary(self, size: int) -> None:
        """Refuses prompts with tokens that a model does not have, from here on.

        Args:
            size: Number of the model's tokens.
        """
        self._vocabulary = size

    def _check_ids(self, ids: Sequence[int]) -> None:
        """Tokenizers may have more tokens than the model; what matters is those that are used."""
        if self._vocabulary is not None and ids and max(ids) >= self._vocabulary:
            token = self._tokenizer.convert_ids_to_tokens(max(ids))
            raise UQHarnessError(
                f"the tokenizer gives the token {token!r}, number {max(ids)}, and the model has {self._vocabulary} "
                "tokens: take the model's own tokenizer, or call model.resize_token_embeddings"
            )

    @property
    def chat_tail(self) -> ChatTail | None:
        """What the chat template puts behind the user's text; ``None`` where there is no template."""
        return self._tail

    @cached_property
    def _tail(self) -> ChatTail | None:
        """What the chat template puts behind the user's text; ``None`` where there is no template."""
        if self._tokenizer.chat_template is None:
            return None
        try:
            return ChatTail.of(self._render)
        except TemplateError as error:
            log.warning("the chat template renders no single user message (%s): sp_token=auto takes the last", error)
            return None

    def _check_question(self, prompt: PromptText) -> None:
        if holds(prompt.text, prompt.message) or holds(prompt.text, prompt.question):
            return
        raise UQHarnessError(
            f"the chat template of {self._tokenizer.name_or_path or 'the tokenizer'} loses the question "
            f"{prompt.question!r}: all that is left is the prompt {prompt.text!r}. Set tokenizer.chat_template (in the "
            "model's folder: chat_template.jinja) to one that writes a message's content, or do without it: leave out "
            "--apply_chat_template (apply_chat_template=False)"
        )

    def _render(self, user: str, header: bool) -> str:
        return rendered(partial(self._apply_template, header=header), [{"role": "user", "content": user}])

    def restate(self, prompt: PromptText, message: str) -> list[int]:
        """Token ids of a prompt with another message in the place of its own."""
        text = self._with_message(prompt, message)
        ids: list[int] = self._tokenizer(text, **self._special_tokens(text))["input_ids"]
        self._check_ids(ids)
        room = max(1, self._max_length - self._max_gen_toks)
        if len(ids) > room:
            log.warning(
                "a prompt of %d tokens that states an answer is cut to its last %d to leave space for another: %r",
                *(len(ids), room, prompt.question),
            )
        return ids[-room:]

    def go_on(self, prompt: PromptText, answer: str, message: str) -> list[int]:
        """Token ids of the conversation that goes on with an answer and another message, up to the model's reply.

        Raises:
            UQHarnessError: There is no chat template, or it does not write such a conversation.
        """
        closing = "" if self._tail is None else self._tail.closing
        text = self._further_turn.text(prompt.text, closing, answer, message)
        ids: list[int] = self._tokenizer(text, **self._special_tokens(text))["input_ids"]
        self._check_ids(ids)
        return ids

    @cached_property
    def _further_turn(self) -> FurtherTurn:
        """What the chat template puts around an answer and another message of the user's.

        Raises:
            UQHarnessError: There is no template, or it does not write such a conversation.
        """
        name = self._tokenizer.name_or_path or "the tokenizer"
        if self._tokenizer.chat_template is None:
            raise UQHarnessError(f"{name} has no chat template, so no conversation can go on behind an answer")
        try:
            found = FurtherTurn.of(lambda messages: rendered(self._apply_template, messages))
        except TemplateError as error:
            raise UQHarnessError(
                f"the chat template of {name} refuses a conversation that goes on behind an answer: {error}"
            ) from None
        if found is None:
            raise UQHarnessError(f"the chat template of {name} loses a message of a conversation of three")
        return found

    def _apply_template(self, messages: list[dict[str, Any]], header: bool = True) -> str:
        text: str = self._tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=header, **self._chat_template_args
        )
        return text

    def _with_message(self, prompt: PromptText, message: str) -> str:
        """The prompt's text with another message; what is before it, such as earlier turns, stays."""
        tail = self._tail.closing if self._tail and prompt.text.endswith(self._tail.closing) else ""
        for own in (prompt.message, prompt.message.strip()):  # some templates strip it
            before, found, after = prompt.text.removesuffix(tail).rpartition(own) if own else ("", "", "")
            if found:
                return before + message + after + tail
        # the template writes the message otherwise, or the request does not say which it is
        return self._render(message, header=True) if anchor_of(prompt.text, self._tail) else message

    def _special_tokens(self, text: str) -> dict[str, bool]:
        """Whether the tokenizer adds special tokens, decided as lm_eval does."""
        if has_bos_prefix(text, self._tokenizer.bos_token):
            return {"add_special_tokens": False}
        return {} if self._add_bos_token is None else {"add_special_tokens": self._add_bos_token}

    def _locate(self, text: str, ids: list[int], offsets: list[tuple[int, int]] | None) -> int:
        anchor = anchor_of(text, self._tail)
        rest = text[anchor.character :] if anchor and offsets is None else ""
        tail_tokens = len(self._tokenizer(rest, add_special_tokens=False)["input_ids"])
        return self._semantic_token.locate(len(ids), anchor, offsets, tail_tokens)
