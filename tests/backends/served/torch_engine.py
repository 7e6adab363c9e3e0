"""An engine in torch: answers token requests from a model in memory, one request at a time, with float32 values.

Each request goes through the model alone, so that no reply depends on what else is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.backends.served.drivers import in_rounds, in_threads
from uq_harness.backends.served.engine import Ability, Steps
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest, Usage

T = TypeVar("T")


@dataclass
class TorchEngine:
    """The engine.

    Attributes:
        model: A decoder-only model in evaluation mode.
        tokenizer: Its tokenizer, which stop strings are looked for with; none if absent.
        most_alternatives: As in `Engine`.
        driver: ``threads`` or ``rounds``.
        lacking: What it lacks, in words, by ability.
        refuses: Which requests it refuses.
        change: What becomes of a reply before it is given.
        sent: Every request that it was sent.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None = None
    most_alternatives: int = 20
    driver: str = "rounds"
    lacking: Mapping[Ability, str] = field(default_factory=dict)
    refuses: Callable[[TokenRequest], bool] = lambda request: False
    change: Callable[[TokenRequest, TokenReply], TokenReply] = lambda request, reply: reply
    sent: list[TokenRequest] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def lacks(self, ability: Ability) -> str | None:
        return self.lacking.get(ability)

    def describe(self) -> dict[str, Any]:
        return {"engine": "torch"}

    def drive(
        self, work: Iterable[Callable[[], Steps[T]]], at_a_time: int
    ) -> Iterator[tuple[int, T | QuestionRefusedError]]:
        if self.driver == "threads":
            return in_threads(self.ask, work, at_a_time, requests_at_a_time=3)
        return in_rounds(lambda requests: [self._outcome(request) for request in requests], work, at_a_time)

    def ask(self, request: TokenRequest) -> TokenReply:
        with self._lock, torch.inference_mode():
            self.sent.append(request)
            if self.refuses(request):
                raise QuestionRefusedError(f"a prompt of {len(request.prompt_ids)} tokens is refused")
            reply = self._write(request) if request.max_tokens else self._read(request)
        usage = Usage(1, len(request.prompt_ids), sum(len(one.token_ids) for one in reply.choices))
        return self.change(request, replace(reply, usage=usage))

    def _outcome(self, request: TokenRequest) -> TokenReply | QuestionRefusedError:
        try:
            return self.ask(request)
        except QuestionRefusedError as error:
            return error

    def _read(self, request: TokenRequest) -> TokenReply:
        """Given tokens, with the likeliest ones beside them; the token itself is among them or comes last."""
        ids = torch.tensor([request.prompt_ids])
        first = len(request.prompt_ids) - request.forced
        logprobs = self.model(ids).logits[0, first - 1 : -1].float().log_softmax(-1)
        own = logprobs.gather(-1, ids[0, first:, None])[:, 0]
        rows = []
        if request.forced_top:
            values, tokens = logprobs.topk(request.forced_top)
            for place in range(request.forced):
                beside = [] if ids[0, first + place] in tokens[place] else [own[place : place + 1]]
                rows.append(torch.cat([values[place], *beside]).numpy().astype(np.float64))
        return TokenReply(forced=own.numpy().astype(np.float64), forced_top=tuple(rows))

    def _write(self, request: TokenRequest) -> TokenReply:
        noise = [torch.Generator().manual_seed(request.seed + number) for number in range(request.count)]
        cache = DynamicCache()
        ids = torch.tensor([request.prompt_ids]).expand(request.count, -1)
        tokens: list[list[int]] = [[] for _ in noise]
        values: list[list[float]] = [[] for _ in noise]
        tops: list[list[Mapping[int, float]]] = [[] for _ in noise]
        ended = [False] * request.count
        for _ in range(request.max_tokens):
            logits = self.model(ids, past_key_values=cache, use_cache=True).logits[:, -1].float()
            logprobs = logits.log_softmax(-1)
            chosen = [_next(row, request, one) for row, one in zip(logits, noise, strict=True)]
            for row, token in enumerate(chosen):
                if not ended[row]:
                    tokens[row].append(token)
                    values[row].append(float(logprobs[row, token]))
                    tops[row].append(_likeliest(logprobs[row], token, request.top))
                    ended[row] = token in request.end_ids or self._stops(tokens[row], request)
            if all(ended):
                break
            ids = torch.tensor(chosen)[:, None]
        return TokenReply(
            tuple(
                Choice(tuple(one), np.array(value), tuple(top) if request.top else (), over)
                for one, value, top, over in zip(tokens, values, tops, ended, strict=True)
            )
        )

    def _stops(self, tokens: list[int], request: TokenRequest) -> bool:
        if not request.stop_strings or self.tokenizer is None:
            return False
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return any(stop in text for stop in request.stop_strings)


def _next(logits: Tensor, request: TokenRequest, noise: torch.Generator) -> int:
    """The likeliest token, or one that is drawn behind temperature, top-k and top-p, in this order."""
    if request.temperature == 0:
        return int(logits.argmax())
    heated, ids = (logits / request.temperature).sort(descending=True, stable=True)
    if request.top_k:
        heated = heated[: request.top_k]
    probabilities = heated.softmax(-1)
    if request.top_p < 1:
        before = probabilities.cumsum(-1) - probabilities
        probabilities = probabilities.masked_fill(before >= request.top_p, 0)
    return int(ids[torch.multinomial(probabilities, 1, generator=noise)])


def _likeliest(logprobs: Tensor, token: int, top: int) -> Mapping[int, float]:
    """The likeliest tokens, and the one that was written."""
    if not top:
        return {}
    values, ids = logprobs.topk(min(top, len(logprobs)))
    return {**dict(zip(ids.tolist(), values.tolist(), strict=True)), token: float(logprobs[token])}
