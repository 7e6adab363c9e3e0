"""Answers prompts in batches, gathers what the methods need, and scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.nn.modules.dropout import _DropoutNd
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.answering._attention_sink import AttentionSinkCheck
from uq_harness.answering._ending import special_ids
from uq_harness.answering._prompts import PromptEncoder, PromptText
from uq_harness.answering._record import record
from uq_harness.answering._recorder import Recorder
from uq_harness.answering._thinking import ThinkingNotice
from uq_harness.engine import Ending, Gatherer, GradientsUnavailable, Prompt
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Evidence
from uq_harness.locks import lock_of
from uq_harness.memory import Room, in_shrinking_streams, is_out_of_memory, release
from uq_harness.methods import Method, all_methods, scores
from uq_harness.similarity import NLI, Comparer, Similarity


class Answerer:
    """A model, its tokenizer and the chosen methods; built once per run.

    Args:
        model: The model, in evaluation mode.
        tokenizer: Its tokenizer.
        methods: The methods; what they and the recorders need is gathered, and nothing else.
        encoder: Makes tokens of prompts.
        nli: The NLI service; it is loaded only if a method needs it.
        similarity: The similarity service; likewise.
        max_length: The model's context in tokens.
        pad_id: Token that fills the padding.
        seed: Seed of all samples.
        device: Where the model takes its input.
        mixed_precision: The type of mixed precision; ``None`` for none.
        batch_invariant: Whether prompts go through the model one at a time, whatever the batch size, so that no answer
            depends on it even in 16-bit types.
        recorders: What they add stands in the records.
        think_end_token: What the user said ends the model's thinking; without it, thinking gets a warning.

    Raises:
        UQHarnessError: The semantic-preserving token was recommended for another model, the architecture is not
            understood, the model gives no gradients where a method needs them or is in training mode, an option does
            not fit the model, or an auxiliary model cannot be had.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        methods: Sequence[Method],
        encoder: PromptEncoder,
        nli: NLI,
        similarity: Similarity,
        *,
        max_length: int,
        pad_id: int,
        seed: int,
        device: torch.device,
        mixed_precision: torch.dtype | None = None,
        batch_invariant: bool = False,
        recorders: Sequence[Recorder] = (),
        think_end_token: str | int | None = None,
    ) -> None:
        encoder.check_model(model)
        wanted = [*(method.needs() for method in methods), *(recorder.needs() for recorder in recorders)]
        needs = list(dict.fromkeys(need for needs in wanted for need in needs))
        self._methods, self._recorders, self._encoder = tuple(methods), tuple(recorders), encoder
        self._batch_invariant = batch_invariant
        self._thinking = ThinkingNotice(tokenizer, think_end_token)
        self._device, self._mixed_precision = device, mixed_precision
        self._model = model
        # of the decoder, since a model and an adapter around it have the same one
        self._lock = lock_of(model.get_decoder() or model)
        try:
            with self._working():
                self._gatherer = Gatherer(
                    model,
                    tokenizer,
                    needs,
                    max_length=max_length,
                    pad_id=pad_id,
                    seed=seed,
                )
        except GradientsUnavailable as error:
            raise _without_gradients(self._methods, error) from error
        self._sink_check = AttentionSinkCheck(self._gatherer, tokenizer)
        self._comparer = Comparer(
            needs,
            nli,
            similarity,
            decode=lambda tokens: tokenizer.decode(list(tokens), skip_special_tokens=True),
            special_ids=special_ids(tokenizer),
        )
        self._comparer.prepare()

    def encode(self, prompts: Sequence[PromptText]) -> list[Prompt]:
        """Tokenised prompts; see `PromptEncoder.encode`."""
        return self._encoder.encode(prompts)

    def answer(self, prompts: Sequence[Prompt], ending: Ending, batch_size: int) -> Iterator[tuple[int, Evidence]]:
        """Answers prompts in batches of similar length, longest first so that memory runs out early or never.

        Args:
            prompts: Tokenised prompts.
            ending: How answers end.
            batch_size: The largest batch; it halves where memory runs out. Of a question that memory does not hold
                alone, what does not fit is missing in the evidence, in the end the answer itself.

        Yields:
            The position of each prompt, with the evidence about its answer as soon as it is there.

        Raises:
            UQHarnessError: A prompt and its answer do not fit into the context, a prompt is too short for what is
                needed, or the model has been put into training mode.
        """
        fitted = [self._encoder.fit(prompt, ending.max_new_tokens) for prompt in prompts]
        longest_first = sorted(range(len(fitted)), key=lambda row: -len(fitted[row].token_ids))
        room = Room(1 if self._batch_invariant else batch_size, "its samples are drawn one set at a time")
        with self._working():
            self._sink_check.look([fitted[row] for row in longest_first], room.size)
        too_large: list[int] = []
        stream = in_shrinking_streams(partial(self._gather, fitted, ending), longest_first, room, lambda _: None)
        for rows, evidence in stream:
            if evidence is None:
                too_large += rows
                continue
            for row, found in zip(rows, evidence, strict=True):
                self._thinking.look(fitted[row].token_ids, found.answer.token_ids)
                yield row, found
        answered = len(too_large) < len(fitted)
        for row in too_large:
            found = self._gather_apart(fitted[row], ending, essential=not answered)
            answered = True
            self._thinking.look(fitted[row].token_ids, found.answer.token_ids)
            yield row, found

    def scores(self, evidence: Evidence) -> dict[str, float]:
        """The uncertainty that each method finds; ``nan`` where it is undefined."""
        return scores(self._methods, evidence)

    def record(self, evidence: Evidence) -> dict[str, Any]:
        """What the sample log says about one answer; numbers that are undefined become ``None``."""
        added = {name: value for one in self._recorders for name, value in one.record(evidence).items()}
        return record(evidence, self.scores(evidence)) | added

    def describe(self) -> dict[str, Any]:
        """The auxiliary models in use, for the results' configuration."""
        return self._comparer.describe()

    def _gather(
        self, prompts: Sequence[Prompt], ending: Ending, rows: Sequence[int], size: int
    ) -> Iterator[tuple[list[int], list[Evidence]]]:
        """The evidence about some prompts batch by batch."""
        stream = self._gatherer.stream([prompts[row] for row in rows], ending, size)
        while True:
            with self._working():
                found = next(stream, None)
            if found is None:
                return
            positions, evidence = found
            yield positions, self._compared(evidence)

    def _gather_apart(self, prompt: Prompt, ending: Ending, essential: bool) -> Evidence:
        """The evidence about a question that memory does not hold with all that is needed at once.

        Args:
            prompt: The question's prompt.
            ending: How answers end.
            essential: Whether it is an error if there is no room for an answer at all: where no question has been
                answered, going on would be of no use.
        """
        try:
            with self._working():
                evidence = self._gatherer.gather_apart(prompt, ending)
        except (RuntimeError, MemoryError) as error:
            if essential or not is_out_of_memory(error):
                raise
            evidence = self._gatherer.undefined(prompt)
        release()
        return self._compared([evidence])[0]

    def _compared(self, evidence: Sequence[Evidence]) -> list[Evidence]:
        """The evidence with what the auxiliary models say."""
        with self._precision():
            return self._comparer.add_similarity(self._comparer.add_entailment(evidence))

    @contextmanager
    def _working(self) -> Iterator[None]:
        """While the model works: alone, in evaluation mode, and with autograd to be had whatever the caller has set.

        Raises:
            UQHarnessError: The model is in training mode, or was put into it meanwhile.
        """
        with self._lock, torch.inference_mode(False), torch.no_grad(), self._precision():
            check_evaluation_mode(self._model)
            yield
            check_evaluation_mode(self._model)

    def _precision(self) -> torch.autocast:
        """Mixed precision, where the user asks for it."""
        return torch.autocast(self._device.type, self._mixed_precision, enabled=self._mixed_precision is not None)


def check_evaluation_mode(model: PreTrainedModel) -> None:
    """Refuses a model in training mode.

    Raises:
        UQHarnessError: It is, or a part of it.
    """
    if any(_drops(module) for module in model.modules()):
        raise UQHarnessError("the model is in training mode, where dropout changes answers: call model.eval() first")


def _drops(module: torch.nn.Module) -> bool:
    """Whether a module is in training mode, and one to which that matters: layers of quantised weights are neither."""
    matters = isinstance(module, PreTrainedModel | _DropoutNd) or getattr(module, "attention_dropout", False)
    return module.training and bool(matters)


def _without_gradients(methods: Sequence[Method], error: GradientsUnavailable) -> UQHarnessError:
    """The error with the methods that it concerns, and those that work."""

    def concerned(method: Method) -> bool:
        return any(isinstance(need, error.kinds) for need in method.needs())

    names = [method.name for method in methods if concerned(method)]
    others = [name for name, known in all_methods().items() if not concerned(known())]
    return UQHarnessError(
        f"{', '.join(names) or 'an ablation'} cannot be computed: {error.why}. Load the model in float32, bfloat16 or "
        "float16 without quantised kernels, or with another attention (attn_implementation=eager); without that, the "
        f"methods {', '.join(others)} work"
    )
