"""Asks a chat model: one message with its reply."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from uq_harness.endpoints.client import EndpointClient
from uq_harness.endpoints.failures import NotAReply, refused_setting
from uq_harness.endpoints.thinking import without_thoughts

log = logging.getLogger(__name__)
# What models refused, by address and name, so that only the first request of a run finds out.
_refused: dict[tuple[str, str], frozenset[str]] = {}


@dataclass(frozen=True)
class Reply:
    """What a chat model said.

    Attributes:
        text: The reply, without what the model thought aloud before it.
        cut: Whether it ended at the token limit.
    """

    text: str
    cut: bool


class ChatClient(EndpointClient):
    """Sends messages to a chat model; threads may share it."""

    def check(self) -> None:
        """Sends one small request, tried twice, so that a wrong address, key or model shows before any work.

        Raises:
            EndpointError: The endpoint cannot be used; the message names its address and the fix.
        """
        self._send("Reply with one word: yes", retries=min(1, self.endpoint.retries))

    def ask(self, message: str) -> Reply:
        """The reply to a user's message.

        Raises:
            EndpointError: The endpoint cannot be used, after all retries; `RequestRefused` where only this request
                was refused.
        """
        return self._send(message, self.endpoint.retries)

    def _send(self, message: str, retries: int) -> Reply:
        return self._with_retries(lambda: self._complete(_writable(message)), retries)[0]

    def _complete(self, message: str) -> Reply:
        from openai import APIStatusError

        while True:
            settings = self._settings()
            try:
                return self._read(self._request(message, settings))
            except APIStatusError as error:
                setting = refused_setting(error)
                if setting not in settings:
                    raise
                self._learn(setting)

    def _settings(self) -> dict[str, Any]:
        """What is sent with the message: the endpoint's settings, less what its model refuses."""
        endpoint = self.endpoint
        refused = _refused.get((endpoint.url, endpoint.model), frozenset())
        limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
        settings = {"temperature": endpoint.temperature, limit: endpoint.max_tokens}
        return {name: value for name, value in settings.items() if value is not None and name not in refused}

    def _learn(self, setting: str) -> None:
        key = (self.endpoint.url, self.endpoint.model)
        if setting in _refused.setdefault(key, frozenset()):
            return  # another thread learnt it
        _refused[key] |= {setting}
        instead = {"max_tokens": "max_completion_tokens takes its place"}.get(setting, "it is left to the endpoint")
        log.warning("the model %s refuses the setting %s: %s", self.endpoint.model, setting, instead)

    def _request(self, message: str, settings: dict[str, Any]) -> Any:
        completions: Any = self._openai.chat.completions
        messages = [{"role": "user", "content": message}]
        return self._within_time(lambda: completions.create(model=self.endpoint.model, messages=messages, **settings))

    def _read(self, completion: Any) -> Reply:
        text, cut = _read(completion)
        return Reply(without_thoughts(text, self.endpoint.think_end), cut)


def _read(completion: Any) -> tuple[str, bool]:
    """The text that came back, and whether it was cut; endpoints send all sorts of things with status 200.

    Raises:
        NotAReply: It is not a chat completion.
    """
    choices = getattr(completion, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    text = getattr(message, "content", None)
    if message is None or not isinstance(text, str | None):
        raise NotAReply(completion if isinstance(completion, str) and completion.strip() else "no choices in it")
    return _writable(text or ""), getattr(choice, "finish_reason", None) == "length"


def _writable(text: str) -> str:
    """The text with a question mark for each half of a surrogate pair, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode("utf-8")
