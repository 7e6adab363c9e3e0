"""``uq-api``: a model behind an OpenAI-compatible server, whose greedy answers carry one uncertainty score a method."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.api_models import TemplateAPI

from uq_harness.answering.answerer import Answerer, Recorder
from uq_harness.answering.choose import choose_methods, wanted_methods
from uq_harness.answering.options import (
    LARGEST_SEED,
    check_think_end,
    take_auxiliary_models,
    take_options,
    unknown_option,
)
from uq_harness.answering.prompts import PromptEncoder
from uq_harness.answering.saved_samples import read_save_samples
from uq_harness.answering.stopping import stop_at
from uq_harness.answering.template import rendered
from uq_harness.answering.thinking import ThinkingNotice
from uq_harness.backends.served.abilities import alternatives
from uq_harness.endpoints.journal import Journal
from uq_harness.endpoints.tokens import TokenClient
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.command import begin
from uq_harness.evidence.backend import Backend
from uq_harness.evidence.prompt import StopCriteria
from uq_harness.methods import Method, draws, settings
from uq_harness.methods.arguments import read_choice, read_whole
from uq_harness.models.api_arguments import (
    context_of,
    end_ids_of,
    journal_beside,
    read_endpoint,
    read_prices,
    read_semantic_token,
    read_template_arguments,
    refuse_keys,
)
from uq_harness.models.api_chat import UQChatLM, without_tokens
from uq_harness.models.cache_stamp import auxiliary_models, check_cache
from uq_harness.models.chat import check_template
from uq_harness.models.completions import Completions
from uq_harness.models.repository import load_tokenizer, read_repository
from uq_harness.models.routes import AUTO, CHAT, ROUTES, Asked, find_route
from uq_harness.models.uncertain import UncertainLM, eval_logger

# Arguments of `local-completions` that may be given too; the others have our own names, or are not for this model.
_FURTHER = ("add_bos_token", "batch_size", "custom_prefix_token_id", "eos_string", "use_fast_tokenizer")
# What lm_eval's command line adds for every model.
_OF_THE_COMMAND = ("device", "max_batch_size")


@register_model("uq-api")
class UQAPILM(UncertainLM, Completions):
    """A model behind a server that takes prompts as tokens, such as vLLM's, with uncertainty.

    Questions of uncertainty tasks are answered greedily and scored. Every other task runs as with lm_eval's
    ``local-completions``. What needs gradients or hidden states is added afterwards by ``uq-harness score --model``.
    The key comes from the environment.

    Args:
        base_url: Where the API is, such as ``http://localhost:8000/v1``.
        model: The name by which the server knows the model.
        tokenizer: Its tokenizer: a repository on the hub, a folder, or ``demo``; by default ``model``.
        methods: Names joined by ``+``, or ``default`` (g_nll+p_true), ``cheap``, ``sampling``, ``all``. A set shrinks
            to what the server can give.
        route: How the server is asked: ``tokens`` (``/v1/completions`` with tokens, as vLLM has it), ``sglang`` (its
            ``/generate``), ``llama.cpp`` (its ``/completion``), ``chat`` (messages, for endpoints that take no tokens;
            see `uq_harness.models.api_chat.UQChatLM`), or ``auto``, which finds out.
        num_concurrent: The most requests at a time, over all questions; also the number of questions under way.
        api_key_env: The environment variable that holds the key; OPENAI_API_KEY by default, which goes out over https
            and to this machine only.
        timeout: Seconds to wait for a whole reply.
        max_retries: How often a request is sent again after a lost connection, a timeout, or status 408, 409, 429 or
            5xx.
        requests_per_minute: The most requests of questions in a minute; by default any number.
        seed: Seed of the sampled answers; by default the one that lm_eval's ``--seed`` gives torch.
        journal: A file that keeps every reply, so that a run that was ended sends nothing twice; by default it is
            beside the files of ``--use_cache``, if that is given.
        save_samples: As for ``uq-hf``.
        prompt_price: The price of a million tokens of prompts; with ``completion_price`` it puts ``price`` into the
            records' ``cost``.
        completion_price: The price of a million tokens that the model writes.
        sp_token: The semantic-preserving token for a second pass: ``auto`` (found from the chat template), ``last``, or
            a position from the prompt's end such as ``-3``.
        max_length: The context in tokens; by default the server's.
        max_gen_toks: Limit on the tokens of answers whose task has none.
        end_token_ids: Numbers of tokens that end an answer, joined by ``+``, beside the tokenizer's own; by default
            those of ``generation_config.json`` in the tokenizer's repository.
        think_end_token: What ends the model's thinking, as text or token, as for ``hf``.
        chat_template_args: Further arguments of the chat template.
        enable_thinking: One of them, as for ``hf``.
        revision: Of the tokenizer's repository.
        trust_remote_code: Whether code of the tokenizer's repository may run.
        **kwargs: Options of the chosen methods (see ``uq-harness methods``); ``nli_model`` and ``similarity_model``
            as for ``uq-hf``; and of lm_eval's ``local-completions`` add_bos_token, batch_size, custom_prefix_token_id,
            eos_string and use_fast_tokenizer.

    Raises:
        UQHarnessError: An unknown method or option, a value that is not allowed, a server that cannot be used, or one
            that does not give what a method needs.
    """

    _encoder: PromptEncoder

    def __init__(
        self,
        base_url: Any = None,
        model: Any = None,
        tokenizer: Any = None,
        methods: str | Iterable[str] = "default",
        route: str = "tokens",
        num_concurrent: Any = 8,
        api_key_env: Any = None,
        timeout: Any = 300,
        max_retries: Any = 6,
        requests_per_minute: Any = None,
        seed: int | None = None,
        journal: Any = None,
        save_samples: bool | str = False,
        prompt_price: Any = None,
        completion_price: Any = None,
        sp_token: str | float = "auto",
        max_length: Any = None,
        max_gen_toks: Any = 256,
        end_token_ids: Any = None,
        think_end_token: str | int | None = None,
        chat_template_args: Mapping[str, Any] | None = None,
        enable_thinking: bool | str | None = None,
        revision: str = "main",
        trust_remote_code: bool | str = False,
        **kwargs: Any,
    ) -> None:
        refuse_keys(kwargs)
        cache = begin()
        check_cache(cache)
        endpoint = read_endpoint(
            base_url, model, api_key_env, num_concurrent, timeout, max_retries, requests_per_minute
        )
        read_choice("route", route, [*ROUTES, CHAT, AUTO])
        if route in (CHAT, AUTO):
            raise UQHarnessError(
                f"route={route} may make another class: call UQAPILM.create_from_arg_obj({{'route': {route!r}, ...}})"
            )
        options = take_options(kwargs)
        self._saver, options = read_save_samples(save_samples, methods, options)
        self._prices = read_prices(prompt_price, completion_price)
        self._sp_token = read_semantic_token(sp_token, "a server")
        self._seed = torch.initial_seed() % 2**63  # lm_eval's --seed has set torch's
        if seed is not None:
            self._seed = read_whole("seed", seed, 0, LARGEST_SEED)
        max_gen_toks = read_whole("max_gen_toks", max_gen_toks, 1, 2**31 - 1)
        self.chat_template_args = read_template_arguments(chat_template_args, enable_thinking)
        self._services = take_auxiliary_models(kwargs)
        further = _further(kwargs)
        where = journal if journal is not None else journal_beside(cache)
        self._journal = None if where is None else Journal(where)
        repository = read_repository(tokenizer or model, revision, trust_remote_code)
        loaded = load_tokenizer(repository, **_only(further, "use_fast_tokenizer"))
        check_think_end(think_end_token, loaded)
        self.think_end_token = think_end_token
        self._end_ids = end_ids_of(end_token_ids, repository, loaded)
        asked = Asked(
            TokenClient(endpoint),
            loaded,
            repository.name,
            self.chat_template_args,
            self._journal,
            self._alternatives(wanted_methods(methods, options)),
        )
        self._route = ROUTES[route](asked)
        self._context_length = context_of(max_length, self._route.max_length, repository)
        self._take(choose_methods(methods, options, self._backend()))
        super().__init__(
            endpoint,
            tokenizer=repository.source,
            max_length=self._context_length,
            max_gen_toks=max_gen_toks,
            revision=repository.revision,
            trust_remote_code=repository.trust_remote_code,
            **({} if seed is None else {"seed": self._seed}),
            **further,
        )
        self._encoder = PromptEncoder(
            self.tokenizer,
            self._sp_token,
            max_length=self._context_length,
            max_gen_toks=max_gen_toks,
            chat_template_args=self.chat_template_args,
            add_bos_token=further.get("add_bos_token"),
        )
        if repository.vocabulary is not None:
            self._encoder.limit_vocabulary(repository.vocabulary)
        self._answerer = self._build_answerer(self._methods)
        self._configuration = self._what_answers_depend_on(route, repository.name, repository.revision, further)

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> UncertainLM:
        """The model from ``--model_args``; of another class where the route is that of chats.

        Raises:
            UQHarnessError: See the class.
        """
        given = dict(arg_dict)
        if given.get("route") == AUTO:
            given["route"] = _found_route(given)
            if given["route"] == CHAT:
                given = without_tokens(given)
        if given.get("route") == CHAT:
            del given["route"]
            return UQChatLM.create_from_arg_obj(given, additional_config)
        return super().create_from_arg_obj(given, additional_config)

    def _what_answers_depend_on(
        self, route: str, tokenizer: str, revision: str, further: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What a response cache is bound to."""
        sampling = draws(self._methods) or self._saver is not None
        return {
            **self._route.identity,
            "route": route,
            "tokenizer": tokenizer,
            "revision": revision,
            "uq_harness": version("uq-harness"),
            "methods": [method.name for method in self._methods],
            **settings(self._methods),
            **({} if self._saver is None else self._saver.describe()),
            **({} if self._prices is None else self._prices.describe()),
            **({"seed": self._seed} if sampling else {}),
            "sp_token": str(self._sp_token),
            "max_length": self._context_length,
            "max_gen_toks": self.max_gen_toks,
            "end_token_ids": sorted(self._end_ids),
            "think_end_token": self.think_end_token,
            "chat_template_args": self.chat_template_args,
            **{name: value for name, value in further.items() if name != "batch_size"},
            **auxiliary_models(self._answerer.describe()),
        }

    def _build_answerer(self, methods: Sequence[Method]) -> Answerer:
        thinking = ThinkingNotice(self.tokenizer, self.think_end_token)
        return Answerer(self._backend(), self._services, methods, self._recorders(), thinking)

    def _backend(self) -> Backend:
        return self._route.backend(max_length=self._context_length, seed=self._seed, end_ids=self._end_ids)

    def _alternatives(self, methods: Sequence[Method]) -> int:
        """How many likeliest tokens at each step some methods, and what is saved, take."""
        saved = () if self._saver is None else self._saver.needs()
        needs = [need for method in methods for need in method.needs()]
        return alternatives([*needs, *saved], len(self._end_ids))

    def _recorders(self) -> Sequence[Recorder]:
        return (*super()._recorders(), *([] if self._prices is None else [self._prices]))

    def _stop(self, stop_strings: list[str], max_new_tokens: int) -> StopCriteria:
        return stop_at(
            self._end_ids,
            self.tokenizer,
            stop_strings=stop_strings,
            max_new_tokens=max_new_tokens,
            think_end_token=self.think_end_token,
        )

    def _questions_at_a_time(self) -> int:
        return self._endpoint.concurrency

    @property
    def context(self) -> int:
        """The model's context in tokens; lm_eval's ``max_length`` is one less for such models."""
        return self._context_length

    @property
    def tokenizer_name(self) -> str:
        """The tokenizer's name, for lm_eval's cache of requests."""
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The chat template that lm_eval applies.

        Raises:
            UQHarnessError: The tokenizer has none.
        """
        check_template(
            chat_template,
            there=self.tokenizer.chat_template is not None,
            name=self.tokenizer.name_or_path,
            remedy="name the tokenizer of a chat model",
        )
        template: str | None = super().chat_template(chat_template)
        return template

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The prompt for a conversation; as lists of parts where the template loses plain texts."""
        apply = partial(
            self.tokenizer.apply_chat_template,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
            **self.chat_template_args,
        )
        return rendered(apply, chat_history)


def _found_route(arguments: Mapping[str, Any]) -> str:
    """The route to the server that the arguments name; says it in one line."""
    defaults = inspect.signature(UQAPILM).parameters
    names = ("base_url", "model", "api_key_env", "num_concurrent", "timeout", "max_retries", "requests_per_minute")
    endpoint = read_endpoint(*(arguments.get(name, defaults[name].default) for name in names))
    route = find_route(TokenClient(endpoint))
    eval_logger.info("route=auto: the server is asked by route=%s", route)
    return route


def _further(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``local-completions`` among the rest.

    Raises:
        UQHarnessError: There is another one.
    """
    own = [name for name in inspect.signature(UQAPILM).parameters if name != "kwargs"]
    for name in kwargs:
        if name in (*_FURTHER, *_OF_THE_COMMAND):
            continue
        if name in inspect.signature(TemplateAPI.__init__).parameters:
            raise UQHarnessError(
                f"{name} is an argument of lm_eval's local-completions that uq-api does not have: it sends prompts as "
                f"tokens of a Hugging Face tokenizer; known are {', '.join([*own, *_FURTHER])}"
            )
        raise unknown_option(name, [*own, *_FURTHER])
    return {name: value for name, value in kwargs.items() if name in _FURTHER and value is not None}


def _only(given: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}
