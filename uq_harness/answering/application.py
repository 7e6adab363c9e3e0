"""The way in for applications: a transformers model and tokenizer become a model that says how sure it is."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import inspect
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from importlib.metadata import version
from typing import Any, Self

import torch
from lm_eval.models.utils import resolve_max_length
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.answering.answerer import Answerer
from uq_harness.answering.asked import check_questions, in_batches
from uq_harness.answering.choose import choose_methods, with_default_by_name
from uq_harness.answering.conversation import PLACE, Conversation, PromptStyle
from uq_harness.answering.identity import weights_fingerprint
from uq_harness.answering.measured_token import measure_token
from uq_harness.answering.options import (
    LARGEST_SEED,
    check_template_arguments,
    check_think_end,
    read_context,
    take_auxiliary_models,
    take_options,
    unknown_option,
)
from uq_harness.answering.pretrained import load_pretrained
from uq_harness.answering.prompts import PromptEncoder
from uq_harness.answering.request_queue import RequestQueue
from uq_harness.answering.scored_answer import PromptAnswerer, ScoredAnswer
from uq_harness.answering.semantic_token import SemanticToken
from uq_harness.answering.stopping import stop_criteria
from uq_harness.answering.thinking import ThinkingNotice
from uq_harness.backends.transformers.backend import TransformersBackend, check_evaluation_mode
from uq_harness.errors import UQHarnessError
from uq_harness.evidence.prompt import Prompt
from uq_harness.methods import build_methods, settings
from uq_harness.methods.arguments import read_flag, read_whole


class UncertaintyModel:
    """A causal language model that says how far to trust each of its answers.

    Answers and scores are those of a run of ``uq-hf`` with the same prompts and settings: the same code makes them.
    Threads may share it, or its model: questions go through a model one batch at a time, whoever asks them.

    Args:
        model: A decoder-only model of transformers, in evaluation mode, on its device.
        tokenizer: Its tokenizer.
        methods: Method names joined by ``+`` or in a list, or ``default``, ``cheap``, ``sampling_free``,
            ``sampling``, ``all``; the last four shrink to what the model can give.
        max_new_tokens: Limit on an answer's tokens, thinking included.
        stop: An answer stops before the first of these texts.
        batch_size: Questions answered at a time; it halves where memory runs out.
        seed: Seed of the sampled answers. A question's samples depend on it and on the prompt alone.
        prompt: The user's message for a plain question, with ``{question}`` in the question's place.
        apply_chat_template: Whether the tokenizer's chat template is applied; without it the message is the prompt.
        chat_template_args: Further arguments of the chat template, such as ``{"enable_thinking": False}``.
        think_end_token: What ends the model's thinking, as text or token; what is before it is neither answer nor
            scored.
        sp_token: The semantic-preserving token, as for ``uq-hf``; ``measured`` puts its questions as this object does.
        add_bos_token: Whether prompts begin with the beginning-of-sequence token; ``None`` leaves it to the tokenizer.
        max_length: The model's context in tokens; ``None`` takes it from the model's configuration.
        batch_invariant: Whether questions go through the model one at a time, so that no answer depends on the batch
            even in 16-bit types.
        **options: Options of the chosen methods (see ``uq-harness methods``); ``nli_model`` and ``similarity_model``
            with ``_batch_size``, ``_device``, ``_dtype``, ``_max_length`` and ``_cache_size`` in place of ``_model``.

    Raises:
        UQHarnessError: An unknown method or option, a value that is not allowed, a model that is not decoder-only or in
            training mode, a tokenizer without a chat template, an auxiliary model that cannot be had.

    >>> from transformers import AutoModelForCausalLM, AutoTokenizer
    >>> from uq_harness.demo import MODEL_DIR
    >>> demo = AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)
    >>> model = UncertaintyModel(*demo, methods="g_nll+semgrad")
    >>> answers = model.answer(["What is the capital of France?"])
    >>> sorted(answers[0].uncertainty)
    ['g_nll', 'semgrad']
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        methods: str | Iterable[str] = "default",
        *,
        max_new_tokens: int = 256,
        stop: str | Sequence[str] = (),
        batch_size: int = 16,
        seed: int = 1234,
        prompt: str = PLACE,
        apply_chat_template: bool = True,
        chat_template_args: Mapping[str, Any] | None = None,
        think_end_token: str | int | None = None,
        sp_token: str | int = "auto",
        add_bos_token: bool | None = None,
        max_length: int | None = None,
        batch_invariant: bool = False,
        **options: Any,
    ) -> None:
        _check_model(model, tokenizer)
        # its own: another thread that pads or cuts texts sets up the tokenizer again
        tokenizer = copy.deepcopy(tokenizer)
        seed = read_whole("seed", seed, 0, LARGEST_SEED)
        batch_invariant = read_flag("batch_invariant", batch_invariant)
        apply_chat_template = read_flag("apply_chat_template", apply_chat_template)
        if add_bos_token is not None:
            add_bos_token = read_flag("add_bos_token", add_bos_token)
        stops = _stop_strings(stop)
        check_template_arguments(chat_template_args)
        check_think_end(think_end_token, tokenizer)
        max_length = read_context(max_length, model.config)
        own = take_options(options)
        names = _check_methods(methods, own)
        services = take_auxiliary_models(options)
        if options:
            raise unknown_option(next(iter(options)), _KNOWN)
        semantic_token = SemanticToken.parse(sp_token)
        length = resolve_max_length(model.config, tokenizer) if max_length is None else max_length
        _check_count("batch_size", batch_size)
        _check_count("max_new_tokens", max_new_tokens, below=length)
        self._max_new_tokens, self._device = max_new_tokens, str(model.device)
        self._style = PromptStyle(tokenizer, prompt, apply_chat_template, dict(chat_template_args or {}))
        self._encoder = PromptEncoder(
            tokenizer,
            semantic_token,
            max_length=length,
            max_gen_toks=max_new_tokens,
            chat_template_args=chat_template_args,
            add_bos_token=add_bos_token,
        )
        if semantic_token.to_measure:
            as_asked = partial(self._style.prompt, place="the question")
            measured = measure_token(model, tokenizer, self._encoder, as_asked, _padding(tokenizer))
            self._encoder.choose(SemanticToken(measured.position, measured=measured))
        self._encoder.check_model(model)
        backend = TransformersBackend(
            model,
            tokenizer,
            max_length=length,
            pad_id=_padding(tokenizer),
            seed=seed,
            batch_invariant=batch_invariant,
        )
        chosen = choose_methods(names, own, backend)
        chosen.warn()
        answerer = Answerer(backend, services, chosen.methods, thinking=ThinkingNotice(tokenizer, think_end_token))
        stop_at = stop_criteria(
            model, tokenizer, stop_strings=stops, max_new_tokens=max_new_tokens, think_end_token=think_end_token
        )
        self._answer = PromptAnswerer(answerer, stop_at, batch_size, tokenizer)
        self._queue = RequestQueue(self._answer)
        template = tokenizer.get_chat_template() if apply_chat_template else None
        self._settings = {
            "model": model.name_or_path,
            "dtype": str(model.dtype),
            "weights": weights_fingerprint(model),
            "versions": {name: version(name) for name in ("uq_harness", "lm_eval", "transformers")},
            "methods": [method.name for method in chosen.methods],
            "seed": seed,
            "prompt": prompt,
            "chat_template": template and hashlib.sha256(template.encode()).hexdigest(),
            "chat_template_args": dict(chat_template_args or {}),
            "add_bos_token": add_bos_token,
            "max_length": max_length,
            "max_new_tokens": max_new_tokens,
            "stop": stops,
            "think_end_token": think_end_token,
            **settings(chosen.methods),
            **answerer.describe(),
        }

    @classmethod
    def from_pretrained(cls, pretrained: str, methods: str | Iterable[str] = "default", **arguments: Any) -> Self:
        """Loads a model by its name, with its tokenizer.

        Args:
            pretrained: A name on the hub, a folder, or ``demo`` for the small model of the package.
            methods: See above.
            **arguments: What the class takes (see above), and the arguments of ``uq-hf`` that load a model:
                ``device``, ``dtype``, ``revision``, ``trust_remote_code``, ``parallelize``, ``peft``, ``tokenizer``,
                ``attn_implementation``, …. Without ``device`` the first GPU is taken, or the CPU where there is none.

        Raises:
            UQHarnessError: An unknown method or argument, a value that is not allowed, a model that cannot be loaded.

        >>> model = UncertaintyModel.from_pretrained("demo", methods="g_nll", device="cpu")
        >>> model
        UncertaintyModel('demo', methods='g_nll', dtype='float32', device='cpu')
        """
        rest = dict(arguments)
        _check_methods(methods, take_options(rest))  # before anything is loaded
        take_auxiliary_models(rest)
        own = {name: value for name, value in arguments.items() if name in _SETTINGS or name not in rest}
        loading = {name: value for name, value in rest.items() if name not in _SETTINGS or name == _OF_BOTH}
        if loading.get("enable_thinking") is not None:
            check_template_arguments(own.get("chat_template_args"))
            thinking = read_flag("enable_thinking", loading.pop("enable_thinking"))
            own["chat_template_args"] = {**(own.get("chat_template_args") or {}), "enable_thinking": thinking}
        model = cls(*load_pretrained(pretrained, loading, _SETTINGS), methods, **own)
        model._settings["model"] = pretrained
        return model

    def answer(self, questions: Iterable[str | Conversation]) -> list[ScoredAnswer]:
        """Answers questions greedily and scores each answer by every method.

        Args:
            questions: The questions: a list, an array, a column of a table, a generator, …. Each is a text, or a
                conversation in chat messages whose last one is the user's; its content then is the question that NLI
                and P(True) see.

        Returns:
            One answer a question, in their order.

        Raises:
            UQHarnessError: Something is not a question, a prompt does not fit into the context, or the model has been
                put into training mode.
        """
        check_questions(questions, "answer()")
        prompts = self._prompts(1, list(questions))
        found = dict(self._answer(prompts))
        return [found[row] for row in range(len(prompts))]

    def stream(self, questions: Iterable[str | Conversation], progress: bool = False) -> Iterator[ScoredAnswer]:
        """Answers questions one batch after another, and gives each answer as soon as its batch is done.

        No more than one batch of questions is taken ahead, so that they may come from a generator without end.

        Args:
            questions: See `answer`.
            progress: Whether a progress bar is shown (tqdm, on the standard error stream or in the notebook).

        Yields:
            One answer a question, in their order.

        Raises:
            UQHarnessError: See `answer`; of a question that is none, when its batch is reached.
        """
        check_questions(questions, "stream()")
        return self._stream(questions, progress)

    async def aanswer(self, questions: Iterable[str | Conversation]) -> list[ScoredAnswer]:
        """`answer` for asyncio: questions of all callers that wait share batches, and the event loop goes on.

        A caller that is cancelled takes its questions out of the queue. What goes wrong with one question is raised
        to its caller alone.

        Args:
            questions: See `answer`.

        Returns:
            One answer a question, in their order.

        Raises:
            UQHarnessError: See `answer`.
        """
        check_questions(questions, "aanswer()")
        prompts = await asyncio.to_thread(lambda: self._prompts(1, list(questions)))
        return await self._queue.answers(prompts)

    def astream(self, questions: Iterable[str | Conversation]) -> AsyncIterator[ScoredAnswer]:
        """`stream` for asyncio; questions share batches with those of `aanswer` and of other streams.

        The questions of at most two batches are taken ahead, one by one in another thread; where they are slow to come,
        the answers to those before them do not wait, so that they may depend on these.

        Args:
            questions: See `answer`.

        Yields:
            One answer a question, in their order.

        Raises:
            UQHarnessError: See `stream`.
        """
        check_questions(questions, "astream()")
        return self._queue.stream(questions, lambda number, one: self._prompts(number, [one])[0])

    def describe(self) -> dict[str, Any]:
        """All that answers and scores depend on, as JSON values: for an application's log, and for `Abstainer.check`.

        Model (``weights`` is a short name of its weights, ``chat_template`` the SHA-256 of its template), versions,
        methods with all their options, auxiliary models, prompt, and how answers end.
        """
        return {**self._settings, **self._encoder.describe()}

    def __repr__(self) -> str:
        shown = {
            "methods": "+".join(self._settings["methods"]),
            "dtype": self._settings["dtype"].removeprefix("torch."),
            "device": self._device,
        }
        given = ", ".join(f"{name}={value!r}" for name, value in shown.items())
        return f"UncertaintyModel({self._settings['model']!r}, {given})"

    def _prompts(self, first: int, asked: Sequence[str | Conversation]) -> list[Prompt]:
        """Prompts that leave space for their answers; ``first`` is the number of the first question, for messages."""
        plain = [str(one) if isinstance(one, str) else one for one in asked]  # an array has texts of its own kind
        texts = [self._style.prompt(one, f"question {number}") for number, one in enumerate(plain, first)]
        prompts = self._encoder.encode(texts) if texts else []
        return [self._encoder.fit(prompt, self._max_new_tokens) for prompt in prompts]

    def _stream(self, questions: Iterable[str | Conversation], progress: bool) -> Iterator[ScoredAnswer]:
        total = len(questions) if isinstance(questions, Sized) else None
        with tqdm(total=total, disable=not progress, desc="Answering and scoring") as bar:
            for first, batch in in_batches(questions, self._answer.batch_size):
                found = {}
                for row, answer in self._answer(self._prompts(first, batch)):
                    found[row] = answer
                    bar.update()
                yield from (found[row] for row in range(len(batch)))


_KNOWN = [name for name in inspect.signature(UncertaintyModel).parameters if name != "options"]
_SETTINGS = [name for name in _KNOWN if name not in ("model", "tokenizer")]
_OF_BOTH = "add_bos_token"  # what makes prompts reads it, and the tokenizer


def _check_model(model: Any, tokenizer: Any) -> None:
    if not isinstance(model, torch.nn.Module):
        raise UQHarnessError(
            f"the model is {model!r}: load it first, with transformers' AutoModelForCausalLM.from_pretrained"
        )
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise UQHarnessError(
            f"the tokenizer is {tokenizer!r}: load it first, with transformers' AutoTokenizer.from_pretrained"
        )
    if getattr(model.config, "is_encoder_decoder", False):
        raise UQHarnessError(f"{type(model).__name__} is not a decoder-only model, which uncertainty scores need")
    check_evaluation_mode(model)


def _check_count(name: str, value: Any, below: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UQHarnessError(f"{name}={value!r} is not allowed: use a whole number from 1 on")
    if below is not None and value >= below:
        raise UQHarnessError(
            f"{name}={value} leaves no space for a prompt in the model's context of {below} tokens: use a number from "
            f"1 to {below - 1}"
        )


def _stop_strings(stop: Any) -> list[str]:
    """The texts before which an answer stops; empty ones stop nothing."""
    texts = [stop] if isinstance(stop, str) else stop
    if not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        raise UQHarnessError(f"stop={stop!r} is not allowed: use a text or a list of texts, [] for none")
    return [text for text in texts if text]


def _check_methods(methods: str | Iterable[str], options: Mapping[str, Any]) -> list[str]:
    """The names of methods, with those of ``default`` in its place, after all is checked that needs no model."""
    names = with_default_by_name(methods)
    build_methods(names or methods, options)
    return names


def _padding(tokenizer: PreTrainedTokenizerBase) -> int:
    """A token for padding, which no other token ever sees."""
    ids = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    return next(token for token in ids if token is not None)
