"""``uq-api`` with ``route=chat``: a model behind an endpoint that takes messages and no tokens, such as OpenAI's."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import torch
from lm_eval.models.api_models import TemplateAPI

from uq_harness.answering.answerer import Answerer, Recorder
from uq_harness.answering.chat_prompts import ChatPrompts
from uq_harness.answering.choose import choose_methods
from uq_harness.answering.options import LARGEST_SEED, take_auxiliary_models, take_options, unknown_option
from uq_harness.answering.stopping import text_stop_criteria
from uq_harness.backends.chat_completions.backend import ChatBackend
from uq_harness.backends.chat_completions.probe import open_chat
from uq_harness.backends.vocabulary import Vocabulary
from uq_harness.endpoints.first_token import NAME as FIRST_TOKEN
from uq_harness.endpoints.journal import Journal
from uq_harness.endpoints.tokens import TokenClient
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.command import begin
from uq_harness.evidence.prompt import StopCriteria
from uq_harness.methods import Method, build_methods, settings
from uq_harness.methods.arguments import read_whole
from uq_harness.models.api_arguments import journal_beside, read_endpoint, read_prices, refuse_keys
from uq_harness.models.cache_stamp import auxiliary_models, check_cache
from uq_harness.models.completions import ChatCompletions
from uq_harness.models.uncertain import UncertainLM

log = logging.getLogger(__name__)
# What lm_eval's command line adds for every model.
_OF_THE_COMMAND = ("batch_size", "device", "max_batch_size")
# Arguments of `uq-api` that concern tokens.
_OF_TOKENS = (
    "tokenizer",
    "save_samples",
    "sp_token",
    "max_length",
    "end_token_ids",
    "chat_template_args",
    "enable_thinking",
    "revision",
    "trust_remote_code",
    "add_bos_token",
    "custom_prefix_token_id",
    "eos_string",
    "use_fast_tokenizer",
)
_ANY_LENGTH = 2**31 - 1  # the endpoint knows its context, and refuses what is longer


class UQChatLM(UncertainLM, ChatCompletions):
    """A chat model behind an endpoint that takes messages, with uncertainty.

    Questions of uncertainty tasks are answered greedily and scored; every other task runs as with lm_eval's
    ``local-chat-completions``. Both need ``--apply_chat_template``. Which methods work depends on the endpoint, which
    is asked a dozen small things first.

    Args:
        base_url: Where the API is, such as ``https://api.openai.com/v1``.
        model: The name by which the endpoint knows the model.
        methods: Names joined by ``+``, or ``default`` (g_nll), ``cheap``, ``sampling``, ``all``. A set shrinks to what
            the endpoint can give.
        num_concurrent: The most questions at a time; each has one request under way.
        api_key_env: The environment variable that holds the key; OPENAI_API_KEY by default, which goes out over https
            and to this machine only.
        timeout: Seconds to wait for a whole reply.
        max_retries: How often a request is sent again after a lost connection, a timeout, or status 408, 409, 429 or
            5xx.
        requests_per_minute: The most requests of questions in a minute; by default any number.
        seed: Seed of the sampled answers; by default the one that lm_eval's ``--seed`` gives torch.
        journal: A file that keeps every reply, the answers' texts too, so that a run that was ended sends nothing
            twice; by default it is beside the files of ``--use_cache``, if that is given.
        prompt_price: The price of a million tokens of prompts; with ``completion_price`` it puts ``price`` into the
            records' ``cost``.
        completion_price: The price of a million tokens that the model writes.
        max_gen_toks: Limit on the tokens of answers whose task has none.
        think_end_token: The text that ends the model's thinking, where that is a part of its messages.
        **kwargs: Options of the chosen methods (see ``uq-harness methods``); ``nli_model`` and ``similarity_model``
            as for ``uq-hf``.

    Raises:
        UQHarnessError: An unknown method or option, a value that is not allowed, an endpoint that cannot be used, does
            not answer greedily, or does not give what a method needs.
    """

    def __init__(
        self,
        base_url: Any = None,
        model: Any = None,
        methods: str | Iterable[str] = "default",
        num_concurrent: Any = 8,
        api_key_env: Any = None,
        timeout: Any = 300,
        max_retries: Any = 6,
        requests_per_minute: Any = None,
        seed: int | None = None,
        journal: Any = None,
        prompt_price: Any = None,
        completion_price: Any = None,
        max_gen_toks: Any = 256,
        think_end_token: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_keys(kwargs)
        cache = begin()
        check_cache(cache)
        endpoint = read_endpoint(
            base_url, model, api_key_env, num_concurrent, timeout, max_retries, requests_per_minute
        )
        options = take_options(kwargs)
        build_methods(methods, options)  # so that a wrong name shows before the endpoint is asked
        self._prices = read_prices(prompt_price, completion_price)
        self._seed = torch.initial_seed() % 2**63  # lm_eval's --seed has set torch's
        if seed is not None:
            self._seed = read_whole("seed", seed, 0, LARGEST_SEED)
        max_gen_toks = read_whole("max_gen_toks", max_gen_toks, 1, _ANY_LENGTH)
        if think_end_token is not None and not (isinstance(think_end_token, str) and think_end_token):
            raise UQHarnessError(
                f"think_end_token={think_end_token!r} is not allowed: chat endpoints have no tokens, use a text "
                "such as </think>"
            )
        self._services = take_auxiliary_models(kwargs)
        _refuse_unknown(kwargs)
        where = journal if journal is not None else journal_beside(cache)
        client = TokenClient(endpoint)
        self._found = open_chat(client, endpoint.model, endpoint.url, None if where is None else Journal(where))
        self._vocabulary = Vocabulary()
        self._take(choose_methods(methods, options, self._backend(), default=("g_nll",)))
        super().__init__(
            endpoint,
            max_length=_ANY_LENGTH,
            max_gen_toks=max_gen_toks,
            think_end_token=think_end_token,
            **({} if seed is None else {"seed": self._seed}),
        )
        self._encoder = ChatPrompts()
        self._answerer = self._build_answerer(self._methods)
        self._configuration = {
            "base_url": endpoint.url,
            "model": endpoint.model,
            FIRST_TOKEN: self._found.first_token,
            "uq_harness": version("uq-harness"),
            "methods": [method.name for method in self._methods],
            **settings(self._methods),
            **({} if self._prices is None else self._prices.describe()),
            "max_gen_toks": max_gen_toks,
            "think_end_token": think_end_token,
            **{
                name: told
                for name, told in self._backend().describe().items()
                if name != "system_fingerprint"  # hosted endpoints have another one every few days
            },
            **auxiliary_models(self._answerer.describe()),
        }

    def _build_answerer(self, methods: Sequence[Method]) -> Answerer:
        return Answerer(self._backend(), self._services, methods, self._recorders())

    def _backend(self) -> ChatBackend:
        return ChatBackend(self._found, self._seed, self._vocabulary)

    def _recorders(self) -> Sequence[Recorder]:
        return () if self._prices is None else (self._prices,)

    def _stop(self, stop_strings: list[str], max_new_tokens: int) -> StopCriteria:
        return text_stop_criteria(
            self._vocabulary.decode,
            stop_strings=stop_strings,
            max_new_tokens=max_new_tokens,
            think_end=self.think_end_token,
        )

    def _questions_at_a_time(self) -> int:
        return self._endpoint.concurrency


def without_tokens(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ``uq-api`` less those that concern tokens, for an endpoint that turns out to take none.

    Raises:
        UQHarnessError: One of them is ``save_samples``, which the run would silently go without.
    """
    saved = arguments.get("save_samples")
    if saved is not None and saved is not False and str(saved).lower() != "false":
        raise UQHarnessError(
            f"save_samples={saved} keeps tokens, and the endpoint takes messages only, so there is no second pass: "
            "leave it out, or name a server that takes prompts as tokens"
        )
    dropped = [name for name in arguments if name in _OF_TOKENS and name != "save_samples"]
    if dropped:
        log.warning("the endpoint takes messages, not tokens: %s is not used", ", ".join(dropped))
    return {name: value for name, value in arguments.items() if name not in _OF_TOKENS}


def _refuse_unknown(kwargs: Mapping[str, Any]) -> None:
    own = [name for name in inspect.signature(UQChatLM).parameters if name != "kwargs"]
    for name, value in kwargs.items():
        if name in _OF_THE_COMMAND or value is None:
            continue
        if name in _OF_TOKENS or name in inspect.signature(TemplateAPI.__init__).parameters:
            raise UQHarnessError(
                f"{name} is for servers that take prompts as tokens, and route=chat sends messages: leave it out; "
                f"known are {', '.join(own)}"
            )
        raise unknown_option(name, own)
