"""The model wrapper: lm_eval's Hugging Face model, whose greedy answers carry one uncertainty score a method."""

from __future__ import annotations

import copy
import difflib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import CacheHook
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs
from lm_eval.utils import simple_parse_args_string
from tqdm import tqdm

from uq_harness import __version__
from uq_harness.answering import (
    LARGEST_SEED,
    MESSAGE,
    Answerer,
    PromptEncoder,
    PromptText,
    Recorder,
    check_think_end,
    ending,
    measure_token,
    read_context,
    rendered,
    take_auxiliary_models,
    take_options,
)
from uq_harness.arguments import read_flag, read_whole
from uq_harness.command import begin, keep_cache
from uq_harness.demo import MODEL_DIR
from uq_harness.engine import Ending, Prompt, SemanticToken
from uq_harness.engine.semantic_token import ChatTail
from uq_harness.errors import UQHarnessError
from uq_harness.identity import ModelIdentity
from uq_harness.methods import Method, build_methods, settings
from uq_harness.models._arguments import explained, read_model_arguments, read_pretrained
from uq_harness.models._cache_stamp import check_cache, check_stamp
from uq_harness.models._processes import let_accelerate_see_processes, refuse_unshared_work
from uq_harness.request import QuestionInstance
from uq_harness.response import UQText

# Below lm_eval's own logger, whose notes lm_eval shows.
eval_logger = logging.getLogger("lm_eval.uq_harness")
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


@register_model("uq-hf")
class UQHFLM(HFLM):
    """A Hugging Face causal language model that says how far to trust each of its answers.

    Every argument of lm_eval's ``hf`` model works. Questions of uncertainty tasks are answered greedily and scored;
    every other task runs as with ``hf``.

    Args:
        pretrained: The model; ``demo`` means the small model that comes with the package.
        methods: Method names joined by ``+``, or ``default``, ``sampling_free``, ``sampling``, ``all``.
        sp_token: The semantic-preserving token: ``auto`` (found from the chat template), ``last``, ``measured`` (the
            token behind the question with the best Semantic Preservation Score, found when the model is loaded), a
            position from the prompt's end such as ``-3``, or the result file of ``uq-harness sps`` for this model.
        seed: Seed of the sampled answers; by default the one that lm_eval's ``--seed`` gives torch. A question's
            samples depend on it and on the prompt, not on what shares the batch.
        batch_invariant: Whether questions go through the model one at a time, whatever ``--batch_size`` and the number
            of processes. In 16-bit types logits move with the batch's shape; in float32 it changes nothing but time.
        **kwargs: Options of the chosen methods (see ``uq-harness methods``); ``nli_model`` and ``similarity_model``
            with ``_batch_size``, ``_device``, ``_dtype`` and ``_max_length`` in place of ``_model`` (see
            `uq_harness.similarity.build_nli`); and arguments of ``hf``.

    Raises:
        UQHarnessError: An unknown method or option, a value that is not allowed, a model that is not decoder-only.
    """

    def __init__(
        self,
        pretrained: Any = None,
        methods: str | Iterable[str] = "default",
        sp_token: str | float = "auto",
        seed: int | None = None,
        batch_invariant: bool | str = False,
        **kwargs: Any,
    ) -> None:
        if pretrained is None:
            raise UQHarnessError(_no_model(kwargs))
        pretrained = read_pretrained(pretrained)
        check_cache(begin())
        kwargs = read_model_arguments(kwargs)
        options = take_options(kwargs)
        self._methods = build_methods(methods, options)
        self._sp_token = SemanticToken.parse(sp_token)
        if seed is None:
            seed = torch.initial_seed() % 2**63  # lm_eval's --seed has set torch's
        self._seed = read_whole("seed", seed, 0, LARGEST_SEED)
        self._batch_invariant = read_flag("batch_invariant", batch_invariant)
        nli, similarity = take_auxiliary_models(kwargs)
        self._configuration = {
            "pretrained": pretrained if isinstance(pretrained, str) else type(pretrained).__name__,
            "uq_harness": __version__,
            "methods": [method.name for method in self._methods],
            "sp_token": str(self._sp_token),
            "batch_invariant": self._batch_invariant,
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
        if isinstance(pretrained, str):  # nobody else has the model: graphs need not keep what weights' gradients take
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
        if self._sp_token.to_measure:
            self._measure_token()
        self._comparing = nli, similarity
        self._answerer = self._build_answerer(self._methods)
        self._configuration |= {
            role: {key: value for key, value in auxiliary.items() if key not in _PLACEMENT}
            for role, auxiliary in self._answerer.describe().items()
        }
        if any(method.sampling for method in self._methods):
            self._configuration["seed"] = self._seed

    def _build_answerer(self, methods: Sequence[Method]) -> Answerer:
        return Answerer(
            self.model,
            self.tokenizer,
            methods,
            self._encoder,
            *self._comparing,
            max_length=self.max_length,
            pad_id=self.tokenizer.pad_token_id,
            seed=self._seed,
            device=self.device,
            mixed_precision=self.mixed_precision_dtype,
            batch_invariant=self._batch_invariant,
            recorders=self._recorders(),
            think_end_token=self.think_end_token,
        )

    @property
    def methods(self) -> tuple[Method, ...]:
        """The chosen methods with their options."""
        return tuple(self._methods)

    def with_methods(self, methods: Sequence[Method]) -> UQHFLM:
        """The same model with other methods; weights and auxiliary models are shared."""
        other = copy.copy(self)
        other._methods = list(methods)
        other._answerer = self._build_answerer(methods)
        return other

    def _recorders(self) -> Sequence[Recorder]:
        """What adds to the answers' records; asked for when model and tokenizer are loaded."""
        return ()

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

    # ------------------------------------------------------------------ what lm_eval asks for

    @classmethod
    def create_from_arg_obj(cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None) -> UQHFLM:
        """The model from ``--model_args`` and from what lm_eval has options of its own for.

        Raises:
            UQHarnessError: An argument is given both ways.
        """
        own = {name: value for name, value in (additional_config or {}).items() if value is not None}
        twice = next((name for name in arg_dict if name in own), None)
        if twice is not None:
            raise UQHarnessError(
                f"{twice}={arg_dict[twice]!r} stands among the model arguments, and lm_eval has an option for it: "
                f"use --{twice}"
            )
        return cls(**arg_dict, **own)

    @classmethod
    def create_from_arg_string(cls, arg_string: str, additional_config: dict[str, Any] | None = None) -> UQHFLM:
        """The same from the text of ``--model_args``."""
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    def set_cache_hook(self, cache_hook: CacheHook) -> None:
        """Accepts lm_eval's response cache, unless it was written under another configuration."""
        super().set_cache_hook(cache_hook)
        if cache_hook.dbdict is not None:
            check_cache(cache_hook.dbdict.filename)
            check_stamp(cache_hook.dbdict, cache_hook.dbdict.filename, self._configuration)
            keep_cache(cache_hook.dbdict)

    def get_model_info(self) -> dict[str, Any]:
        """What lm_eval knows of the model, and the methods with all their options."""
        uncertainty = {
            "methods": [method.name for method in self._methods],
            **self._encoder.describe(),
            "batch_invariant": self._batch_invariant,
            **self._answerer.describe(),
        }
        return {**super().get_model_info(), "uncertainty": {**uncertainty, **settings(self._methods)}}

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The chat template that lm_eval applies.

        Raises:
            UQHarnessError: The tokenizer has none.
        """
        if chat_template and self.tokenizer.chat_template is None:
            raise UQHarnessError(
                f"{self.pretrained} has no chat template: leave out --apply_chat_template, or take a chat model"
            )
        template: str | None = super().chat_template(chat_template)
        return template

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The prompt for a conversation; as lists of parts where the template loses plain texts."""
        apply = partial(super().apply_chat_template, add_generation_prompt=add_generation_prompt)
        return rendered(apply, chat_history)

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers requests; the answers to questions of uncertainty tasks carry their records.

        Raises:
            UQHarnessError: A question shall be answered by sampling, or its prompt leaves no room for an answer.
        """
        questions = [i for i, request in enumerate(requests) if isinstance(request, QuestionInstance)]
        others = [i for i, request in enumerate(requests) if not isinstance(request, QuestionInstance)]
        answers: dict[int, str] = {}
        if questions:
            scored = self._answer([requests[i] for i in questions], disable_tqdm)
            answers |= zip(questions, scored, strict=True)
        if others:
            answers |= zip(others, super().generate_until([requests[i] for i in others], disable_tqdm), strict=True)
        return [answers[i] for i in range(len(requests))]

    # ------------------------------------------------------------------ questions

    def _answer(self, requests: Sequence[QuestionInstance], disable_tqdm: bool) -> list[str]:
        """Answers questions; those that share their generation arguments share batches."""
        groups: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(repr(sorted(request.args[1].items())), []).append(i)
        endings = {key: self._ending(requests[rows[0]].args[1]) for key, rows in groups.items()}
        prompts = self._prompts(requests)
        size = self.max_batch_size if self.batch_size == "auto" else int(self.batch_size)
        answers: dict[int, str] = {}
        with tqdm(total=len(requests), disable=disable_tqdm or self.rank != 0, desc="Answering and scoring") as bar:
            for key, rows in groups.items():
                for place, found in self._answerer.answer([prompts[row] for row in rows], endings[key], size):
                    row = rows[place]
                    answers[row] = UQText(found.answer.text, self._answerer.record(found))
                    self.cache_hook.add_partial("generate_until", requests[row].args, answers[row])
                    bar.update()
        return [answers[row] for row in range(len(requests))]

    def _prompts(self, requests: Sequence[QuestionInstance]) -> list[Prompt]:
        """Tokenised prompts with their semantic-preserving tokens."""
        told = self._encoder.used
        prompts = self._answerer.encode(
            [PromptText(request.args[0], request.question, request.message) for request in requests]
        )
        if told is None and self.rank == 0 and self._encoder.used is not None:
            position, text = self._encoder.used
            eval_logger.info("semantic-preserving token: position %d from the prompt's end, %r", position, text)
        return prompts

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

    def prompts(self, requests: Sequence[QuestionInstance]) -> list[Prompt]:
        """Tokenised prompts as they are answered: without their beginning where an answer would not fit in.

        Raises:
            UQHarnessError: A prompt leaves no room for an answer.
        """
        limits = [self._ending(request.args[1]).max_new_tokens for request in requests]
        return [self._encoder.fit(prompt, limit) for prompt, limit in zip(self._prompts(requests), limits, strict=True)]

    def _ending(self, gen_kwargs: Mapping[str, Any]) -> Ending:
        """How answers end, from a task's generation arguments.

        Raises:
            UQHarnessError: They ask for something else than greedy decoding, or leave no room for a prompt.
        """
        kwargs = normalize_gen_kwargs(dict(gen_kwargs), self.max_gen_toks)
        max_new_tokens = kwargs.pop("max_gen_toks")
        stop_strings = [stop for stop in handle_stop_sequences(kwargs.pop("until", None), eos=None) if stop]
        sampling = kwargs.pop("do_sample", False) or kwargs.pop("temperature", 0.0)
        kwargs.pop("temperature", None)
        if sampling or kwargs:
            asked = "do_sample or temperature" if sampling else ", ".join(kwargs)
            raise UQHarnessError(
                f"--gen_kwargs sets {asked}, but uncertainty is that of the greedy answer: only until and max_gen_toks "
                "can be set on this task"
            )
        if not 0 < max_new_tokens < self.max_length:
            raise UQHarnessError(
                f"max_gen_toks={max_new_tokens} leaves no room for a prompt in the model's context of "
                f"{self.max_length} tokens: use a number from 1 to {self.max_length - 1}"
            )
        return ending(
            self.model,
            self.tokenizer,
            stop_strings=stop_strings,
            max_new_tokens=max_new_tokens,
            think_end_token=self.think_end_token,
        )


def _no_model(kwargs: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches("pretrained", kwargs, n=1)
    hint = f"did you mean pretrained instead of {close[0]}?" if close else "give pretrained=MODEL, or pretrained=demo"
    return f"--model_args names no model: {hint}"
