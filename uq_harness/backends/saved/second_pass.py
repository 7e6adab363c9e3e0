"""What a second pass lacks in a saved answer: tokens, samples, or the place of a token."""

from __future__ import annotations

from uq_harness.backends.saved.backend import serving, taken, what_set
from uq_harness.backends.saved.read import SavedAnswer
from uq_harness.evidence import AnswersGivenAnswers, ConfidenceReply, StateGradient
from uq_harness.methods import Method


def lacking(saved: SavedAnswer, method: Method) -> str | None:
    """What a saved answer does not have for a method that a model scores by reading it, in words; ``None`` for nothing.

    Says which argument the run that answered would have needed.
    """
    tokens = saved.tokens
    if tokens is None:
        return "the tokens of prompt and answer, which save_samples=true keeps in the run that answers"
    for need in method.needs():
        if isinstance(need, StateGradient) and tokens.semantic_token is None:
            return "the place of the semantic-preserving token (semantic_token)"
        if isinstance(need, AnswersGivenAnswers) and (tokens.message is None or not saved.has_prompt):
            return "the prompt's text and the user's message in it (message)"
        if isinstance(need, ConfidenceReply) and not saved.has_prompt:
            return "the prompt's text (prompt)"
        if need.sample_set is None:
            continue
        found = serving(need.sample_set, saved.sets)
        if found is None:
            what = what_set(need.sample_set, saved.sets)
            return f"{what}, which save_samples={method.name} draws and keeps in the run that answers"
        if any(sample.token_ids is None for sample in taken(need.sample_set, found)):
            return "the tokens of the samples (token_ids), which save_samples=true keeps in the run that answers"
    return None
