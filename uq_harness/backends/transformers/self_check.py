"""What is tried out on a few tokens when a model is loaded, since models and versions of transformers differ."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch
import transformers
from transformers import PreTrainedTokenizerBase

from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode
from uq_harness.backends.transformers.decoded import Decoded
from uq_harness.backends.transformers.gradient_flow import what_blocks_gradients
from uq_harness.backends.transformers.gradients import Gradients
from uq_harness.backends.transformers.prefixes import Layout
from uq_harness.backends.transformers.reference import full_logprobs
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Samples, SampleSet
from uq_harness.evidence.prompt import Prompt

log = logging.getLogger(__name__)
Take = Callable[[Decoded, list[range], Sequence[Prompt]], list[Gradients]]


class SelfCheck:
    """Two short prompts of different lengths, and their answers.

    Args:
        architecture: The model.
        tokenizer: Its tokenizer.
        pad_id: Token that fills the padding.
        n_positions: How many of a prompt's last tokens gradients are wanted at.
        captured_block: Number of the block that the gradient pass starts from, if any.
    """

    def __init__(
        self,
        architecture: Architecture,
        tokenizer: PreTrainedTokenizerBase,
        pad_id: int,
        *,
        n_positions: int,
        captured_block: int | None,
    ) -> None:
        self._architecture, self._pad_id, self._captured_block, self._captured_from = (
            architecture,
            pad_id,
            captured_block,
            min(-n_positions, -2),
        )
        self._name = type(architecture.model).__name__
        ids = tokenizer("What is the capital of France?")["input_ids"]
        ids = ids * (1 + n_positions // (len(ids) - 1))
        self._prompts = [Prompt("", "", ids, -2), Prompt("", "", ids[1:], -1)]
        self._decoded = self._answers()

    def check_decoding(self) -> None:
        """Compares log-probabilities with those of a pass without a cache.

        Raises:
            UQHarnessError: They differ; this version of transformers treats caches or masks in some new way.
        """
        if not self._is_right(self._decoded):
            rounding = self._architecture.rounding_layer
            if rounding is not None:
                raise UQHarnessError(
                    f"{self._name} has quantised layers ({rounding}) that give other numbers for the same answer when "
                    "other tokens share the pass, so no method has a score that is the answer's own: load it in "
                    "float32, bfloat16 or float16, or with quantised weights alone"
                )
            raise UQHarnessError(
                f"{self._name} decodes otherwise with its cache than without: uq-hf does not fit the model or "
                f"transformers {transformers.__version__}: please report it"
            )

    def what_blocks_gradients(self, first_block: int) -> str | None:
        """What keeps gradients from the inputs of the blocks from a given one on; ``None`` where nothing does."""
        return what_blocks_gradients(self._architecture, list(self._prompts[0].token_ids), self._pad_id, first_block)

    def has_gradients(self, take: Take) -> bool:
        """Whether any state gradient is known and not 0; true also where the model itself gives no numbers."""
        if not torch.isfinite(self._decoded.logprobs).all() or not self._decoded.logprobs.any():
            return True
        return any(np.nansum(norms.absolute) > 0 for one in self._take(take) for norms in one.states.values())

    def layout(self) -> Layout:
        """Whether long prompts may share their keys and values: compares as `check_decoding` does."""
        if self._is_right(self._answers([Samples(3, temperature=10.0)], "tree")):
            return "auto"
        log.warning("%s takes no mask for every answer apart: long prompts get copies", self._name)
        return "copied"

    def allows_fast_gradients(self, fast: Take, plain: Take) -> bool:
        """Compares the fast gradient pass with plain autograd."""
        if self._decoded.prompt_cache is None:
            log.warning("%s keeps a cache that cannot be shared: gradients take the exact slow path", self._name)
            return False
        found, expected = (
            [norms.absolute for one in self._take(take) for norms in one.states.values()] for take in (fast, plain)
        )
        tolerance = {torch.float64: 1e-6, torch.float32: 1e-2}.get(self._decoded.head_states.dtype, 0.3)
        if np.allclose(found, expected, rtol=tolerance, atol=1e-12, equal_nan=True):
            return True
        log.warning("the fast gradient pass does not fit %s: gradients take the exact slow path", self._name)
        return False

    def _take(self, take: Take) -> list[Gradients]:
        return take(self._decoded, [range(n) for n in self._decoded.lengths], self._prompts)

    def _answers(self, samplers: Sequence[SampleSet] = (), layout: Layout = "copied") -> Decoded:
        return decode(
            self._architecture,
            [prompt.token_ids for prompt in self._prompts],
            samplers=samplers,
            end_ids=frozenset(),
            pad_id=self._pad_id,
            max_new_tokens=4,
            captured_block=self._captured_block,
            captured_from=self._captured_from,
            layout=layout,
        )

    def _is_right(self, decoded: Decoded) -> bool:
        exact = (
            decoded.head_states.dtype in (torch.float32, torch.float64) and self._architecture.rounding_layer is None
        )
        tolerance = 1e-2 if exact else 1.0
        for row, prompt in enumerate(self._prompts):
            answer = decoded.token_ids[row, : decoded.lengths[row]]
            plain = full_logprobs(self._architecture, list(prompt.token_ids), answer)
            found = decoded.logprobs[row, : decoded.lengths[row]]
            if not torch.allclose(found, plain.to(found.device), rtol=0, atol=tolerance, equal_nan=True):
                return False
        return True
