"""Finds the semantic-preserving token as the paper does: by the Semantic Preservation Score, on built-in questions."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.resources import files

import numpy as np
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from uq_harness.answering.prompts import PromptEncoder, PromptText
from uq_harness.answering.semantic_token import MeasuredToken, TokenScore
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.last_states import last_states
from uq_harness.evidence import LayerSpan
from uq_harness.files import question_and_texts, read_json_lines
from uq_harness.functional import semantic_preservation_score

# The message of the package's tasks.
MESSAGE = "Please directly answer the following question with one or few words:\n{question}"
# Prompts in one forward pass, whatever the run's batch size: one model always gets the same scores.
BATCH = 16


def questions() -> list[tuple[str, ...]]:
    """The questions that come with the package, each with its paraphrases.

    >>> len(questions()), {len(wordings) for wordings in questions()}
    (36, {4})
    """
    file = str(files(__package__).joinpath("questions.jsonl"))
    rows = read_json_lines(file, "question file", "")
    found = (question_and_texts(place, row, "paraphrases", "") for place, row in rows)
    return [(question, *paraphrases) for question, paraphrases in found]


def measure_token(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    encoder: PromptEncoder,
    prompt: Callable[[str], PromptText],
    pad_id: int,
    precision: AbstractContextManager[object] | None = None,
) -> MeasuredToken:
    """Scores the last token of the user's text and every token that the template puts behind it.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        encoder: Makes tokens of prompts.
        prompt: Makes the prompt of a question, as the run's own are made.
        pad_id: Token that fills the padding.
        precision: The context of mixed precision, if there is one.

    Raises:
        UQHarnessError: No candidate has a score.
    """
    encoder.check_model(model)
    architecture, asked = Architecture.of(model), questions()
    prompts = [prompt(text) for wordings in asked for text in wordings]
    ids = encoder.token_ids(prompts)
    suffixes = {encoder.suffix_length(one.text) for one in prompts}
    # where the user's last token and the template's first are one, some prompts have a candidate less
    count = 1 + min(suffixes)
    span = LayerSpan("top_half").resolve(architecture.n_blocks)
    with precision or nullcontext():
        states = last_states(architecture, ids, span, count, pad_id, BATCH).numpy()
    last = np.array([row[-count:] for row in ids])
    scores = []
    for column in range(count):
        found = [
            semantic_preservation_score(list(np.split(states[:, layer, column], len(asked))))
            for layer in range(len(span))
        ]
        mean = float(np.mean(found))
        tokens, numbers = np.unique(last[:, column], return_counts=True)
        text = tokenizer.decode([int(tokens[numbers.argmax()])])
        scores.append(TokenScore(column - count, text, mean if math.isfinite(mean) else None))
    return MeasuredToken.best(
        tuple(scores),
        questions=len(asked),
        paraphrases=len(ids) - len(asked),
        layers=(span.start, span.stop - 1),
        through_template=encoder.goes_through_template(prompts[0].text),
    )
