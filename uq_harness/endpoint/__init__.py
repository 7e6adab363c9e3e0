"""Chat models behind an OpenAI-compatible endpoint: requests with retries, many at a time, and yes/no questions.

An `Endpoint` is the settings, checked when it is built. A `ChatClient` sends requests; `ask_yes_no` puts many questions
whose answer's first word decides, and keeps the replies in a `ReplyCache`. The key comes from the environment and goes
nowhere but into the request.
"""

from uq_harness.endpoint._client import ChatClient, Reply
from uq_harness.endpoint._failures import EndpointError, RequestRefused
from uq_harness.endpoint._replies import ReplyCache, default_cache_file
from uq_harness.endpoint._settings import Endpoint
from uq_harness.endpoint._yes_no import Verdicts, ask_yes_no, yes_or_no

__all__ = [
    "ChatClient",
    "Endpoint",
    "EndpointError",
    "Reply",
    "ReplyCache",
    "RequestRefused",
    "Verdicts",
    "ask_yes_no",
    "default_cache_file",
    "yes_or_no",
]
