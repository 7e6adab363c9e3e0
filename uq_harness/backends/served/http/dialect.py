"""The contract of a dialect: how one kind of server puts token requests and replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from uq_harness.backends.served.engine import Ability
from uq_harness.backends.served.requests import TokenReply, TokenRequest
from uq_harness.errors import UQHarnessError


class UnexpectedReplyError(UQHarnessError):
    """A reply with status 200 that is not what was asked for."""


class Dialect(Protocol):
    """How one kind of server puts token requests and replies.

    Attributes:
        path: Where requests go, below ``base_url``, or a whole address.
        ways_out: For an ability that a server does not have, what its user can do.
    """

    path: str
    ways_out: Mapping[Ability, str]

    def body(self, request: TokenRequest) -> dict[str, Any]:
        """The body of a request; every setting is in it, since what is left out the server takes from the model."""

    def read(self, reply: Mapping[str, Any], request: TokenRequest) -> TokenReply:
        """The reply in plain numbers, with its usage but for the time.

        Raises:
            UnexpectedReplyError: It is not the reply to this request; the message says what is wrong with it.
        """

    def tokenize_text(self, text: str) -> tuple[str, dict[str, Any]]:
        """Address and body of a request for the server's tokens of a text."""

    def tokenize_chat(self, message: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Address and body of a request for the server's tokens of a chat with one user's message.

        Args:
            message: The message.
            arguments: Further arguments of the chat template.
        """

    def tokens(self, reply: Mapping[str, Any]) -> Sequence[int] | None:
        """The tokens in the reply to these; ``None`` where it has none."""
