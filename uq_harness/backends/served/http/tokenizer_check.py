"""Whether the tokenizer here is that of the server; with another one, answers are rubbish that looks real."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from uq_harness.backends.served.http.dialect import Dialect
from uq_harness.endpoints.failures import EndpointDown, EndpointError
from uq_harness.endpoints.tokens import TokenClient
from uq_harness.errors import UQHarnessError

log = logging.getLogger(__name__)
# Letters, digits, white space, and what few vocabularies have whole.
SAMPLE = 'What is 1,984 + 7?\n\n\tDoes naïve Größe fit in 東京, "O\'Neill"?  ∑ x² ≥ 0 🙂'


def check_tokenizer(
    client: TokenClient,
    dialect: Dialect,
    name: str,
    text_ids: Sequence[int],
    chat_ids: Sequence[int] | None,
    template_arguments: dict[str, Any],
) -> None:
    """Compares the tokens of `SAMPLE` here with those that the server makes of it.

    Args:
        client: Sends the requests.
        dialect: How the server puts them.
        name: The tokenizer's name, for messages.
        text_ids: The tokens of the bare text, with the special tokens that the tokenizer adds.
        chat_ids: Those of a chat with it as the user's message; ``None`` where there is no chat template.
        template_arguments: Further arguments of the chat template.

    Raises:
        UQHarnessError: They differ.
    """
    theirs = _tokens(client, dialect, dialect.tokenize_text(SAMPLE))
    if theirs is None:
        log.warning(
            "the endpoint %s does not say how it makes tokens of texts: whether tokenizer=%s is that of its model "
            "cannot be checked",
            client.endpoint.url,
            name,
        )
        return
    if list(theirs) != list(text_ids):
        place = next((i for i, (a, b) in enumerate(zip(theirs, text_ids, strict=False)) if a != b), None)
        where = f"from place {place} on" if place is not None else "in their number"
        raise UQHarnessError(
            f"tokenizer={name} is not that of the model {client.endpoint.model} at {client.endpoint.url}: their tokens "
            f"of the same text differ {where}. Name the repository or folder that the server has loaded"
        )
    chat = None if chat_ids is None else _tokens(client, dialect, dialect.tokenize_chat(SAMPLE, template_arguments))
    if chat is not None and chat_ids is not None and list(chat) != list(chat_ids):
        log.warning(
            "the chat template of tokenizer=%s is not the one that the endpoint %s uses for chats (or it writes the "
            "time): prompts are made by the one here",
            name,
            client.endpoint.url,
        )


def _tokens(client: TokenClient, dialect: Dialect, request: tuple[str, dict[str, Any]]) -> Sequence[int] | None:
    try:
        return dialect.tokens(client.post(*request))
    except EndpointDown:
        raise
    except EndpointError:  # no such address, or it does not take this
        return None
