"""The model wrapper that writes the sizes of all gradients into the answers' records, with the usual scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from uq_harness.answering.answerer import Recorder
from uq_harness.answering.prompts import PromptText
from uq_harness.answering.semantic_token import anchor_of
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import QuestionInstance
from uq_harness.evidence import Evidence, HeadGradient, LayerSpan, Need, StateGradientMap, StateGradientNorms
from uq_harness.evidence.prompt import Prompt
from uq_harness.functional import FloatArray
from uq_harness.methods import select_methods
from uq_harness.models import UQHFLM
from uq_harness.studies.sps.prompts import USER_TOKENS, Position, commonest_tokens

# The field of an answer's record.
FIELD = "gradient_sizes"
WEIGHTINGS = (False, True)  # in the order of the arrays' first axis


@dataclass(frozen=True)
class GradientSizes:
    """The sizes of one answer's gradients; arrays begin with the two weightings, plain and by entropy.

    Attributes:
        head: Of the head's gradient, ``[2]``.
        absolute: Mean absolute value of the state gradients, ``[2, blocks, positions]``.
        squared: Their mean square, of the same shape.
        mean_entropy: Mean entropy of the answer's tokens in nats.
        semantic_token: Position of the prompt's semantic-preserving token.
    """

    head: FloatArray
    absolute: FloatArray
    squared: FloatArray
    mean_entropy: float
    semantic_token: int


class SizesRecorder:
    """Records the sizes of all gradients.

    Args:
        positions: The prompt positions, counted from the end.
        n_blocks: Number of the model's blocks.
    """

    def __init__(self, positions: tuple[int, ...], n_blocks: int) -> None:
        shape = (n_blocks, len(positions))
        self._unknown = StateGradientNorms(np.full(shape, np.nan), np.full(shape, np.nan))
        self._heads = [HeadGradient(weighted) for weighted in WEIGHTINGS]
        self._maps = [StateGradientMap(weighted, LayerSpan("all"), positions) for weighted in WEIGHTINGS]

    def needs(self) -> tuple[Need[Any], ...]:
        """The head's gradient, and those of all layers at all positions, in both weightings."""
        return (*self._heads, *self._maps)

    def record(self, evidence: Evidence) -> dict[str, Any]:
        """One field that holds them; ``nan`` where memory did not hold the gradients."""
        known = evidence.defines(self.needs())
        maps = [evidence[need] if known else self._unknown for need in self._maps]
        sizes = GradientSizes(
            head=np.array([evidence[need] if known else np.nan for need in self._heads]),
            absolute=np.stack([norms.absolute for norms in maps]),
            squared=np.stack([norms.squared for norms in maps]),
            mean_entropy=evidence.answer.mean_entropy,
            semantic_token=evidence.semantic_token,
        )
        return {FIELD: sizes}


class AblationLM(UQHFLM):
    """`uq-hf` whose answers' records also have a field with the sizes of all gradients.

    Args:
        positions: How many of the prompt's last tokens are covered; by default all that the chat template puts behind
            the user's text and a few of that.
        **kwargs: Model arguments of ``uq-hf``, except those that an ablation varies.

    Raises:
        UQHarnessError: See `UQHFLM`; or an argument is varied by the ablation itself.
    """

    def __init__(self, *, positions: int | None = None, **kwargs: Any) -> None:
        varied = [field.name for method in select_methods("semgrad+hybridgrad") for field in method.options()]
        taken = next((name for name in ("methods", *varied) if name in kwargs), None)
        if taken is not None:
            raise UQHarnessError(f"--model_args sets {taken}, which an ablation decides on itself: leave it out")
        self._wanted = positions
        super().__init__(methods="default", **kwargs)
        self._configuration["ablation_positions"] = self.n_positions

    @cached_property
    def n_positions(self) -> int:
        """How many of the prompt's last tokens are covered."""
        if self._wanted is not None:
            return self._wanted
        closing = self.chat_tail.closing if self.chat_tail is not None else ""
        return len(self.tokenizer(closing, add_special_tokens=False)["input_ids"]) + USER_TOKENS

    @cached_property
    def n_blocks(self) -> int:
        """Number of the model's blocks."""
        return Architecture.of(self.model).n_blocks

    def describe_prompts(self, texts: Sequence[str]) -> tuple[bool, tuple[Position, ...]]:
        """Whether prompts go through the chat template, and the tokens at the positions that are covered."""
        through_template = anchor_of(texts[0], self.chat_tail) is not None
        prompts = self._encoder.encode([PromptText(text, "", "") for text in texts])
        last = np.array([list(prompt.token_ids)[-self.n_positions :] for prompt in prompts])
        tokens = commonest_tokens(last, lambda token: str(self.tok_decode([token], skip_special_tokens=False)))
        return through_template, tuple(tokens)

    def _recorders(self) -> Sequence[Recorder]:
        return (
            *super()._recorders(),
            SizesRecorder(tuple(range(-self.n_positions, 0)), self.n_blocks),
        )

    def _prompts(self, requests: Sequence[QuestionInstance]) -> list[Prompt]:
        """Tokenised prompts.

        Raises:
            UQHarnessError: The semantic-preserving token of one is before the positions that are covered.
        """
        prompts = super()._prompts(requests)
        first = min(prompt.semantic_token for prompt in prompts)
        if -first > self.n_positions:
            raise UQHarnessError(
                f"the last {self.n_positions} tokens leave out the semantic-preserving token at {first}: use "
                f"--positions {-first} or more"
            )
        return prompts
