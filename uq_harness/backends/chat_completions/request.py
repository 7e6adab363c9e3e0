"""What a chat endpoint is asked: the request, and its body with the settings that the endpoint takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from uq_harness.evidence.prompt import Prompt

Message = Mapping[str, Any]
# OpenAI takes no more; the rest of an answer is cut where it is read.
_MOST_STOP_STRINGS = 4
# What a request leaves out, a server may take from the model's generation_config.json.
PENALTIES = {"presence_penalty": 0.0, "frequency_penalty": 0.0}
EXTENSIONS = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}


@dataclass(frozen=True)
class ChatPrompt(Prompt):
    """A prompt made of messages.

    Attributes:
        messages: The whole conversation, the question's message last.
    """

    messages: Sequence[Message] = ()


@dataclass(frozen=True)
class ChatRequest:
    """Asks for the next message of a conversation.

    Attributes:
        messages: The conversation.
        max_tokens: Limit on the tokens of each answer.
        temperature: 0 for greedy answers, else what divides the logits.
        top_p: Smallest mass of the likeliest tokens that are drawn from; 1 for all.
        top_k: Number of the likeliest tokens that are drawn from; 0 for all.
        seed: Seed of the first answer.
        count: Number of answers.
        stop_strings: Texts that end an answer.
        logprobs: Whether log-probabilities of the answers' tokens are wanted.
        top: Number of likeliest tokens to tell beside each.
    """

    messages: Sequence[Message]
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    count: int = 1
    stop_strings: tuple[str, ...] = ()
    logprobs: bool = False
    top: int = 0


@dataclass(frozen=True)
class TakenSettings:
    """Which settings an endpoint takes in a request; the others are left out of the body.

    Attributes:
        limit: The name of the limit on tokens.
        names: Of ``top_p``, ``penalties`` (see `PENALTIES`), ``extensions`` (see `EXTENSIONS`), ``seed``, ``logprobs``,
            ``top_logprobs`` and ``stop`` those that are taken.
    """

    limit: str = "max_tokens"
    names: frozenset[str] = field(default_factory=frozenset)

    def plus(self, name: str) -> TakenSettings:
        """The same, with a further name."""
        return replace(self, names=self.names | {name})

    def body(self, request: ChatRequest, model: str) -> dict[str, Any]:
        """The body of a request."""
        optional: dict[str, dict[str, Any]] = {
            "top_p": {"top_p": request.top_p},
            "penalties": PENALTIES,
            "extensions": EXTENSIONS | ({"top_k": request.top_k} if request.top_k else {}),
            "seed": {"seed": request.seed},
            "logprobs": {"logprobs": True} if request.logprobs else {},
            "top_logprobs": {"logprobs": True, "top_logprobs": request.top} if request.top else {},
            "stop": {"stop": list(request.stop_strings[:_MOST_STOP_STRINGS])} if request.stop_strings else {},
        }
        body = {
            "model": model,
            "messages": [dict(message) for message in request.messages],
            "temperature": request.temperature,
            self.limit: request.max_tokens,
            **({"n": request.count} if request.count > 1 else {}),
        }
        for name in optional:
            if name in self.names:
                body |= optional[name]
        return body
