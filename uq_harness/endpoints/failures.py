"""What went wrong with a request, in words that name the endpoint and the fix; the key is never among them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from uq_harness.endpoints.settings import Endpoint
from uq_harness.errors import UQHarnessError, close_names
from uq_harness.hub import brief

# A key shorter than this may be part of a word by chance, so only a whole word is taken for it.
_LONG_KEY = 16
_UNSUPPORTED = ("unsupported_parameter", "unsupported_value")
TRANSIENT = (408, 409, 429)
ABOUT_ONE_REQUEST = (400, 413, 422, 501)


class EndpointError(UQHarnessError):
    """An endpoint that cannot be used: not there, no longer there, or without this model or key."""


class EndpointDown(EndpointError):
    """An endpoint that cannot be reached, does not reply, or keeps failing; it may come back."""


class NoSuchAddress(EndpointError):
    """An endpoint that has no such address, or no such model."""


class RequestRefused(EndpointError):
    """An endpoint that refuses this very request, and may take the next."""


class NotAReply(Exception):
    """Something came back that is not what was asked for."""


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    from openai import APIConnectionError, APIStatusError

    if isinstance(error, APIStatusError):
        spent = error.status_code == 429 and error.code == "insufficient_quota"
        lasting = error.status_code in ABOUT_ONE_REQUEST
        return (error.status_code in TRANSIENT or error.status_code >= 500) and not lasting and not spent
    return isinstance(error, APIConnectionError | NotAReply | TimeoutError)


def refused_setting(error: Any) -> str:
    """The setting that a model does not take at all: ``max_tokens``, ``temperature``, or none of them.

    A value out of range is another refusal, and so is a message that is too long; the result is empty then.
    """
    if error.status_code not in ABOUT_ONE_REQUEST:
        return ""
    said = str(_said(error)).lower()
    if "max_tokens" in said and "max_completion_tokens" in said:
        return "max_tokens"
    unsupported = error.code in _UNSUPPORTED or re.search(r"unsupported|not support|only the default", said)
    named = [name for name in ("max_tokens", "temperature") if error.param == name or name in said]
    return named[0] if unsupported and named else ""


def wanted_wait(error: BaseException | None) -> float:
    """The seconds that an endpoint asks to wait, at most two minutes; 0 where it does not say."""
    response = getattr(error, "response", None)
    try:
        return min(120.0, max(0.0, float(response.headers["retry-after"]))) if response is not None else 0.0
    except (KeyError, ValueError):
        return 0.0


def explain(error: Exception, endpoint: Endpoint, key: str | None, known: Sequence[str]) -> EndpointError:
    """The error that a user sees.

    Args:
        error: What the client raised.
        endpoint: The endpoint.
        key: The key, which must not appear in a message even if the endpoint sends it back.
        known: The models that the endpoint lists, where it does.
    """
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    where = f"the endpoint {endpoint.url}"
    if isinstance(error, APITimeoutError | TimeoutError):
        text = f"{where} did not reply within {endpoint.timeout:g} s: raise timeout, or lower {endpoint.limit_name}"
        return EndpointDown(text)
    if isinstance(error, APIConnectionError):
        reason = without_key(key, brief(_reason(error)))
        return EndpointDown(f"{where} cannot be reached ({reason}): start it, or correct base_url")
    said = without_key(key, brief(_said(error)))
    if isinstance(error, APIStatusError):
        if 300 <= error.status_code < 400:
            to = without_key(key, brief(error.response.headers.get("location", "nowhere")))
            return EndpointError(f"{where} redirects to {to}, which is not followed: give the right base_url")
        return explain_status(error.status_code, said, endpoint, key is not None, known)
    return EndpointError(
        f"{where} replied with something else than a completion ({said}): base_url must be that of an "
        "OpenAI-compatible API; it usually ends in /v1"
    )


def explain_status(
    status: int, said: str, endpoint: Endpoint, with_key: bool, known: Sequence[str] = ()
) -> EndpointError:
    """The error that a user sees about a status code.

    Args:
        status: The status, 400 or higher.
        said: What the endpoint said, without the key.
        endpoint: The endpoint.
        with_key: Whether the request had a key.
        known: The models that the endpoint lists, where it does.
    """
    where = f"the endpoint {endpoint.url}"
    if status in (401, 403):
        fix = f"check the key in {endpoint.key_variable}" if with_key else endpoint.how_to_give_a_key()
        return EndpointError(f"{where} refuses access ({said}): {fix}")
    if status == 404:
        return NoSuchAddress(
            f"{where} does not know the model {endpoint.model!r}, or base_url is wrong; it usually ends in /v1 "
            f"({said}){known_models(endpoint.model, known)}"
        )
    if status in ABOUT_ONE_REQUEST:
        return RequestRefused(f"{where} refuses the request ({said}){known_models(endpoint.model, known)}")
    if status in TRANSIENT or status >= 500:
        return EndpointDown(f"{where} keeps failing ({said}): try again later, or lower {endpoint.limit_name}")
    return EndpointError(f"{where} fails ({said})")


def _reason(error: BaseException) -> object:
    """Why a connection failed: in the operating system's words where it says so, else in the HTTP client's."""
    origin: BaseException | None = error
    while origin is not None:
        if isinstance(origin, OSError) and origin.errno is not None:
            return os.strerror(origin.errno) if origin.errno > 0 else origin  # below 0: a name that is not known
        origin = origin.__cause__ or origin.__context__
    return error.__cause__ or error


def _said(error: Exception) -> object:
    """What the endpoint says of the error, wherever it put that."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error")
    return body or getattr(error, "message", error)


def known_models(model: str, known: Sequence[str]) -> str:
    """The end of a message: the models that there are, the most similar first."""
    if not known or model in known:
        return ""
    close = close_names(model, known, cutoff=0.5)
    shown = [*close, *(name for name in known if name not in close)][:5]
    more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    return f": it lists the models {', '.join(shown)}{more}"


def without_key(key: str | None, text: str) -> str:
    r"""The text without the key; a short one is cut out where it stands alone, not out of a longer word.

    It is found also as JSON, Python and addresses write it.

    >>> without_key("a'b/c-0123456789", "401 for 'a\'b/c-0123456789' and a%27b%2Fc-0123456789")
    "401 for '[key]' and [key]"
    """
    if not key:
        return text
    for written in dict.fromkeys(
        (key, json.dumps(key)[1:-1], key.replace("\\", "\\\\").replace("'", "\\'"), quote(key, ""))
    ):
        pattern = re.escape(written)
        text = re.sub(pattern if len(key) >= _LONG_KEY else rf"(?<![\w-]){pattern}(?![\w-])", "[key]", text)
    return text
