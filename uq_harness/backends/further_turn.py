"""The further turn in which a model is asked about its answer, for backends that write conversations as tokens."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from uq_harness.evidence import ConfidenceReply
from uq_harness.evidence.prompt import Prompt

log = logging.getLogger(__name__)


def missing_template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    """What is missing for a further turn, in words; ``None`` where there is a chat template."""
    if tokenizer.chat_template is not None:
        return None
    return (
        "a chat template, which writes the turn that asks about the answer (take a chat model, or set "
        "tokenizer.chat_template)"
    )


def check_turns(prompts: Sequence[Prompt], needs: Sequence[ConfidenceReply]) -> None:
    """Tries to write the turns that some needs ask for, before any prompt is answered.

    Raises:
        UQHarnessError: The chat template does not write them.
    """
    for prompt in prompts[:1]:
        for need in needs:
            prompt.go_on("", need.message)


def conversation(prompt: Prompt, answer: str, need: ConfidenceReply, max_length: int) -> list[int] | None:
    """Token ids of the conversation up to the reply; ``None``, with a warning, where it does not fit into the context.

    Args:
        prompt: The prompt.
        answer: The answer to it.
        need: What is asked.
        max_length: The model's context in tokens.
    """
    ids = prompt.go_on(answer, need.message)
    if len(ids) + need.max_tokens <= max_length:
        return ids
    log.warning(
        "the turn that asks about the answer to %r does not fit into the context: %d tokens, and %d for the reply",
        *(prompt.question, len(ids), need.max_tokens),
    )
    return None
