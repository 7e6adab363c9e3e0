"""vLLM in this process as an engine: all requests of a round in one call of ``LLM.generate``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from uq_harness.backends.served.abilities import missing
from uq_harness.backends.served.drivers import in_rounds
from uq_harness.backends.served.engine import Ability, Steps
from uq_harness.backends.served.http.probes import probe
from uq_harness.backends.served.requests import Choice, QuestionRefusedError, TokenReply, TokenRequest, Usage
from uq_harness.backends.served.steps import Outcome
from uq_harness.backends.told_logprobs import likeliest, told_logprob
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Need

T = TypeVar("T")


class VLLMEngine:
    """Answers token requests by vLLM's ``LLM``.

    vLLM draws sample i of a request from the seed s + i, also in process, so a request with a count is one request of
    vLLM's. Greedy requests carry no seed.

    Args:
        model: vLLM's ``LLM``, loaded.
        prompt_ids: A prompt of two tokens or more, for the requests that find out what it is able to do.
        lora_request: The adapter that answers; ``None`` for none.

    Attributes:
        most_alternatives: How many likeliest tokens it tells at most (vLLM's ``max_logprobs``).
    """

    def __init__(self, model: Any, prompt_ids: Sequence[int], lora_request: Any = None) -> None:
        self._vllm = import_module("vllm")
        self._model, self._lora = model, lora_request
        self._config = model.llm_engine.model_config
        self._vocabulary = int(self._config.get_vocab_size())
        most = int(self._config.max_logprobs)
        self.most_alternatives = self._vocabulary if most < 0 else most
        self._lacking = probe(self._ask, prompt_ids).lacking

    def lacks(self, ability: Ability) -> str | None:
        """Why an ability cannot be had, as tried when the model was loaded."""
        why = self._lacking.get(ability)
        return None if why is None else f"{why}: leave out the arguments that change what vLLM tells (logprobs_mode, …)"

    def drive(
        self, work: Iterable[Callable[[], Steps[T]]], at_a_time: int
    ) -> Iterator[tuple[int, T | QuestionRefusedError]]:
        """See `Engine.drive`."""
        return in_rounds(self._generate, work, at_a_time)

    def describe(self) -> dict[str, Any]:
        """The release of vLLM, and the type in which it computes."""
        return {"name": "vllm", "version": self._vllm.__version__, "dtype": str(self._config.dtype)}

    def _ask(self, request: TokenRequest) -> TokenReply:
        (outcome,) = self._generate([request])
        if isinstance(outcome, QuestionRefusedError):
            raise outcome
        return outcome

    def _generate(self, requests: list[TokenRequest]) -> list[Outcome]:
        """The replies to some requests, in their order; the error in the place of one that vLLM would refuse."""
        found: dict[int, Outcome] = {}
        asked: dict[int, Any] = {}
        for place, request in enumerate(requests):
            try:
                asked[place] = self._parameters(request)
            except QuestionRefusedError as error:
                found[place] = error
        if not asked:
            return [found[place] for place in range(len(requests))]
        start = time.perf_counter()
        try:
            outputs = self._model.generate(
                [self._vllm.TokensPrompt(prompt_token_ids=list(requests[place].prompt_ids)) for place in asked],
                list(asked.values()),
                use_tqdm=False,
                lora_request=self._lora,
            )
        except Exception as error:  # its engine is another process, and dies in its own ways
            raise UQHarnessError(
                f"vLLM ended in the middle of its work ({type(error).__name__}: {error}): what it wrote before says "
                "why; run again, with --use_cache the answered questions are not asked again"
            ) from error
        seconds = time.perf_counter() - start
        replies = [_reply(requests[place], output) for place, output in zip(asked, outputs, strict=True)]
        found |= zip(asked, _share(replies, seconds), strict=True)
        return [found[place] for place in range(len(requests))]

    def _parameters(self, request: TokenRequest) -> Any:
        """The parameters of vLLM for a request; every one that a model's folder could set is given.

        Raises:
            QuestionRefusedError: vLLM would refuse the request, cut its answers short, or end with an error.
        """
        most = max(request.top, request.forced_top)
        if most > self.most_alternatives:
            raise QuestionRefusedError(
                f"{most} likeliest tokens are asked for, and vLLM tells {self.most_alternatives} at most: give "
                f"max_logprobs={most}"
            )
        room, tokens = int(self._config.max_model_len), max(1, request.max_tokens)  # vLLM writes one token at least
        if len(request.prompt_ids) + tokens > room:
            raise QuestionRefusedError(
                f"a prompt of {len(request.prompt_ids)} tokens and {tokens} more do not fit into the context of {room}"
            )
        foreign = next((token for token in request.prompt_ids if not 0 <= token < self._vocabulary), None)
        if foreign is not None:
            raise QuestionRefusedError(f"the prompt has the token {foreign}, and the model has {self._vocabulary}")
        try:
            return self._vllm.SamplingParams(
                n=request.count,
                temperature=request.temperature,
                top_p=request.top_p,
                top_k=request.top_k,
                min_p=0.0,
                repetition_penalty=1.0,
                presence_penalty=0.0,
                frequency_penalty=0.0,
                seed=request.seed if request.temperature > 0 else None,
                max_tokens=tokens,
                stop=list(request.stop_strings),
                stop_token_ids=list(request.end_ids),
                ignore_eos=True,  # the end tokens are those of the request
                logprobs=request.top,
                prompt_logprobs=request.forced_top if request.forced else None,
                detokenize=bool(request.stop_strings),
            )
        except Exception as error:  # vLLM's own class of errors, which has changed its place and base
            raise QuestionRefusedError(f"vLLM refuses the request: {error}") from error


@dataclass(frozen=True)
class PromisedVLLM:
    """Says what vLLM lacks for a need before a model is loaded, if it is started as it usually is.

    Attributes:
        most_alternatives: How many likeliest tokens it will tell at most.
    """

    most_alternatives: int

    def missing(self, need: Need[Any]) -> str | None:
        """See `Backend.missing`; one token is taken to end answers."""
        return missing(need, self, n_ends=1)

    def lacks(self, ability: Ability) -> str | None:
        """Nothing yet: what it lacks is found out by requests."""
        return None


def _reply(request: TokenRequest, output: Any) -> TokenReply:
    forced = request.forced
    rows = output.prompt_logprobs[-forced:] if forced else ()
    given = request.prompt_ids[-forced:] if forced else ()
    return TokenReply(
        choices=tuple(
            _choice(request.top, one) for one in sorted(output.outputs, key=lambda one: one.index) if request.max_tokens
        ),
        forced=np.array([told_logprob(row[token].logprob) for row, token in zip(rows, given, strict=True)])
        if forced
        else None,
        forced_top=tuple(np.array(list(_likeliest(row, request.forced_top).values())) for row in rows)
        if request.forced_top
        else (),
        usage=Usage(
            requests=1,
            prompt_tokens=len(output.prompt_token_ids),
            completion_tokens=sum(len(one.token_ids) for one in output.outputs),
            cached_tokens=output.num_cached_tokens or 0,
        ),
    )


def _choice(top: int, output: Any) -> Choice:
    token_ids = tuple(int(token) for token in output.token_ids)
    logprobs = [told_logprob(row[token].logprob) for row, token in zip(output.logprobs, token_ids, strict=True)]
    return Choice(
        token_ids=token_ids,
        logprobs=np.array(logprobs, dtype=np.float64),
        top=tuple(_likeliest(row, top) for row in output.logprobs) if top else (),
        ended=output.finish_reason == "stop",
    )


def _likeliest(row: Mapping[int, Any], count: int) -> dict[int, float]:
    """The likeliest tokens with their log-probabilities, best first; vLLM adds the one that was written or given."""
    return likeliest(((int(token), one.logprob) for token, one in row.items()), count)


def _share(replies: Sequence[TokenReply], seconds: float) -> list[TokenReply]:
    """The replies with their shares of the time that all of them took, by their tokens."""
    tokens = [reply.usage.prompt_tokens + reply.usage.completion_tokens for reply in replies]
    return [
        replace(reply, usage=replace(reply.usage, seconds=seconds * mine / sum(tokens)))
        for reply, mine in zip(replies, tokens, strict=True)
    ]
