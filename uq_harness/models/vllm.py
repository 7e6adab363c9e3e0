"""``uq-vllm``: lm_eval's vLLM model, in this process, whose greedy answers carry one uncertainty score a method.

Importing this module imports vLLM, which takes long; lm_eval does so when the model is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from inspect import signature
from typing import Any, cast

import torch
from lm_eval.api.registry import register_model
from transformers import GenerationConfig

from uq_harness.answering.answerer import Answerer
from uq_harness.answering.choose import choose_methods
from uq_harness.answering.options import check_think_end, take_auxiliary_models, take_options, unknown_option
from uq_harness.answering.prompts import PromptEncoder
from uq_harness.answering.saved_samples import read_save_samples
from uq_harness.answering.stopping import end_tokens, stop_at
from uq_harness.answering.template import rendered
from uq_harness.answering.thinking import ThinkingNotice
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.backends.served.vllm_engine import PromisedVLLM, VLLMEngine
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError, close_names
from uq_harness.evaluation.command import begin
from uq_harness.evidence.backend import Backend
from uq_harness.evidence.prompt import StopCriteria
from uq_harness.files import user_path
from uq_harness.hub import brief
from uq_harness.methods import Method, all_options, draws, settings
from uq_harness.methods.arguments import read_whole
from uq_harness.models.api_arguments import read_semantic_token
from uq_harness.models.cache_stamp import auxiliary_models, check_cache
from uq_harness.models.chat import check_template
from uq_harness.models.uncertain import UncertainLM
from uq_harness.models.vllm_installed import importing_vllm
from uq_harness.models.vllm_platform import on_this_platform

with importing_vllm():
    from lm_eval.models.vllm_causallms import VLLM

_OWN = ("methods", "sp_token", "seed", "save_samples", "nli_model", "similarity_model")
# Arguments of `vllm` that change neither answers nor scores; all others belong to a response cache's configuration.
_PLACEMENT = frozenset(
    {
        "batch_size",
        "device",
        "disable_log_stats",
        "distributed_executor_backend",
        "download_dir",
        "enforce_eager",
        "gpu_memory_utilization",
        "hf_token",
        "max_batch_size",
        "max_num_batched_tokens",
        "max_num_seqs",
        "pipeline_parallel_size",
        "tensor_parallel_size",
    }
)
_PROBE = "What is the capital of France?"
_LARGEST_SEED = 2**32 - 1  # vLLM gives it to NumPy
_MOST = 2**31 - 1


@register_model("uq-vllm")
class UQVLLM(UncertainLM, VLLM):
    """lm_eval's ``vllm`` with uncertainty.

    Questions of uncertainty tasks are answered greedily and scored; every other request goes to ``vllm`` unchanged.
    What needs gradients or hidden states is added afterwards by ``uq-harness score --model``.

    Args:
        pretrained: A model's name on the hub, its folder, or ``demo`` for the package's demo model.
        methods: Names joined by ``+``, or ``default``, ``cheap``, ``sampling``, ``all``.
        sp_token: The semantic-preserving token for a second pass: ``auto`` (found from the chat template), ``last``, or
            a position from the prompt's end such as ``-3``.
        seed: Seed of the sampled answers, and vLLM's own; by default that of the samples is the one that lm_eval's
            ``--seed`` gives torch.
        save_samples: As for ``uq-hf``.
        **kwargs: Options of the chosen methods (see ``uq-harness methods``); ``nli_model`` and ``similarity_model``
            as for ``uq-hf``; and arguments of ``vllm``, which hands those that it does not know to vLLM.

    Raises:
        UQHarnessError: An unknown method or option, a value that is not allowed, or vLLM cannot load the model.
    """

    def __init__(
        self,
        pretrained: Any = None,
        methods: str | Iterable[str] = "g_nll+p_true",
        sp_token: str | float = "auto",
        seed: int | None = None,
        save_samples: bool | str = False,
        **kwargs: Any,
    ) -> None:
        pretrained = _read_pretrained(pretrained)
        check_cache(begin())
        _refuse_copies(kwargs.get("data_parallel_size"))
        options = take_options(kwargs)
        self._saver, options = read_save_samples(save_samples, methods, options)
        choose_methods(methods, options, _before_loading(kwargs.get("max_logprobs")))
        self._sp_token = read_semantic_token(sp_token, "vLLM")
        self._seed = torch.initial_seed() % 2**63  # lm_eval's --seed has set torch's
        if seed is not None:
            self._seed = kwargs["seed"] = read_whole("seed", seed, 0, _LARGEST_SEED)
        self._services = take_auxiliary_models(kwargs)
        with _explained(pretrained, kwargs):
            super().__init__(str(MODEL_DIR) if pretrained == "demo" else pretrained, **on_this_platform(kwargs))
        check_think_end(self.think_end_token, self.tokenizer)
        self._encoder = PromptEncoder(
            self.tokenizer,
            self._sp_token,
            max_length=self.max_length,
            max_gen_toks=self.max_gen_toks,
            chat_template_args={"enable_thinking": self.enable_thinking, **self.chat_template_args},
            add_bos_token=self.add_bos_token,
        )
        self._encoder.limit_vocabulary(self.model.llm_engine.model_config.get_vocab_size())
        self._end_ids = end_tokens(_generation_config(self.model), self.tokenizer)
        self._engine = VLLMEngine(self.model, self.tokenizer(_PROBE)["input_ids"], self.lora_request)
        self._take(choose_methods(methods, options, self._backend()))
        self._answerer = self._build_answerer(self._methods)
        self._configuration = {
            "pretrained": pretrained,
            "uq_harness": version("uq-harness"),
            "methods": [method.name for method in self._methods],
            "sp_token": str(self._sp_token),
            **({} if self._saver is None else self._saver.describe()),
            **settings(self._methods),
            **{key: value for key, value in kwargs.items() if key not in _PLACEMENT},
            "engine": self._engine.describe(),
            **auxiliary_models(self._answerer.describe()),
        }
        if draws(self._methods) or self._saver is not None:
            self._configuration["seed"] = self._seed

    def _build_answerer(self, methods: Sequence[Method]) -> Answerer:
        thinking = ThinkingNotice(self.tokenizer, self.think_end_token)
        return Answerer(self._backend(), self._services, methods, self._recorders(), thinking)

    def _backend(self) -> Backend:
        return ServedBackend(
            self._engine,
            self.tokenizer,
            max_length=self.max_length,
            seed=self._seed,
            end_ids=self._end_ids,
        )

    def _stop(self, stop_strings: list[str], max_new_tokens: int) -> StopCriteria:
        return stop_at(
            self._end_ids,
            self.tokenizer,
            stop_strings=stop_strings,
            max_new_tokens=max_new_tokens,
            think_end_token=self.think_end_token,
        )

    def _questions_at_a_time(self) -> int:
        """The batch size; for ``auto`` as many as vLLM runs sequences at once."""
        at_once: int = self.model.llm_engine.vllm_config.scheduler_config.max_num_seqs
        return at_once if self.batch_size == "auto" else int(self.batch_size)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The chat template that lm_eval applies.

        Raises:
            UQHarnessError: There is none.
        """
        check_template(chat_template, there=self.hf_chat_template is not None, name=self.tokenizer.name_or_path)
        template: str | None = super().chat_template(chat_template)
        return template

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The prompt for a conversation; as lists of parts where the template loses plain texts."""
        apply = partial(super().apply_chat_template, add_generation_prompt=add_generation_prompt)
        return rendered(apply, chat_history)


def _read_pretrained(pretrained: Any) -> str:
    if not (isinstance(pretrained, str) and pretrained.strip()):
        given = "names no model" if pretrained is None else f"has pretrained={pretrained!r}"
        raise UQHarnessError(f"--model_args {given}: give pretrained=MODEL, a name on the hub or a folder, or demo")
    path = user_path(pretrained, "pretrained")
    return str(path) if pretrained.startswith("~") else pretrained


def _before_loading(max_logprobs: Any) -> Backend:
    """What says which methods cannot be had, before a model is loaded that could not serve them."""
    most = 20 if max_logprobs is None else read_whole("max_logprobs", max_logprobs, -1, _MOST)
    return cast(Backend, PromisedVLLM(_MOST if most < 0 else most))


def _refuse_copies(number: Any) -> None:
    """Refuses lm_eval's own data parallelism.

    lm_eval loads every copy of the model anew for each round of requests.

    Raises:
        UQHarnessError: It is asked for.
    """
    if number is not None and read_whole("data_parallel_size", number, 1, _MOST) > 1:
        raise UQHarnessError(
            f"data_parallel_size={number} would load {number} copies of the model anew for every round of requests. "
            f"Start a server, `vllm serve MODEL --data-parallel-size {number}`, and ask it: --model uq-api "
            "--model_args base_url=http://localhost:8000/v1,model=MODEL. In this process, tensor_parallel_size shares "
            "one copy among GPUs"
        )


def _generation_config(model: Any) -> GenerationConfig:
    """The model's generation configuration, as vLLM has read it."""
    return GenerationConfig.from_dict(model.llm_engine.model_config.try_get_generation_config())


@contextmanager
def _explained(pretrained: str, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Makes one sentence of whatever keeps vLLM from loading a model.

    Raises:
        UQHarnessError: It could not be loaded.
    """
    try:
        yield
    except UQHarnessError:
        raise
    except Exception as error:  # the engine is another process, which says what it has to say in its own log
        unknown = next((name for name in arguments if f"'{name}'" in str(error)), None)
        known = [*_OWN, *signature(VLLM.__init__).parameters, *all_options()]
        if isinstance(error, TypeError) and unknown is not None and close_names(unknown, known):
            raise unknown_option(unknown, [*_OWN, *signature(VLLM.__init__).parameters]) from error
        raise UQHarnessError(
            f"model {pretrained!r} could not be loaded by vLLM ({type(error).__name__}: {brief(error)}): see what vLLM "
            f"wrote above, and check the arguments {', '.join(arguments) or 'of --model_args'}"
        ) from error
