"""The way in for applications: a transformers model and tokenizer become a model that says how sure it is."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from lm_eval.models.utils import resolve_max_length
from markupsafe import Markup
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.answering.answerer import Answerer
from uq_harness.answering.choose import choose_methods, with_default_by_name
from uq_harness.answering.conversation import PLACE, Conversation, PromptStyle
from uq_harness.answering.measured_token import measure_token
from uq_harness.answering.options import (
    LARGEST_SEED,
    check_think_end,
    read_context,
    take_auxiliary_models,
    take_options,
    unknown_option,
)
from uq_harness.answering.prompts import PromptEncoder
from uq_harness.answering.semantic_token import SemanticToken
from uq_harness.answering.stopping import stop_criteria
from uq_harness.answering.thinking import ThinkingNotice
from uq_harness.backends.transformers.backend import TransformersBackend, check_evaluation_mode
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Evidence
from uq_harness.evidence.token_spans import token_texts
from uq_harness.functional import FloatArray
from uq_harness.methods import build_methods, settings
from uq_harness.methods.arguments import read_flag, read_whole
from uq_harness.rendering.coloured import LOG_PROBABILITY, TokenValues, legend
from uq_harness.rendering.escape import visible
from uq_harness.rendering.pages import token_style


@dataclass(frozen=True)
class ScoredAnswer:
    """A greedy answer and how uncertain it is.

    Attributes:
        question: The bare question.
        text: The answer: cut before the first stop string, thinking removed, no special tokens.
        uncertainty: One score a method, higher meaning less certain; ``nan`` where it is undefined.
        tokens: The answer's tokens as texts, the end-of-sequence token included when the model emitted it; a character
            that several tokens write is at the last of them.
        token_ids: The same as numbers.
        logprobs: Log-probability of each token, natural logarithm.
        entropies: Entropy of the distribution each token was taken from, in nats.
        complete: Whether the model ended the answer itself; false when ``max_new_tokens`` cut it.
        evidence: All that was gathered: samples, entailment, seconds of each stage, ….
        record: What a run writes to its sample log: plain JSON values.
    """

    question: str
    text: str
    uncertainty: Mapping[str, float]
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    entropies: tuple[float, ...]
    complete: bool
    evidence: Evidence = field(repr=False, compare=False)
    record: Mapping[str, Any] = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: the question and the record that a run writes to its sample log."""
        return {"question": self.question, **copy.deepcopy(dict(self.record))}

    def to_html(self, token_value: str = LOG_PROBABILITY) -> str:
        """The answer as HTML, its tokens coloured by how uncertain the model was of each, with a legend and scores.

        Notebooks show an answer so. It has its own style, and every text in it is escaped.

        Args:
            token_value: What colours the tokens: ``log-probability``, ``entropy``, or what a method tells of tokens.

        Raises:
            UQHarnessError: There is no value of this name.
        """
        tokens = TokenValues.from_record(self.record)
        known = {} if tokens is None else tokens.values
        if token_value not in known:
            raise UQHarnessError(
                f"token_value={token_value!r} is not known: use {', '.join(known) or 'none, there is no'}"
            )
        assert tokens is not None
        scores = ", ".join(f"{name} {value:.4g}" for name, value in self.uncertainty.items())
        return str(
            Markup("<style>{}</style><p><bdi>{}</bdi></p><p>{}</p><p>{}</p>{}").format(
                Markup(token_style()),  # our own file
                visible(self.question),
                tokens.as_html(token_value),
                scores,
                legend(token_value),
            )
        )

    def _repr_html_(self) -> str | None:
        tokens = TokenValues.from_record(self.record)
        return self.to_html() if tokens is not None and LOG_PROBABILITY in tokens.values else None


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
        _check_template_arguments(chat_template_args)
        check_think_end(think_end_token, tokenizer)
        max_length = read_context(max_length, model.config)
        own, names = take_options(options), with_default_by_name(methods)
        build_methods(names or methods, own)  # what is wrong with them shows before any work
        services = take_auxiliary_models(options)
        if options:
            raise unknown_option(next(iter(options)), _KNOWN)
        semantic_token = SemanticToken.parse(sp_token)
        length = resolve_max_length(model.config, tokenizer) if max_length is None else max_length
        _check_count("batch_size", batch_size)
        _check_count("max_new_tokens", max_new_tokens, below=length)
        self._tokenizer, self._batch_size = tokenizer, batch_size
        self._style = PromptStyle(tokenizer, prompt, apply_chat_template, dict(chat_template_args or {}))
        self._stop = stop_criteria(
            model,
            tokenizer,
            stop_strings=stops,
            max_new_tokens=max_new_tokens,
            think_end_token=think_end_token,
        )
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
        self._methods = chosen.methods
        thinking = ThinkingNotice(tokenizer, think_end_token)
        self._answerer = Answerer(backend, services, self._methods, thinking=thinking)
        self._settings = {
            "model": model.name_or_path,
            "dtype": str(model.dtype),
            "uq_harness": version("uq-harness"),
            "methods": [method.name for method in self._methods],
            "seed": seed,
            "prompt": prompt,
            "max_new_tokens": max_new_tokens,
            **settings(self._methods),
            **self._answerer.describe(),
        }

    def answer(self, questions: Sequence[str | Conversation]) -> list[ScoredAnswer]:
        """Answers questions greedily and scores each answer by every method.

        Args:
            questions: A list of questions. Each is a text, or a conversation in chat messages whose last one is the
                user's; its content then is the question that NLI and P(True) see.

        Returns:
            One answer a question, in their order.

        Raises:
            UQHarnessError: Something is not a question, a prompt does not fit into the context, or the model has been
                put into training mode.
        """
        _check_list(questions)
        if not questions:
            return []
        texts = [self._style.prompt(asked, f"question {number}") for number, asked in enumerate(questions, 1)]
        prompts = [self._encoder.fit(prompt, self._stop.max_new_tokens) for prompt in self._encoder.encode(texts)]
        found = dict(self._answerer.answer(prompts, self._stop, self._batch_size))
        return [self._scored(found[row]) for row in range(len(questions))]

    def describe(self) -> dict[str, Any]:
        """Model, methods with all their options, auxiliary models and versions, for an application's own log."""
        return {**self._settings, **self._encoder.describe()}

    def _scored(self, evidence: Evidence) -> ScoredAnswer:
        answer, uncertainty = evidence.answer, self._answerer.scores(evidence)
        return ScoredAnswer(
            question=evidence.question,
            text=answer.text,
            uncertainty=uncertainty,
            tokens=token_texts(self._decode, answer.token_ids or ()),
            token_ids=answer.token_ids or (),
            logprobs=_floats(answer.logprobs),
            entropies=_floats(answer.entropies),
            complete=bool(answer.complete),
            evidence=evidence,
            record=self._answerer.record(evidence, uncertainty),
        )

    def _decode(self, token_ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(token_ids))
        return text


def _floats(values: FloatArray | None) -> tuple[float, ...]:
    return () if values is None else tuple(values.tolist())


_KNOWN = [name for name in inspect.signature(UncertaintyModel).parameters if name != "options"]


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


def _check_template_arguments(given: Any) -> None:
    if given is not None and not isinstance(given, Mapping):
        raise UQHarnessError(
            f'chat_template_args={given!r} is not allowed: use a mapping such as {{"enable_thinking": False}}'
        )


def _check_list(questions: Any) -> None:
    one = isinstance(questions, str) or (
        isinstance(questions, Sequence) and any(isinstance(q, Mapping) for q in questions)
    )
    if one or not isinstance(questions, Sequence):
        raise UQHarnessError(f"answer() takes a list of questions, and got {questions!r}: put a single one into [ ]")


def _padding(tokenizer: PreTrainedTokenizerBase) -> int:
    """A token for padding, which no other token ever sees."""
    ids = (tokenizer.pad_token_id, tokenizer.eos_token_id, 0)
    return next(token for token in ids if token is not None)
