"""The model wrapper: lm_eval's Hugging Face model, whose greedy answers carry one uncertainty score a method."""

from __future__ import annotations

import difflib
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import torch
from jinja2 import TemplateError
from lm_eval.api.instance import Instance
from lm_eval.api.model import CacheHook
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import handle_stop_sequences, has_bos_prefix, normalize_gen_kwargs, postprocess_generated_text
from tqdm import tqdm

from uq_harness import __version__
from uq_harness.demo import MODEL_DIR
from uq_harness.engine import Ending, Gatherer, Prompt, SemanticToken
from uq_harness.engine.semantic_token import ChatTail, anchor_of
from uq_harness.errors import UQHarnessError, one_of
from uq_harness.evidence import Evidence
from uq_harness.identity import ModelIdentity, template_fingerprint, weights_fingerprint
from uq_harness.memory import in_shrinking_batches
from uq_harness.methods import all_options, build_methods, settings
from uq_harness.models._cache_stamp import check_stamp
from uq_harness.request import QuestionInstance
from uq_harness.response import UQText
from uq_harness.similarity import Comparer, build_nli, build_similarity

log = logging.getLogger(__name__)

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
        sp_token: The semantic-preserving token: ``auto`` (found from the chat template), ``last``, a position from the
            prompt's end such as ``-3``, or the result file of ``uq-harness sps`` for this model.
        seed: Seed of the sampled answers; by default the one that lm_eval's ``--seed`` gives torch. A question's
            samples depend on it and on the prompt, not on what shares the batch.
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
        **kwargs: Any,
    ) -> None:
        if pretrained is None:
            raise UQHarnessError(_no_model(kwargs))
        options = {name: kwargs.pop(name) for name in list(kwargs) if name in all_options()}
        self._methods = build_methods(methods, options)
        self._needs = list(dict.fromkeys(need for method in self._methods for need in method.needs()))
        self._sp_token = SemanticToken.parse(sp_token)
        self._seed = torch.initial_seed() % 2**63 if seed is None else int(seed)  # lm_eval's --seed has set torch's
        nli = build_nli(**_with_prefix("nli_", kwargs))
        similarity = build_similarity(**_with_prefix("similarity_", kwargs))
        self._configuration = {
            "pretrained": pretrained if isinstance(pretrained, str) else type(pretrained).__name__,
            "uq_harness": __version__,
            "methods": [method.name for method in self._methods],
            "sp_token": str(self._sp_token),
            **settings(self._methods),
            **{key: value for key, value in kwargs.items() if key not in _PLACEMENT},
        }
        if pretrained == "demo":
            pretrained = str(MODEL_DIR)
        try:
            super().__init__(pretrained, **kwargs)
        except TypeError as error:
            raise _explained(error, kwargs) from error
        if self.backend != "causal":
            raise UQHarnessError(f"uq-hf needs a decoder-only model, and {self.pretrained} is of type {self.backend}")
        self._take_rank_from_launcher()
        if self.batch_size != "auto" and int(self.batch_size) < 1:
            raise UQHarnessError(f"batch_size={self.batch_size} is not allowed: use a number from 1 on, or auto")
        self._configuration |= {"dtype": str(self.model.dtype), "weights": weights_fingerprint(self.model)}
        self._sp_token.check(self.identity)
        self._gatherer = Gatherer(
            self.model,
            self.tokenizer,
            self._needs,
            max_length=self.max_length,
            pad_id=self.tokenizer.pad_token_id,
            encode_message=self._encode_message,
            seed=self._seed,
        )
        self._comparer = Comparer(
            self._needs,
            nli,
            similarity,
            decode=lambda tokens: self.tok_decode(list(tokens)),
            special_ids=frozenset(self.tokenizer.all_special_ids),
        )
        self._comparer.prepare()
        self._configuration |= self._comparer.describe()
        if any(method.sampling for method in self._methods):
            self._configuration["seed"] = self._seed
        self._uses_template = False

    @property
    def identity(self) -> ModelIdentity:
        """What this model is known by, with the chat template that its tokenizer has."""
        return ModelIdentity(
            name=self._configuration["pretrained"],
            dtype=self._configuration["dtype"],
            weights=self._configuration["weights"],
            template=template_fingerprint(self.tokenizer.chat_template, self.chat_template_args or {}),
        )

    def _take_rank_from_launcher(self) -> None:
        """Sets rank and world size from the launcher.

        HFLM does so only if this process sees several GPUs, and takes the rank within the node; on a CPU, with one GPU
        a process, or on several nodes every process would answer the wrong questions.
        """
        accelerator = getattr(self, "accelerator", None)
        if accelerator is not None and accelerator.num_processes > 1:
            self._rank, self._world_size = accelerator.process_index, accelerator.num_processes

    # ------------------------------------------------------------------ what lm_eval asks for

    def set_cache_hook(self, cache_hook: CacheHook) -> None:
        """Accepts lm_eval's response cache, unless it was written under another configuration."""
        super().set_cache_hook(cache_hook)
        if cache_hook.dbdict is not None:
            check_stamp(cache_hook.dbdict, cache_hook.dbdict.filename, self._configuration)

    def get_model_info(self) -> dict[str, Any]:
        """What lm_eval knows of the model, and the methods with all their options."""
        uncertainty = {
            "methods": [method.name for method in self._methods],
            **self._sp_token.describe(),
            **self._comparer.describe(),
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
        """Answers questions in batches of similar length, longest first so that memory runs out early or never."""
        groups: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(repr(sorted(request.args[1].items())), []).append(i)
        endings = {key: self._ending(requests[rows[0]].args[1]) for key, rows in groups.items()}
        prompts = self._prompts(requests)
        size = self.max_batch_size if self.batch_size == "auto" else int(self.batch_size)
        answers: dict[int, str] = {}
        with tqdm(total=len(requests), disable=disable_tqdm or self.rank != 0, desc="Answering and scoring") as bar:
            for key, rows in groups.items():
                fitted = {row: self._fit(prompts[row], endings[key].max_new_tokens) for row in rows}
                longest_first = sorted(rows, key=lambda row: -len(fitted[row].token_ids))
                work = partial(self._gather, fitted, endings[key])
                for batch, evidence in in_shrinking_batches(work, longest_first, size):
                    for row, found in zip(batch, evidence, strict=True):
                        answers[row] = UQText(found.answer.text, self._record(found))
                        self.cache_hook.add_partial("generate_until", requests[row].args, answers[row])
                    bar.update(len(batch))
        return [answers[row] for row in range(len(requests))]

    def _gather(self, prompts: Mapping[int, Prompt], ending: Ending, rows: Sequence[int]) -> list[Evidence]:
        """The evidence about one batch, in mixed precision where the user asks for it."""
        precision = self.mixed_precision_dtype
        with torch.autocast(self.device.type, precision, enabled=precision is not None):
            evidence = self._gatherer.gather([prompts[row] for row in rows], ending)
        return self._comparer.add_similarity(self._comparer.add_entailment(evidence))

    def _record(self, evidence: Evidence) -> dict[str, Any]:
        """What the sample log says about one answer; numbers that are undefined become ``None``."""
        answer = evidence.answer
        scores = {method.name: method.score(evidence) for method in self._methods}
        return {
            "uncertainty": {name: score if math.isfinite(score) else None for name, score in scores.items()},
            "answer": answer.text,
            "answer_tokens": len(answer.token_ids),
            "complete": answer.complete,
            "token_ids": list(answer.token_ids),
            "token_logprobs": [_number(value) for value in answer.logprobs.tolist()],
            "token_entropies": [_number(value) for value in answer.entropies.tolist()],
            "cost": dict(evidence.cost),
        }

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
        configured = self.model.generation_config.eos_token_id if self.model.generation_config is not None else None
        ends = configured if isinstance(configured, list) else [configured]
        end_ids = frozenset(int(token) for token in [*ends, self.eot_token_id] if token is not None)
        stop_ids = self._special_stops(stop_strings) - end_ids
        return Ending(
            end_ids=end_ids,
            max_new_tokens=max_new_tokens,
            read=lambda tokens: self._read(tokens, stop_strings, stop_ids),
            stops=(lambda tokens: self._stops(tokens, stop_strings, stop_ids)) if stop_strings else None,
        )

    def _special_stops(self, stop_strings: list[str]) -> frozenset[int]:
        """The stop strings that are special tokens, which an answer's text does not show."""
        encoded = [self.tokenizer(stop, add_special_tokens=False)["input_ids"] for stop in stop_strings]
        return frozenset(ids[0] for ids in encoded if len(ids) == 1 and not self.tok_decode(ids))

    def _stops(self, tokens: list[int], stop_strings: list[str], stop_ids: frozenset[int]) -> bool:
        if not stop_ids.isdisjoint(tokens):
            return True
        text = self.tok_decode(tokens)
        if isinstance(self.think_end_token, str) and self.think_end_token in text:
            text = text.split(self.think_end_token)[-1]
        return any(stop in text for stop in stop_strings)

    def _read(self, tokens: list[int], stop_strings: list[str], stop_ids: frozenset[int]) -> tuple[str, range]:
        """The answer's text as lm_eval's ``hf`` would give it, and the range of tokens that make it up."""
        tokens = tokens[: next((i for i, token in enumerate(tokens) if token in stop_ids), len(tokens))]
        start = self._thinking(tokens)
        whole = self.tok_decode(tokens[start:])
        text = postprocess_generated_text(whole, stop=stop_strings, think_end_token=None)
        stop = len(tokens)
        if text != whole:  # a token counts if it begins before the stop string does
            stop = next(n for n in range(start, stop + 1) if len(self.tok_decode(tokens[start:n])) >= len(text))
        return (text.lstrip() if start else text), range(start, stop)

    def _thinking(self, tokens: list[int]) -> int:
        """Number of tokens up to the end of the model's thinking; 0 where it did not think."""
        end = self.think_end_token
        if isinstance(end, int):
            return len(tokens) - tokens[::-1].index(end) if end in tokens else 0
        text = self.tok_decode(tokens) if end else ""
        if not end or end not in text:
            return 0
        thought = len(text) - len(text.split(end)[-1])
        return next(n for n in range(len(tokens) + 1) if len(self.tok_decode(tokens[:n])) >= thought)

    # ------------------------------------------------------------------ prompts

    @property
    def chat_tail(self) -> ChatTail | None:
        """What the chat template puts behind the user's text; ``None`` where there is no template."""
        return self._tail

    def prompts(self, requests: Sequence[QuestionInstance]) -> list[Prompt]:
        """Tokenised prompts as they are answered: without their beginning where an answer would not fit in.

        Raises:
            UQHarnessError: A prompt leaves no room for an answer.
        """
        limits = [self._ending(request.args[1]).max_new_tokens for request in requests]
        return [self._fit(prompt, limit) for prompt, limit in zip(self._prompts(requests), limits, strict=True)]

    @cached_property
    def _tail(self) -> ChatTail | None:
        """What the chat template puts behind the user's text; ``None`` where there is no template."""
        if self.tokenizer.chat_template is None:
            return None
        try:
            return ChatTail.of(self._render)
        except TemplateError as error:
            log.warning("the chat template renders no single user message (%s): sp_token=auto takes the last", error)
            return None

    def _render(self, user: str, header: bool) -> str:
        message = [{"role": "user", "content": user}]
        rendered: str = self.tokenizer.apply_chat_template(
            message, tokenize=False, add_generation_prompt=header, **self.chat_template_args
        )
        return rendered

    def _prompts(self, requests: Sequence[QuestionInstance]) -> list[Prompt]:
        """Tokenised prompts with their semantic-preserving tokens."""
        texts = [request.args[0] for request in requests]
        special = self._special_tokens(texts[0])
        fast = bool(self.tokenizer.is_fast)
        encoded = self.tokenizer(texts, truncation=self.truncation, return_offsets_mapping=fast, **special)
        offsets = encoded["offset_mapping"] if fast else [None] * len(texts)
        prompts = [
            Prompt(request.question, request.message, ids, self._semantic_token(text, ids, spans))
            for request, text, ids, spans in zip(requests, texts, encoded["input_ids"], offsets, strict=True)
        ]
        self._uses_template = anchor_of(texts[0], self._tail) is not None
        first = prompts[0]
        token = self.tok_decode([first.token_ids[first.semantic_token]], skip_special_tokens=False)
        log.info("semantic-preserving token: %r, position %d from the prompt's end", token, first.semantic_token)
        return prompts

    def _special_tokens(self, text: str) -> dict[str, bool]:
        """Whether the tokenizer shall add special tokens, decided as lm_eval does."""
        if has_bos_prefix(text, self.tokenizer.bos_token):
            return {"add_special_tokens": False}
        return {} if self.add_bos_token is None else {"add_special_tokens": self.add_bos_token}

    def _encode_message(self, message: str) -> list[int]:
        """Token ids of the prompt for another user's message, made as this run's prompts are."""
        text = self.apply_chat_template([{"role": "user", "content": message}]) if self._uses_template else message
        ids: list[int] = self.tokenizer(text, **self._special_tokens(text))["input_ids"]
        return ids[-max(1, self.max_length - self.max_gen_toks) :]

    def _semantic_token(self, text: str, ids: list[int], offsets: list[tuple[int, int]] | None) -> int:
        anchor = anchor_of(text, self._tail)
        rest = text[anchor.character :] if anchor and offsets is None else ""
        tail_tokens = len(self.tokenizer(rest, add_special_tokens=False)["input_ids"])
        return self._sp_token.locate(len(ids), anchor, offsets, tail_tokens)

    def _fit(self, prompt: Prompt, max_new_tokens: int) -> Prompt:
        """The prompt without its beginning, where prompt and answer would not fit into the context."""
        room = self.max_length - max_new_tokens
        if len(prompt.token_ids) <= room:
            return prompt
        if -prompt.semantic_token > room:
            raise UQHarnessError(
                f"a prompt of {len(prompt.token_ids)} tokens does not fit into the context of {self.max_length} with "
                f"max_gen_toks={max_new_tokens}, and cutting it would lose its semantic-preserving token"
            )
        log.warning(
            "a prompt of %d tokens is cut to its last %d to leave room for an answer: %r",
            len(prompt.token_ids),
            room,
            prompt.question,
        )
        return replace(prompt, token_ids=prompt.token_ids[-room:])


def _with_prefix(prefix: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Takes the arguments with a prefix out of others, and the prefix off their names.

    Raises:
        UQHarnessError: One of them does not exist.
    """
    known = ("model", "batch_size", "device", "dtype", "max_length")
    given = {name: kwargs.pop(name) for name in list(kwargs) if name.startswith(prefix)}
    for name in given:
        if name.removeprefix(prefix) not in known:
            raise UQHarnessError(f"unknown option {name!r}: known are {', '.join(prefix + one for one in known)}")
    return {name.removeprefix(prefix): value for name, value in given.items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _no_model(kwargs: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches("pretrained", kwargs, n=1)
    hint = f"did you mean pretrained instead of {close[0]}?" if close else "give pretrained=MODEL, or pretrained=demo"
    return f"--model_args names no model: {hint}"


def _explained(error: TypeError, kwargs: Mapping[str, Any]) -> Exception:
    """A better message where the model's constructor does not know an argument."""
    unknown = [name for name in kwargs if f"'{name}'" in str(error)]
    if not unknown:
        return error
    known = ["methods", "sp_token", *all_options()]
    close = difflib.get_close_matches(unknown[0], known, n=3)
    hint = f"did you mean {one_of(close)}?" if close else f"options of uq-hf are {', '.join(known)}"
    return UQHarnessError(f"unknown option {unknown[0]!r}: {hint} (see `uq-harness methods`)")
