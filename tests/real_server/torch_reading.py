"""An engine's replies with every log-probability taken from torch: what the engine wrote, read by another program."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from transformers import PreTrainedModel

from uq_harness.backends.served.engine import Ability, Engine, Steps
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest

T = TypeVar("T")


class TorchReading:
    """An engine whose tokens are another's, and whose log-probabilities are a model's in float64.

    Args:
        engine: Answers the requests.
        model: The same model in torch.
    """

    def __init__(self, engine: Engine, model: PreTrainedModel) -> None:
        self._engine, self._model = engine, model
        self.most_alternatives = engine.most_alternatives
        self.worst = 0.0  # difference of a log-probability

    def lacks(self, ability: Ability) -> str | None:
        return self._engine.lacks(ability)

    def describe(self) -> dict[str, Any]:
        return self._engine.describe()

    def drive(
        self, work: Iterable[Callable[[], Steps[T]]], at_a_time: int
    ) -> Iterator[tuple[int, T | QuestionRefusedError]]:
        return self._engine.drive((lambda begin=begin: self._read(begin()) for begin in work), at_a_time)

    def _read(self, steps: Steps[T]) -> Steps[T]:
        """The same piece of work, which gets the replies as torch reads them."""
        requests = next(steps)
        while True:
            replies = yield requests
            try:
                requests = steps.send([self._reply(*one) for one in zip(requests, replies, strict=True)])
            except StopIteration as end:
                return end.value

    def _reply(self, request: TokenRequest, reply: TokenReply) -> TokenReply:
        choices = tuple(self._choice(request, choice) for choice in reply.choices)
        if not request.forced:
            return replace(reply, choices=choices)
        start = len(request.prompt_ids) - request.forced
        rows = self._rows(request.prompt_ids, start)
        given = rows[range(len(rows)), list(request.prompt_ids[start:])]
        self._compare(given, reply.forced)
        top = tuple(np.sort(row)[::-1][: request.forced_top] for row in rows) if request.forced_top else ()
        return replace(reply, choices=choices, forced=given, forced_top=top)

    def _choice(self, request: TokenRequest, choice: Choice) -> Choice:
        rows = self._rows((*request.prompt_ids, *choice.token_ids), len(request.prompt_ids))
        own = rows[range(len(rows)), list(choice.token_ids)]
        self._compare(own, choice.logprobs)
        top = tuple(
            {token: float(row[token]) for token in told} for row, told in zip(rows, choice.top, strict=bool(choice.top))
        )
        return replace(choice, logprobs=own, top=top)

    def _rows(self, tokens: tuple[int, ...], start: int) -> np.ndarray:
        """The log-probabilities of the whole vocabulary at each token from a position on."""
        with torch.inference_mode():
            logits = self._model(torch.tensor([tokens])).logits[0, start - 1 : -1]
        return torch.log_softmax(logits.double(), -1).numpy()

    def _compare(self, own: np.ndarray, told: Any) -> None:
        self.worst = max(self.worst, float(np.abs(own - np.asarray(told)).max(initial=0.0)))
