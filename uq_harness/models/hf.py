"""The model wrapper: lm_eval's Hugging Face model, whose greedy answers carry one uncertainty score a method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import Any, TypeVar

import torch
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM

from uq_harness.answering.answerer import Answerer
from uq_harness.answering.choose import choose_methods, with_default_by_name
from uq_harness.answering.identity import ModelIdentity
from uq_harness.answering.measured_token import MESSAGE, measure_token
from uq_harness.answering.model_arguments import explained, read_model_arguments, read_pretrained
from uq_harness.answering.options import (
    LARGEST_SEED,
    check_think_end,
    read_context,
    take_auxiliary_models,
    take_options,
)
from uq_harness.answering.prompts import PromptEncoder, PromptText
from uq_harness.answering.saved_samples import read_save_samples
from uq_harness.answering.semantic_token import ChatTail, SemanticToken
from uq_harness.answering.stopping import stop_criteria
from uq_harness.answering.template import rendered
from uq_harness.answering.thinking import ThinkingNotice
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError, close_names
from uq_harness.evaluation.command import begin
from uq_harness.evidence.prompt import StopCriteria
from uq_harness.methods import Method, build_methods, draws, settings
from uq_harness.methods.arguments import read_flag, read_whole
from uq_harness.models.cache_stamp import auxiliary_models, check_cache
from uq_harness.models.chat import check_template
from uq_harness.models.processes import let_accelerate_see_processes, refuse_unshared_work
from uq_harness.models.uncertain import UncertainLM, eval_logger

# Arguments of `hf` that change neither answers nor scores; all others belong to a response cache's configuration.
_PLACEMENT = frozenset(
    {
        "batch_size",
        "cache_dir",
        "device",
        "logits_cache",
        "max_batch_size",
        "max_cpu_memory",
        "max_memory_per_gpu",
        "offload_folder",
        "parallelize",
        "token",
        "use_fast_tokenizer",
    }
)

B = TypeVar("B", bound=TransformersBackend)


@register_model("uq-hf")
class UQHFLM(UncertainLM, HFLM):
    """A Hugging Face causal language model that says how far to trust each of its answers.

    Every argument of lm_eval's ``hf`` model works. Questions of uncertainty tasks are answered greedily and scored;
    every other task runs as with ``hf``.

    Args:
        pretrained: The model; ``demo`` means the small model that comes with the package.
        methods: Method names joined by ``+``, or ``default``, ``cheap``, ``sampling_free``, ``sampling``, ``all``; the
            last four shrink to what the model can give.
        sp_token: The semantic-preserving token: ``auto`` (found from the chat template), ``last``, ``measured`` (the
            token behind the question with the best Semantic Preservation Score, found when the model is loaded), a
            position from the prompt's end such as ``-3``, or the result file of ``uq-harness sps`` for this model.
        seed: Seed of the sampled answers; by default the one that lm_eval's ``--seed`` gives torch. A question's
            samples depend on it and on the prompt, not on what shares the batch.
        batch_invariant: Whether questions go through the model one at a time, whatever ``--batch_size`` and the number
            of processes. In 16-bit types logits move with the batch's shape; in float32 it changes nothing but time.
        save_samples: Whether the records keep what a second pass needs (see `uq_harness.answering.saved_samples`):
            ``true`` for the samples of the chosen methods, or names of further methods whose samples are drawn for it.
        **kwargs: Options of the chosen methods (see ``uq-harness methods``); ``nli_model`` and ``similarity_model``
            with ``_batch_size``, ``_device``, ``_dtype``, ``_max_length`` and ``_cache_size`` in place of ``_model``
            (see `uq_harness.similarity.build_nli`); and arguments of ``hf``.

    Raises:
        UQHarnessError: An unknown method or option, a value that is not allowed, a model that is not decoder-only.
    """

    _encoder: PromptEncoder

    def __init__(
        self,
        pretrained: Any = None,
        methods: str | Iterable[str] = "default",
        sp_token: str | float = "auto",
        seed: int | None = None,
        batch_invariant: bool | str = False,
        save_samples: bool | str = False,
        **kwargs: Any,
    ) -> None:
        if pretrained is None:
            raise UQHarnessError(_no_model(kwargs))
        pretrained = read_pretrained(pretrained)
        check_cache(begin())
        kwargs = read_model_arguments(kwargs)
        options = take_options(kwargs)
        self._saver, options = read_save_samples(save_samples, methods, options)
        self._methods = build_methods(methods, options)
        self._sp_token = SemanticToken.parse(sp_token)
        if seed is None:
            seed = torch.initial_seed() % 2**63  # lm_eval's --seed has set torch's
        self._seed = read_whole("seed", seed, 0, LARGEST_SEED)
        self._batch_invariant = read_flag("batch_invariant", batch_invariant)
        nli, similarity = take_auxiliary_models(kwargs)
        self._configuration = {
            "pretrained": pretrained if isinstance(pretrained, str) else type(pretrained).__name__,
            "uq_harness": version("uq-harness"),
            "methods": [method.name for method in self._methods],
            "sp_token": str(self._sp_token),
            "batch_invariant": self._batch_invariant,
            **({} if self._saver is None else self._saver.describe()),
            **settings(self._methods),
            **{key: value for key, value in kwargs.items() if key not in _PLACEMENT},
        }
        if pretrained == "demo":
            pretrained = str(MODEL_DIR)
        by_name = isinstance(pretrained, str)
        if by_name and kwargs.get("tp_plan") is None:
            let_accelerate_see_processes()
        with explained(pretrained, kwargs):
            super().__init__(pretrained, **kwargs)
        if self.backend != "causal":
            raise UQHarnessError(f"uq-hf needs a decoder-only model, and {self.pretrained} is of type {self.backend}")
        if isinstance(pretrained, str):  # the model is not shared: graphs need not keep what weights' gradients take
            self.model.requires_grad_(False)
        self._take_rank_from_launcher()
        if by_name and kwargs.get("tp_plan") is None:
            refuse_unshared_work(self.world_size)
        read_context(kwargs.get("max_length"), self.config)
        check_think_end(self.think_end_token, self.tokenizer)
        self._identity = ModelIdentity.of(self.model, self.tokenizer, self.chat_template_args)
        self._configuration |= {"dtype": self._identity.dtype, "weights": self._identity.weights}
        self._encoder = PromptEncoder(
            self.tokenizer,
            self._sp_token,
            max_length=self.max_length,
            max_gen_toks=self.max_gen_toks,
            chat_template_args=self.chat_template_args,
            add_bos_token=self.add_bos_token,
            truncation=self.truncation,
        )
        self._encoder.check_model(self.model)
        if self._sp_token.to_measure:
            self._measure_token()
        self._services = nli, similarity
        backend = self.backend_of(TransformersBackend)
        self._take(choose_methods(with_default_by_name(methods), options, backend))
        self._answerer = self._answerer_over(backend, self._methods)
        self._configuration["methods"] = [method.name for method in self._methods]
        self._configuration |= auxiliary_models(self._answerer.describe())
        if draws(self._methods) or self._saver is not None:
            self._configuration["seed"] = self._seed

    def _build_answerer(self, methods: Sequence[Method]) -> Answerer:
        return self._answerer_over(self.backend_of(TransformersBackend), methods)

    def _answerer_over(self, backend: TransformersBackend, methods: Sequence[Method]) -> Answerer:
        thinking = ThinkingNotice(self.tokenizer, self.think_end_token)
        return Answerer(backend, self._services, methods, self._recorders(), thinking)

    def backend_of(self, kind: type[B]) -> B:
        """A backend of some kind over the loaded model."""
        return kind(
            self.model,
            self.tokenizer,
            max_length=self.max_length,
            pad_id=self.tokenizer.pad_token_id,
            seed=self._seed,
            mixed_precision=self.mixed_precision_dtype,
            batch_invariant=self._batch_invariant,
            device=self.device,
        )

    def _stop(self, stop_strings: list[str], max_new_tokens: int) -> StopCriteria:
        return stop_criteria(
            self.model,
            self.tokenizer,
            stop_strings=stop_strings,
            max_new_tokens=max_new_tokens,
            think_end_token=self.think_end_token,
        )

    def _questions_at_a_time(self) -> int:
        size: int = self.max_batch_size if self.batch_size == "auto" else int(self.batch_size)
        return size

    @property
    def configuration(self) -> dict[str, Any]:
        """What answers and scores depend on."""
        return dict(self._configuration)

    def get_model_info(self) -> dict[str, Any]:
        """See `UncertainLM`; with a short name of the weights, by which a policy knows its model again."""
        return {**super().get_model_info(), "model_weights": self._identity.weights}

    @property
    def encoder(self) -> PromptEncoder:
        """What makes tokens of prompts."""
        return self._encoder

    @property
    def identity(self) -> ModelIdentity:
        """What this model is known by, with the chat template that its tokenizer has."""
        return replace(self._identity, name=self._configuration["pretrained"])

    def _take_rank_from_launcher(self) -> None:
        """Sets rank and world size from the launcher.

        HFLM does so only if this process sees several GPUs, and takes the rank within the node; on a CPU, with one GPU
        a process, or on several nodes every process would answer the wrong questions.
        """
        accelerator = getattr(self, "accelerator", None)
        if accelerator is not None and accelerator.num_processes > 1:
            self._rank, self._world_size = accelerator.process_index, accelerator.num_processes

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The chat template that lm_eval applies.

        Raises:
            UQHarnessError: The tokenizer has none.
        """
        check_template(chat_template, there=self.tokenizer.chat_template is not None, name=self.tokenizer.name_or_path)
        template: str | None = super().chat_template(chat_template)
        return template

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The prompt for a conversation; as lists of parts where the template loses plain texts."""
        apply = partial(super().apply_chat_template, add_generation_prompt=add_generation_prompt)
        return rendered(apply, chat_history)

    def _measure_token(self) -> None:
        """Chooses the semantic-preserving token by its score on this model, and shows the scores of all candidates."""
        measured = measure_token(
            self.model, self.tokenizer, self._encoder, self._as_asked, self.tokenizer.pad_token_id, self._autocast()
        )
        self._sp_token = SemanticToken(measured.position, measured=measured)
        self._encoder.choose(self._sp_token)
        self._configuration["sp_token"] = str(self._sp_token)
        if self.rank == 0:
            eval_logger.info(
                "sp_token=measured, mean Semantic Preservation Score in layers %d to %d over %d questions: %s",
                *measured.layers,
                measured.questions,
                measured.table(),
            )

    def _as_asked(self, question: str) -> PromptText:
        """A question as the package's tasks put it, through the chat template where there is one."""
        message = MESSAGE.format(question=question)
        if self.tokenizer.chat_template is None:
            return PromptText(message, question, message)
        return PromptText(self.apply_chat_template([{"role": "user", "content": message}]), question, message)

    def _autocast(self) -> torch.autocast:
        precision = self.mixed_precision_dtype
        return torch.autocast(self.device.type, precision, enabled=precision is not None)

    def suffix_length(self, prompt: str) -> int:
        """Number of tokens that the chat template puts behind the user's text in a prompt."""
        return self._encoder.suffix_length(prompt)

    @property
    def chat_tail(self) -> ChatTail | None:
        """What the chat template puts behind the user's text; ``None`` where there is no template."""
        return self._encoder.chat_tail


def _no_model(kwargs: Mapping[str, Any]) -> str:
    close = close_names("pretrained", kwargs, 1)
    hint = f"did you mean pretrained instead of {close[0]}?" if close else "give pretrained=MODEL, or pretrained=demo"
    return f"--model_args names no model: {hint}"
