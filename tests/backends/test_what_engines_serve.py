"""Which methods each way of asking serves: the table of the documentation, from what probes find out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.backends.chat_completions.demo_chat import DemoChat
from tests.backends.demo_writer import WRITER
from tests.backends.json_server import serving_json
from tests.backends.served.engine_stubs import LlamaCppStub, SGLangStub
from uq_harness.backends.chat_completions.backend import ChatBackend
from uq_harness.backends.chat_completions.probe import probe
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.backends.served.http.llama_cpp import LlamaCpp
from uq_harness.backends.served.http.server import open_server
from uq_harness.backends.served.http.sglang import SGLang
from uq_harness.endpoints.settings import Endpoint
from uq_harness.endpoints.tokens import TokenClient
from uq_harness.evidence import (
    AnswerAttention,
    AnswerEntailment,
    AnswerEntropies,
    AnswerLogProbs,
    AnswersGivenAnswers,
    AnswerSimilarity,
    ComparedContinuationLogProb,
    ContinuationLogProb,
    DiverseBeams,
    HeadGradient,
    Need,
    PairwiseEntailment,
    PairwiseSimilarity,
    RescoredLogProb,
    SampleLogProbs,
    Samples,
    SampleStates,
    SelfAttention,
    StateGradient,
    TokenRelevance,
    UnconditionalLogProbs,
    sample_sets,
)
from uq_harness.evidence.backend import Backend, first_missing
from uq_harness.methods import Method, all_methods, build_methods

# What a method needs most decides: the groups in the order of how much that is.
NEEDS: dict[str, tuple[type[Need[Any]], ...]] = {
    "texts": (Samples, PairwiseEntailment, AnswerEntailment, PairwiseSimilarity, AnswerSimilarity),
    "answer": (AnswerLogProbs,),
    "values": (SampleLogProbs, TokenRelevance),
    "tokens": (
        *(ContinuationLogProb, ComparedContinuationLogProb, AnswersGivenAnswers),
        *(RescoredLogProb, DiverseBeams, UnconditionalLogProbs),
    ),
    "weights": (AnswerEntropies, HeadGradient, StateGradient, SampleStates, SelfAttention, AnswerAttention),
}


def group(method: Method) -> str | None:
    """The group of a method; ``None`` where it needs anything else, which has tests of its own."""
    kinds = {type(need) for need in method.needs()} | {type(one) for one in sample_sets(method.needs())}
    known = {kind: name for name, some in NEEDS.items() for kind in some}
    if not kinds <= set(known):
        return None
    names = {known[kind] for kind in kinds}
    if names == {"texts", "answer"}:
        return "values"  # log-probabilities and samples, too
    return max(names, key=list(NEEDS).index)


def of(name: str) -> set[str]:
    return {method for method, known in all_methods().items() if group(known()) == name}


TEXTS, ANSWER, VALUES, TOKENS, WEIGHTS = map(of, NEEDS)
Stub = DemoChat | SGLangStub | LlamaCppStub


@contextmanager
def backend_of(stub: Stub) -> Iterator[Backend]:
    routes = {"/v1/chat/completions": stub.complete} if isinstance(stub, DemoChat) else stub.routes()
    with serving_json(routes) as server:
        client = TokenClient(Endpoint("demo", f"{server.root}/v1", retries=0))
        if isinstance(stub, DemoChat):
            yield ChatBackend(probe(client, "demo"), 1)
            return
        dialect = SGLang(client.root, "demo") if isinstance(stub, SGLangStub) else LlamaCpp(client.root)
        engine = open_server(client, dialect, None, WRITER.tokenizer("What is the capital?")["input_ids"])
        yield ServedBackend(engine, WRITER.tokenizer, max_length=1024, seed=1, end_ids={2})


def served(backend: Backend) -> set[str]:
    return {
        name
        for name, known in all_methods().items()
        if group(known()) is not None and first_missing(backend, known().needs()) is None
    }


def test_the_groups_are_what_they_were() -> None:
    assert {"self_consistency", "degree", "discrete_semantic_entropy"} <= TEXTS
    assert "g_nll" in ANSWER
    assert {"ln_pe", "semantic_entropy", "sentence_sar", "token_sar", "sar"} <= VALUES
    assert {"p_true", "mutual_information", "semantic_density", "pointwise_mutual_information"} <= TOKENS
    assert "clustered_self_assessment" in TOKENS
    assert {"exgrad", "paragrad", "semgrad", "hybridgrad", "eigenscore", "conditional_pmi", "csl"} <= WEIGHTS


@pytest.mark.parametrize(
    ("stub", "expected"),
    [
        (DemoChat(), ANSWER | VALUES | TEXTS),
        (DemoChat(top=2), ANSWER | VALUES | TEXTS),
        (DemoChat(refused=frozenset({"top_k", "min_p", "repetition_penalty"})), ANSWER | VALUES | TEXTS),
        (
            DemoChat(after_temperature=True),
            ANSWER | VALUES | TEXTS,
        ),  # what these draw at temperature 1 is the model's
        (DemoChat(after_temperature=True, top=2), TEXTS),  # without likeliest tokens, nobody can tell
        (DemoChat(logprobs=False), TEXTS),
        (DemoChat(refused=frozenset({"logprobs", "top_logprobs"})), TEXTS),
        (DemoChat(moves_thinking=True), TEXTS),
        (DemoChat(fixed_temperature=0.0), set()),
        (SGLangStub(), TEXTS | ANSWER | VALUES | TOKENS),
        # M.I. draws at a temperature of its own
        (SGLangStub(original=False), (TEXTS | ANSWER | VALUES | TOKENS) - {"mutual_information"}),
        (SGLangStub(deterministic=False), ANSWER | {"p_true", "pointwise_mutual_information", "semantic_density"}),
        (LlamaCppStub(), TEXTS | ANSWER | VALUES | TOKENS),
        (LlamaCppStub(biased=True), TEXTS | VALUES | ANSWER),
    ],
)
def test_what_can_be_had(stub: Stub, expected: set[str]) -> None:
    with backend_of(stub) as backend:
        assert served(backend) == expected


def test_values_at_other_temperatures_take_the_models_own() -> None:
    (warm,) = build_methods("ln_pe", {"entropy_temperature": 0.7})
    with backend_of(DemoChat(after_temperature=True)) as backend:
        assert "SGLANG_RETURN_ORIGINAL_LOGPROB" in str(first_missing(backend, warm.needs()))
    with backend_of(DemoChat()) as backend:
        assert first_missing(backend, warm.needs()) is None


@pytest.mark.parametrize(
    ("stub", "works"),
    [
        (DemoChat(), {"top_k", "top_p"}),
        (DemoChat(refused=frozenset({"top_k"})), {"top_p"}),
        (DemoChat(ignored=frozenset({"top_k"})), {"top_p"}),
        (DemoChat(ignored=frozenset({"top_p"})), {"top_k"}),
    ],
)
def test_cuts_are_believed_by_their_effect(stub: DemoChat, works: set[str]) -> None:
    with backend_of(stub) as backend:
        for name, value in (("top_k", 20), ("top_p", 0.9)):
            (method,) = build_methods("degree", {f"degree_{name}": value})
            missing = first_missing(backend, method.needs())
            assert (missing is None) == (name in works)
            assert missing is None or f"samples drawn with {name}, which this endpoint does not heed" in missing


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("p_true", "raw prompt, which chat messages cannot hold"),
        ("mutual_information", "behind other answers, which chat messages cannot hold"),
        ("semantic_density", "a diverse beam search"),
        ("semgrad", "gradients, which take the model's weights (use uq-hf)"),
        ("eigenscore", "hidden states"),
        ("rauq", "attention weights, which take the model's weights (use uq-hf)"),
        ("probability_margin", "a server that takes prompts as tokens"),
        ("semantic_energy", "logits of the samples"),
        ("claim_conditioned_probability", "texts, in which special tokens look like words"),
    ],
)
def test_a_chat_endpoint_says_what_it_never_gives(method: str, words: str) -> None:
    with backend_of(DemoChat()) as backend:
        assert words in str(first_missing(backend, all_methods()[method]().needs()))


def test_a_chat_endpoint_says_of_every_method_what_is_missing_in_words() -> None:
    with backend_of(DemoChat(top=2)) as backend:
        for name, known in all_methods().items():
            missing = first_missing(backend, known().needs())
            assert missing is None or not any(type(need).__name__ in missing for need in known().needs()), name
