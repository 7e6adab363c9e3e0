"""Questions to a chat model whose answer is yes or no."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from uq_harness.endpoints.chat import ChatClient, Reply
from uq_harness.endpoints.failures import EndpointError, RequestRefused
from uq_harness.endpoints.replies import ReplyCache, request_key
from uq_harness.endpoints.thinking import without_thoughts
from uq_harness.hub import brief

log = logging.getLogger(__name__)
_FIRST_WORD = re.compile(r"[\W_]*([^\W\d_]+)")


def yes_or_no(reply: str) -> float:
    """1 for yes, 0 for no, as the first word says; ``nan`` if it says anything else.

    >>> [yes_or_no(reply) for reply in ("Yes.", "**no**, since ...", "I think yes", "nobody", "")]
    [1.0, 0.0, nan, nan, nan]
    """
    word = _FIRST_WORD.match(reply)
    return {"yes": 1.0, "no": 0.0}.get(word[1].lower() if word else "", math.nan)


@dataclass(frozen=True)
class Verdicts:
    """What a chat model said to many questions.

    Attributes:
        values: 1 for yes, 0 for no, ``nan`` for no verdict; one a question.
        neither: Questions whose reply begins with another word.
        cut: Requests among those sent whose reply ended at the token limit before a yes or no.
        refused: Questions that the endpoint refused.
        lost: Questions without a reply, since the endpoint failed.
        asked: Requests that were sent; the other replies were known.
        example: A reply that begins with another word, or the reason of a refusal or failure.
    """

    values: list[float]
    neither: int = 0
    cut: int = 0
    refused: int = 0
    lost: int = 0
    asked: int = 0
    example: str = ""

    @property
    def undefined(self) -> int:
        """Questions without a verdict."""
        return self.neither + self.refused + self.lost


def ask_yes_no(client: ChatClient, messages: Sequence[str], cache: ReplyCache | None, what: str) -> Verdicts:
    """Puts the questions, each distinct one once and only those whose reply is not known.

    An endpoint that fails for good ends the asking, not the caller's work: what has no reply then is undefined.

    Args:
        client: Whom to ask.
        messages: The questions.
        cache: The replies known so far; new ones are added as they come. None where there is no file for them.
        what: What the questions are about, for the progress bar and the warning.
    """
    endpoint = client.endpoint
    keys = [request_key(endpoint, message) for message in messages]
    known = cache.get(sorted(set(keys))) if cache is not None else {}
    replies = {key: without_thoughts(reply, endpoint.think_end) for key, reply in known.items()}
    new = {key: message for key, message in zip(keys, messages, strict=True) if key not in replies}
    refused: dict[str, EndpointError] = {}
    failure: EndpointError | None = None
    asked = cut = 0
    bar = tqdm(total=len(set(keys)), initial=len(set(keys)) - len(new), desc=what, disable=None if new else True)
    with bar:
        for (key, _), result in client.map(lambda item: _reply(client, item[1]), list(new.items())):
            bar.update()
            asked += 1
            if isinstance(result, Reply):
                replies[key] = result.text
                cut += result.cut and math.isnan(yes_or_no(result.text))
                if cache is not None:
                    cache.put(key, endpoint.model, result.text)
            elif isinstance(result, RequestRefused):
                refused[key] = result
            else:
                failure = failure or result
                client.stop()
    values = [yes_or_no(replies[key]) if key in replies else math.nan for key in keys]
    odd = next((replies[k] for k, v in zip(keys, values, strict=True) if math.isnan(v) and k in replies), None)
    verdicts = Verdicts(
        values,
        neither=sum(math.isnan(v) and k in replies for k, v in zip(keys, values, strict=True)),
        cut=cut,
        refused=sum(key in refused for key in keys),
        lost=sum(key not in replies and key not in refused for key in keys),
        asked=asked,
        example=str(failure or next(iter(refused.values()), None) or (repr(brief(odd)) if odd is not None else "")),
    )
    _warn(verdicts, what)
    return verdicts


def _reply(client: ChatClient, message: str) -> Reply | EndpointError:
    try:
        return client.ask(message)
    except EndpointError as error:
        return error


def _warn(verdicts: Verdicts, what: str) -> None:
    total = len(verdicts.values)
    if verdicts.neither:
        log.warning(
            "%s: %d of %d replies begin with neither yes nor no and are undefined", what, verdicts.neither, total
        )
    if verdicts.cut:
        log.warning(
            "%s: %d of %d new replies ended at the token limit before a yes or no: raise max_tokens, or leave it to "
            "the endpoint with null; models that think before they answer need thousands",
            what,
            verdicts.cut,
            verdicts.asked,
        )
    if verdicts.refused:
        log.warning("%s: %d of %d questions were refused and are undefined", what, verdicts.refused, total)
    if verdicts.lost:
        log.error(
            "%s: %d of %d questions have no reply and are undefined; what has one is kept, so start again to ask for "
            "the rest",
            what,
            verdicts.lost,
            total,
        )
    if verdicts.undefined and verdicts.example:
        log.warning("%s: for example: %s", what, verdicts.example)
