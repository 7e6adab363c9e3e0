"""Warns where SemGrad's token says little about the question: the model's BOS token, or an attention sink."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from uq_harness.batching import is_out_of_memory
from uq_harness.evidence.prompt import Prompt

log = logging.getLogger(__name__)
Compare = Callable[[Sequence[Prompt], int], tuple[float, range] | None]

# Mean cosine between the states of different questions from which on they count as the same state.
SAME_STATE = 0.99
# Questions that are compared, whatever the batch size.
FEWEST, MOST = 8, 16


class AttentionSinkCheck:
    """Looks at the first questions of a run, once.

    Args:
        bos_id: The model's beginning-of-sequence token, if it has one.
    """

    def __init__(self, bos_id: int | None) -> None:
        self._bos = bos_id
        self._seen: dict[str, Prompt] = {}
        self._done = False

    def look(self, prompts: Sequence[Prompt], batch_size: int, compare: Compare) -> None:
        """Compares the first questions as soon as there are two.

        Args:
            prompts: Prompts to come.
            batch_size: How many go through the model together.
            compare: Gives the mean cosine between the prompts' states, and in which layers; ``None`` if no method
                takes gradients there.
        """
        if self._done:
            return
        room = min(max(batch_size, FEWEST), MOST)
        for prompt in prompts:
            if len(self._seen) < room:
                self._seen.setdefault(prompt.question, prompt)
        if len(self._seen) < 2:
            return
        compared, self._seen, self._done = list(self._seen.values()), {}, True
        try:
            found = compare(compared, batch_size)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return  # no warning is worth a run
        if found is not None:
            self._warn(compared, *found)

    def _warn(self, compared: Sequence[Prompt], cosine: float, layers: range) -> None:
        first = compared[0]
        is_bos = self._bos is not None and first.token_ids[first.semantic_token] == self._bos
        reasons = ["it is the model's BOS token"] if is_bos else []
        if cosine > SAME_STATE:
            reasons.append("its states are nearly the same for all questions, as those of an attention sink are")
        if not reasons:
            return
        log.warning(
            "the semantic-preserving token, position %d (%r), may say little about a question: %s. Measured: the mean "
            "cosine between its states of %d different questions is %.3f in the layers whose gradients are taken (%d "
            "to %d). sp_token=measured scores the other candidates of this model, and sp_token=-1 or another position "
            "chooses one. Whether another token tells wrong answers apart better was not measured: `uq-harness ablate` "
            "compares them",
            first.semantic_token,
            first.semantic_text,
            " and ".join(reasons),
            len(compared),
            cosine,
            layers.start,
            layers.stop - 1,
        )
