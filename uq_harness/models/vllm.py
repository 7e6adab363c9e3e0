"""``uq-vllm``: lm_eval's vLLM model, in this process, whose greedy answers carry one uncertainty score a method.

Importing this module imports vLLM, which takes long; lm_eval does so when the model is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from inspect import signature
from typing import Any

import torch
from lm_eval.api.registry import register_model
from transformers import GenerationConfig

from uq_harness.answering.answerer import Answerer
from uq_harness.answering.options import (
    LARGEST_SEED,
    check_think_end,
    take_auxiliary_models,
    take_options,
    unknown_option,
)
from uq_harness.answering.prompts import PromptEncoder
from uq_harness.answering.semantic_token import SemanticToken
from uq_harness.answering.stopping import end_tokens, stop_at
from uq_harness.answering.template import rendered
from uq_harness.answering.thinking import ThinkingNotice
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.backends.served.vllm_engine import VLLMEngine
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError, close_names
from uq_harness.evaluation.command import begin
from uq_harness.evidence.prompt import StopCriteria
from uq_harness.files import user_path
from uq_harness.hub import brief
from uq_harness.methods import Method, build_methods, settings
from uq_harness.methods.arguments import read_whole
from uq_harness.models.cache_stamp import check_cache
from uq_harness.models.uncertain import UncertainLM
from uq_harness.models.vllm_installed import importing_vllm

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


@register_model("uq-vllm")
class UQVLLM(UncertainLM, VLLM):
    """lm_eval's ``vllm`` with uncertainty.

    Questions of uncertainty tasks are answered greedily and scored; every other request goes to ``vllm`` unchanged.
    What needs gradients or hidden states is added afterwards by ``uq-harness score --model``.

    Args:
        pretrained: A model's name on the hub, its folder, or ``demo`` for the package's demo model.
        methods: Names joined by ``+``, or ``default``, ``sampling``, ``all``.
        sp_token: The semantic-preserving token for a second pass: ``auto`` (found from the chat template), ``last``, or
            a position from the prompt's end such as ``-3``.
        seed: Seed of the sampled answers, and vLLM's own; by default that of the samples is the one that lm_eval's
            ``--seed`` gives torch.
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
        **kwargs: Any,
    ) -> None:
        path = _read_pretrained(pretrained)
        check_cache(begin())
        _refuse_copies(kwargs.get("data_parallel_size", 1))
        options = take_options(kwargs)
        self._methods = build_methods(methods, options)
        self._sp_token = _read_token(sp_token)
        if seed is not None:
            kwargs["seed"] = read_whole("seed", seed, 0, LARGEST_SEED)
        # lm_eval's --seed has set torch's
        self._seed = kwargs.get("seed", torch.initial_seed() % 2**63)
        self._services = take_auxiliary_models(kwargs)
        self._configuration = {
            "pretrained": path,
            "uq_harness": version("uq-harness"),
            "methods": [method.name for method in self._methods],
            "sp_token": str(self._sp_token),
            **settings(self._methods),
            **{key: value for key, value in kwargs.items() if key not in _PLACEMENT | {"seed"}},
        }
        with _explained(path, kwargs):
            super().__init__(str(MODEL_DIR) if path == "demo" else path, **_on_this_platform(kwargs))
        check_think_end(self.think_end_token, self.tokenizer)
        self._encoder = PromptEncoder(
            self.tokenizer,
            self._sp_token,
            max_length=self.max_length,
            max_gen_toks=self.max_gen_toks,
            chat_template_args={"enable_thinking": self.enable_thinking, **self.chat_template_args},
            add_bos_token=self.add_bos_token,
        )
        self._engine = VLLMEngine(self.model, self.tokenizer(_PROBE)["input_ids"], self.lora_request)
        self._answerer = self._build_answerer(self._methods)
