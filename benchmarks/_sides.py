"""The same questions answered by a server and by the same model in torch, for the benchmark of engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from _questions import read_prompts
from transformers import AutoModelForCausalLM, AutoTokenizer

from uq_harness.answering.answerer import Answerer
from uq_harness.answering.stopping import stop_criteria
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.backends.served.http.completions import Completions
from uq_harness.backends.served.http.kept import KeptReplies
from uq_harness.backends.served.http.server import ServerEngine, open_server
from uq_harness.backends.served.requests import TokenReply, TokenRequest
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.endpoints.settings import Endpoint
from uq_harness.endpoints.tokens import TokenClient
from uq_harness.evidence import Evidence
from uq_harness.evidence.backend import first_missing
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.methods import Method, all_methods
from uq_harness.similarity.build import build_nli, build_similarity

PROBE = "What is the capital of France?"


@dataclass
class Sides:
    """A server and the model that it has loaded.

    Attributes:
        model: The model's name or folder, for torch and the tokenizer.
        base_url: The server's address.
        served_name: The name by which the server knows the model.
        questions: JSON lines with a field ``question``.
        skip: Number of the first questions that are left out.
        max_new_tokens: Limit on an answer's tokens.
        num_concurrent: Requests, and questions, under way at a time.
    """

    model: str
    base_url: str
    served_name: str
    questions: Path
    skip: int
    max_new_tokens: int
    num_concurrent: int
    sent: list[tuple[TokenRequest, TokenReply]] = field(default_factory=list)

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        return AutoTokenizer.from_pretrained(self.model)

    @cached_property
    def in_torch(self) -> Any:
        """The model in torch, in float32."""
        return AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32).eval()

    @cached_property
    def engine(self) -> RecordingEngine:
        """The server, which has been asked what it gives."""
        client = TokenClient(Endpoint(self.served_name, self.base_url, concurrency=self.num_concurrent))
        opened = open_server(
            client, Completions(self.served_name, client.root), None, self.tokenizer(PROBE)["input_ids"]
        )
        return RecordingEngine(opened, self.sent)

    @cached_property
    def max_length(self) -> int:
        """The context that both have, in tokens."""
        own = int(self.in_torch.config.max_position_embeddings)
        return min(own, self.engine.server.max_length or own)

    @property
    def stop(self) -> StopCriteria:
        """How answers end."""
        return stop_criteria(self.in_torch, self.tokenizer, stop_strings=[], max_new_tokens=self.max_new_tokens)

    def prompts(self, count: int) -> list[Prompt]:
        """Some questions as the tasks put them, longest first."""
        return read_prompts(self.tokenizer, self.questions, count, self.skip)

    def by_server(self, methods: Sequence[Method], seed: int) -> Answerer:
        """Answers and scores by the server."""
        return Answerer(self.backend(seed), (build_nli("lexical"), build_similarity("lexical")), methods)

    def backend(self, seed: int) -> ServedBackend:
        """The server as a backend."""
        return ServedBackend(
            self.engine,
            self.tokenizer,
            max_length=self.max_length,
            seed=seed,
            end_ids=self.stop.end_ids,
            pad_id=self._pad_id,
        )

    def by_torch(self, methods: Sequence[Method], seed: int) -> Answerer:
        """Answers and scores in torch."""
        backend = TransformersBackend(
            self.in_torch, self.tokenizer, max_length=self.max_length, pad_id=self._pad_id, seed=seed
        )
        return Answerer(backend, (build_nli("lexical"), build_similarity("lexical")), methods)

    def served_methods(self) -> list[Method]:
        """The methods that the server suffices for."""
        backend, known = self.backend(seed=1), [method() for method in all_methods().values()]
        return [method for method in known if first_missing(backend, method.needs()) is None]

    def answer(self, answerer: Answerer, prompts: Sequence[Prompt]) -> list[Evidence]:
        """The evidence about each prompt, in their order.

        Raises:
            ValueError: A prompt has none.
        """
        found = dict(answerer.answer(prompts, self.stop, self.num_concurrent))
        if len(found) != len(prompts):
            raise ValueError(f"{len(prompts) - len(found)} of {len(prompts)} questions were not answered")
        return [found[place] for place in range(len(prompts))]

    @property
    def _pad_id(self) -> int:
        pad: int = self.tokenizer.eos_token_id if self.tokenizer.pad_token_id is None else self.tokenizer.pad_token_id
        return pad


class RecordingEngine(ServerEngine):
    """A server that keeps what it was asked, and what it replied.

    Args:
        opened: The server.
        sent: Grows by what is asked for.
    """

    def __init__(self, opened: ServerEngine, sent: list[tuple[TokenRequest, TokenReply]]) -> None:
        self.__dict__.update(opened.__dict__)
        self._sent = sent

    def ask(self, request: TokenRequest) -> TokenReply:
        """The reply to a request, which is noted."""
        reply = super().ask(request)
        self._sent.append((request, reply))
        return reply

    def forget(self) -> None:
        """Everything is asked again from now on."""
        self._replies = KeptReplies(None)
        self._sent.clear()
