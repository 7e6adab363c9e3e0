"""What every model of this package adds to one of lm_eval's: questions of uncertainty tasks are answered and scored."""

from __future__ import annotations

import copy
import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM, CacheHook
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs
from lm_eval.utils import simple_parse_args_string
from tqdm import tqdm

from uq_harness.answering.answerer import Answerer, Recorder
from uq_harness.answering.choose import Chosen
from uq_harness.answering.prompts import Prompts, PromptText
from uq_harness.answering.saved_samples import SampleSaver
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.command import keep_cache
from uq_harness.evaluation.instances import QuestionInstance, UQText
from uq_harness.evidence.prompt import Prompt, StopCriteria
from uq_harness.methods import Method, settings
from uq_harness.models.cache_stamp import check_cache, check_stamp, forget_refused

# Below lm_eval's own logger, whose notes lm_eval shows.
eval_logger = logging.getLogger("lm_eval.uq_harness")
L = TypeVar("L", bound="UncertainLM")


class UncertainLM(LM):
    """To be put before one of lm_eval's model classes: ``class UQHFLM(UncertainLM, HFLM)``.

    Questions of uncertainty tasks are answered greedily and scored; every other request goes to the other class.
    A subclass sets the attributes below in its constructor and says how its answers end.

    Attributes:
        _answerer: Answers and scores.
        _methods: The chosen methods.
        _encoder: Makes prompts of prompt texts.
        _configuration: What answers and scores depend on; a response cache is bound to it.
        _left_out: The methods of a set that cannot be had, with the reasons.
        _saver: Keeps what a second pass needs; ``None`` where it is not wanted (see `read_save_samples`).
    """

    _answerer: Answerer
    _methods: Sequence[Method]
    _encoder: Prompts
    _configuration: dict[str, Any]
    _left_out: Mapping[str, str] = MappingProxyType({})
    _saver: SampleSaver | None = None
    # What lm_eval's classes have.
    max_gen_toks: int
    max_length: int
    rank: int
    cache_hook: CacheHook

    def _take(self, chosen: Chosen) -> None:
        """Takes the chosen methods, and says which of a set are left out."""
        chosen.warn()
        self._methods, self._left_out = chosen.methods, chosen.left_out

    @abstractmethod
    def _build_answerer(self, methods: Sequence[Method]) -> Answerer:
        """An answerer for some methods; the model behind it is loaded."""

    @abstractmethod
    def _stop(self, stop_strings: list[str], max_new_tokens: int) -> StopCriteria:
        """How answers end.

        Args:
            stop_strings: An answer stops before the first of these.
            max_new_tokens: Limit on its tokens.
        """

    @abstractmethod
    def _questions_at_a_time(self) -> int:
        """Number of questions that are answered together at most."""

    def _recorders(self) -> Sequence[Recorder]:
        """What adds to the answers' records; asked for when model and tokenizer are loaded."""
        return () if self._saver is None else (self._saver,)

    @property
    def context(self) -> int:
        """The model's context in tokens."""
        return self.max_length

    @property
    def methods(self) -> tuple[Method, ...]:
        """The chosen methods with their options."""
        return tuple(self._methods)

    def with_methods(self: L, methods: Sequence[Method]) -> L:
        """The same model with other methods; weights and auxiliary models are shared."""
        other = copy.copy(self)
        other._methods, other._left_out = list(methods), {}
        other._answerer = self._build_answerer(methods)
        return other

    def forget(self) -> None:
        """Forgets earlier comparisons of texts, so that they are made again: for measuring what they cost."""
        self._answerer.forget()

    @classmethod
    def create_from_arg_obj(
        cls: type[L], arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> L:
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
    def create_from_arg_string(cls: type[L], arg_string: str, additional_config: dict[str, Any] | None = None) -> L:
        """The same from the text of ``--model_args``."""
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    def set_cache_hook(self, cache_hook: CacheHook) -> None:
        """Accepts lm_eval's response cache, unless it was written under another configuration."""
        super().set_cache_hook(cache_hook)
        if cache_hook.dbdict is not None:
            check_cache(cache_hook.dbdict.filename)
            check_stamp(cache_hook.dbdict, cache_hook.dbdict.filename, self._configuration)
            forget_refused(cache_hook.dbdict)
            keep_cache(cache_hook.dbdict)

    def get_model_info(self) -> dict[str, Any]:
        """What lm_eval knows of the model, and the methods with all their options."""
        uncertainty = {
            "methods": [method.name for method in self._methods],
            **({"left_out": dict(self._left_out)} if self._left_out else {}),
            **self._encoder.describe(),
            **self._answerer.describe(),
            **({} if self._saver is None else self._saver.describe()),
        }
        inherited: dict[str, Any] = getattr(super(), "get_model_info", dict)()  # API models of lm_eval have none
        return {**inherited, "uncertainty": {**uncertainty, **settings(self._methods)}}

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Answers requests; the answers to questions of uncertainty tasks carry their records.

        Raises:
            UQHarnessError: A request asks for sampling, or its prompt leaves no space for an answer.
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

    def _answer(self, requests: Sequence[QuestionInstance], disable_tqdm: bool) -> list[str]:
        """Answers questions; those that share their generation arguments share batches."""
        groups: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(repr(sorted(request.args[1].items())), []).append(i)
        stops = {key: self._stop_criteria(requests[rows[0]].args[1]) for key, rows in groups.items()}
        prompts = self._prompts(requests)
        size = self._questions_at_a_time()
        answers: dict[int, str] = {}
        # Answers come batch by batch: after the first one of a batch, nothing is known of the time that they take.
        hidden = disable_tqdm or self.rank != 0
        with tqdm(
            total=len(requests), disable=hidden, desc="Answering and scoring", miniters=min(size, len(requests))
        ) as bar:
            for key, rows in groups.items():
                fitted = [self._encoder.fit(prompts[row], stops[key].max_new_tokens) for row in rows]
                for place, found in self._answerer.answer(fitted, stops[key], size):
                    row = rows[place]
                    answers[row] = UQText(found.answer.text, self._answerer.record(found))
                    if found.refused is None:
                        self.cache_hook.add_partial("generate_until", requests[row].args, answers[row])
                    bar.update()
        return [answers[row] for row in range(len(requests))]

    def _prompts(self, requests: Sequence[QuestionInstance]) -> list[Prompt]:
        """Tokenised prompts with their semantic-preserving tokens; which one it is is said once."""
        told = self._encoder.used
        prompts = self._encoder.encode(
            [PromptText(request.args[0], request.question, request.message) for request in requests]
        )
        if told is None and self.rank == 0 and self._encoder.used is not None:
            position, text = self._encoder.used
            eval_logger.info("semantic-preserving token: position %d from the prompt's end, %r", position, text)
        return prompts

    def prompts(self, requests: Sequence[QuestionInstance]) -> list[Prompt]:
        """Tokenised prompts as they are answered: without their beginning where an answer would not fit in.

        Raises:
            UQHarnessError: A prompt leaves no space for an answer.
        """
        limits = [self._stop_criteria(request.args[1]).max_new_tokens for request in requests]
        return [self._encoder.fit(prompt, limit) for prompt, limit in zip(self._prompts(requests), limits, strict=True)]

    def _stop_criteria(self, gen_kwargs: Mapping[str, Any]) -> StopCriteria:
        """How answers end, from a task's generation arguments.

        Raises:
            UQHarnessError: They ask for something else than greedy decoding, or leave no space for a prompt.
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
        if not 0 < max_new_tokens < self.context:
            raise UQHarnessError(
                f"max_gen_toks={max_new_tokens} leaves no space for a prompt in the model's context of "
                f"{self.context} tokens: use a number from 1 to {self.context - 1}"
            )
        return self._stop(stop_strings, max_new_tokens)
