"""Where a model is, and how it is asked."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn
from urllib.parse import urlsplit

from uq_harness.endpoints.thinking import THINK_END
from uq_harness.errors import UQHarnessError

OPENAI_URL = "https://api.openai.com/v1"
OPENAI_KEY = "OPENAI_API_KEY"


@dataclass(frozen=True)
class Endpoint:
    """A model behind an OpenAI-compatible endpoint.

    Attributes:
        model: The name by which the endpoint knows the model.
        base_url: Where ``/chat/completions`` and ``/completions`` are, such as ``http://localhost:8000/v1``; None
            means the environment variable OPENAI_BASE_URL, or OpenAI's own.
        api_key_env: The environment variable that holds the key; None means OPENAI_API_KEY, which goes out over https
            and to this machine, not over plain http to another one. Without it a request goes out with no key
            unless it goes to OpenAI.
        temperature: Sampling temperature; None leaves it to the endpoint, and so does a model that allows no other.
        max_tokens: The longest reply; None leaves it to the endpoint.
        think_end: The mark that ends what the model thinks aloud before it replies, such as ``[/THINK]``, or
            ``<|channel|>final<|message|>`` for gpt-oss.
        timeout: Seconds to wait for a whole reply, from the connection to its last byte.
        concurrency: The most requests at a time.
        retries: How often a request is sent again after a lost connection, a timeout, or status 408, 409, 429 or 5xx.
        backoff: The mean wait before a retry is half of this many seconds, and doubles with each, up to a minute.
        requests_per_minute: How many requests may be sent within a minute; None for no limit.

    Raises:
        UQHarnessError: A value is not allowed.

    >>> Endpoint("judge-7b", "http://localhost:8000/v1/").url
    'http://localhost:8000/v1'
    """

    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = 0.0
    max_tokens: int | None = None
    think_end: str = THINK_END
    timeout: float = 60.0
    concurrency: int = 8
    retries: int = 6
    backoff: float = 1.0
    requests_per_minute: float | None = None
    limit_name: ClassVar[str] = "concurrency"  # what users call it, for messages

    def __post_init__(self) -> None:
        if not isinstance(self.model, str) or not self.model.strip():
            self._refuse("model", "the name by which the endpoint knows the model")
        if self.base_url is not None and not isinstance(self.base_url, str):
            self._refuse("base_url", "an address such as http://localhost:8000/v1")
        _check_url(self.url)
        _check_variable(self.api_key_env)
        if self.temperature is not None and not _is_number(self.temperature, 0):
            self._refuse("temperature", "a number from 0 on, or nothing to leave it to the endpoint")
        if self.max_tokens is not None and not _is_whole(self.max_tokens, 1):
            self._refuse("max_tokens", "a whole number from 1 on, or nothing to leave it to the endpoint")
        if not isinstance(self.think_end, str) or not self.think_end.strip():
            self._refuse("think_end", f"the mark that ends a thought, such as {THINK_END}")
        if not _is_number(self.timeout, 0) or not self.timeout:
            self._refuse("timeout", "a number of seconds above 0")
        if not _is_whole(self.concurrency, 1):
            self._refuse("concurrency", "a whole number from 1 on")
        if not _is_whole(self.retries, 0):
            self._refuse("retries", "a whole number from 0 on")
        if not _is_number(self.backoff, 0):
            self._refuse("backoff", "a number of seconds from 0 on")
        if self.requests_per_minute is not None and not (
            _is_number(self.requests_per_minute, 0) and self.requests_per_minute
        ):
            self._refuse("requests_per_minute", "a number above 0, or nothing for no limit")

    @property
    def url(self) -> str:
        """The address that is used, without a slash at its end."""
        return (self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL).strip().rstrip("/")

    @property
    def key_variable(self) -> str:
        """The name of the environment variable that holds the key."""
        return self.api_key_env or OPENAI_KEY

    def key(self) -> str | None:
        """The key; None where none is set and none is needed, or where the default one is not to go.

        Raises:
            UQHarnessError: A key is needed and there is none, or it cannot be one. No message holds the key, nor a
                name that may be one.
        """
        if self.api_key_env is None and not self._takes_the_default_key:
            return None
        key = os.environ.get(self.key_variable, "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise UQHarnessError(
                f"the environment variable {self.key_variable} holds white space or other characters "
                "that no key has: set it again"
            )
        if not key and self.api_key_env:
            # the name is not quoted: a user may have put the key itself there
            raise UQHarnessError(
                f"no key for {self.url}: the environment variable that api_key_env names is not set. Set it, or name "
                "the one that holds the key"
            )
        if not key and self.url == OPENAI_URL:
            raise UQHarnessError(
                f"no key for {self.url}: the environment variable {self.key_variable} is not set. Set it, or name the "
                "one that holds the key with api_key_env"
            )
        return key or None

    def how_to_give_a_key(self) -> str:
        """What to do where an endpoint wants a key and got none."""
        if self._takes_the_default_key:
            return f"set {self.key_variable} to a key"
        return (
            f"{OPENAI_KEY} is not sent over plain http to another machine: use https, or name the environment variable "
            "that holds the key with api_key_env"
        )

    @property
    def _takes_the_default_key(self) -> bool:
        parts = urlsplit(self.url)
        return parts.scheme == "https" or _is_this_machine(parts.hostname or "")

    def describe(self) -> dict[str, Any]:
        """The settings as plain JSON values, with the address that is used; never the key."""
        return {**dataclasses.asdict(self), "base_url": self.url, "api_key_env": self.known_variable}

    @property
    def known_variable(self) -> str | None:
        """``api_key_env`` if such a variable is set; what names none may be the key itself and is left out."""
        return self.api_key_env if self.api_key_env and self.api_key_env in os.environ else None

    def _refuse(self, setting: str, allowed: str) -> NoReturn:
        raise UQHarnessError(f"endpoint: {setting}={getattr(self, setting)!r} is not allowed, use {allowed}")


@dataclass(frozen=True)
class ServerEndpoint(Endpoint):
    """The endpoint of a model that lm_eval evaluates; its arguments have lm_eval's names."""

    limit_name: ClassVar[str] = "num_concurrent"


def _check_url(url: str) -> None:
    if "@" in url or "?" in url or "#" in url:
        # not quoted: it may be a secret
        raise UQHarnessError(
            "endpoint: base_url holds a user, a password or a query, which would end up in results: give the bare "
            "address, and the key in the environment"
        )
    if not _is_address(url):
        raise UQHarnessError(
            f"endpoint: base_url={url!r} is not allowed, use an address such as http://localhost:8000/v1"
        )


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # reading them checks brackets and the port's range
        (host or "").encode("idna")
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and url.isprintable() and " " not in url


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_variable(name: object) -> None:
    if name is not None and not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)):
        # not quoted: it may be the key itself
        raise UQHarnessError(
            "endpoint: api_key_env is not allowed: it is the name of the environment variable that holds the key, "
            "such as OPENAI_API_KEY, never the key itself"
        )


def _is_number(value: object, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value < float("inf")


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
