"""The prompts of a data set: each question and its paraphrases, made as a run of the task makes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from uq_harness.engine.semantic_token import anchor_of
from uq_harness.evidence.prompt import Prompt
from uq_harness.models import UQHFLM
from uq_harness.paraphrase import Paraphrased
from uq_harness.request import QuestionInstance
from uq_harness.sps._sources import Source

# Prompts that are rendered and tokenised together; only their token ids are kept.
_CHUNK = 512
# Tokens of the user's text that are looked at beyond what the template puts behind it.
USER_TOKENS = 8


@dataclass(frozen=True)
class PromptSet:
    """Tokenised prompts of one data set.

    Attributes:
        source: The data set.
        variants: For each question the token ids of its own prompt, then those of its paraphrases' prompts.
        template_choices: How often which position is the template's choice of the semantic-preserving token.
        through_template: Whether the prompts end as the model's chat template ends them.
        example: The text of the first prompt.
        suffix: Number of tokens that the template puts behind the last one of the user's text.
    """

    source: Source
    variants: list[list[NDArray[np.int32]]]
    template_choices: Counter[int]
    through_template: bool
    example: str
    suffix: int

    def shortest(self) -> int:
        """Length of the shortest prompt in tokens."""
        return min(len(ids) for ids in chain.from_iterable(self.variants))


def make_prompts(lm: UQHFLM, source: Source, max_paraphrases: int, *, chat_template: bool) -> PromptSet:
    """Renders and tokenises all prompts of a data set.

    Args:
        lm: The model.
        source: The data set.
        max_paraphrases: Only the first so many distinct paraphrases of each question.
        chat_template: Whether prompts go through the model's chat template.

    Raises:
        UQHarnessError: A prompt leaves no room for an answer.
    """
    texts = [(one, text) for one in source.questions for text in (one.question, *one.paraphrases[:max_paraphrases])]
    encoded = _encoded(lm, source, texts, chat_template)
    first, first_text = next(encoded)
    through_template = anchor_of(first_text, lm.chat_tail) is not None
    variants: list[list[NDArray[np.int32]]] = []
    choices: Counter[int] = Counter()
    for (one, text), (prompt, _) in zip(texts, chain([(first, first_text)], encoded), strict=True):
        if text == one.question:  # no paraphrase equals it
            variants.append([])
        variants[-1].append(np.array(prompt.token_ids, dtype=np.int32))
        choices[prompt.semantic_token] += 1
    return PromptSet(source, variants, choices, through_template, first_text, lm.suffix_length(first_text))


def _encoded(
    lm: UQHFLM, source: Source, texts: Sequence[tuple[Paraphrased, str]], chat_template: bool
) -> Iterator[tuple[Prompt, str]]:
    for start in range(0, len(texts), _CHUNK):
        chunk = texts[start : start + _CHUNK]
        requests = [_request(lm, source, one.question, text, chat_template) for one, text in chunk]
        for request, prompt in zip(requests, lm.prompts(requests), strict=True):
            yield prompt, request.args[0]


def _request(lm: UQHFLM, source: Source, question: str, text: str, chat_template: bool) -> QuestionInstance:
    """lm_eval's request for a question in the given words."""
    task, document = source.task, source.document(question, text)
    render = lm.apply_chat_template if chat_template else None
    context = task.fewshot_context(
        document,
        num_fewshot=task.config.num_fewshot or 0,
        apply_chat_template=chat_template,
        chat_template=render,
        gen_prefix=task.doc_to_prefix(document),
    )
    return task.construct_requests(
        doc=document,
        ctx=context,
        metadata=(task.config.task, 0, 1),
        apply_chat_template=chat_template,
        chat_template=render,
    )
