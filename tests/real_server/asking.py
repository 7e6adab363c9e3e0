"""Questions of the demo, as tests ask them of any backend."""

import json
from collections.abc import Sequence

from uq_harness.answering.answerer import Answerer
from uq_harness.answering.prompts import PromptText
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.backends.served.engine import Engine
from uq_harness.demo import QUESTIONS
from uq_harness.evidence import Evidence
from uq_harness.evidence.prompt import Prompt
from uq_harness.methods import Method, build_methods
from uq_harness.models import UQHFLM
from uq_harness.similarity.build import build_nli, build_similarity

WORDS = "Please directly answer the following question with one or few words:\n{}"
MOST_TOKENS = 24
# Of everything but gradients, hidden states and whole distributions, what asks an engine for something of its own.
SERVED = (
    "g_nll+p_true+ln_pe+self_consistency+degree+discrete_semantic_entropy+semantic_entropy+sar+token_sar+sentence_sar"
    "+mutual_information+semantic_density+pointwise_mutual_information+probability_margin+boosted_probability"
    "+top_k_entropy+claim_conditioned_probability+clustered_self_assessment"
)


def questions(count: int) -> list[str]:
    """Questions from all over the demo's, which come in groups of alike ones."""
    rows = [json.loads(line)["question"] for line in QUESTIONS.read_text(encoding="utf-8").splitlines()]
    return rows[:: len(rows) // count][:count]


def prompts(lm: UQHFLM, asked: Sequence[str]) -> list[Prompt]:
    """Their prompts, through the chat template."""
    texts = []
    for question in asked:
        message = WORDS.format(question)
        text = lm.apply_chat_template([{"role": "user", "content": message}])
        texts.append(PromptText(text, question, message))
    return lm._encoder.encode(texts)


def methods() -> list[Method]:
    """All methods that an engine can serve."""
    return build_methods(SERVED, {})


def served(engine: Engine, lm: UQHFLM) -> ServedBackend:
    """The backend over an engine, with a model's tokenizer."""
    ends = lm._stop([], MOST_TOKENS).end_ids
    return ServedBackend(engine, lm.tokenizer, max_length=lm.max_length, seed=1, end_ids=ends)


def answer(engine: Engine, lm: UQHFLM, asked: Sequence[Prompt], at_a_time: int) -> tuple[list[Evidence], Answerer]:
    """The evidence of an engine about some prompts, and what scores it."""
    services = build_nli("lexical"), build_similarity("lexical")
    answerer = Answerer(served(engine, lm), services, methods())
    found = dict(answerer.answer(asked, lm._stop([], MOST_TOKENS), at_a_time))
    return [found[place] for place in range(len(asked))], answerer
