"""Options of P(True): without demonstrations, and as a share of both verdicts."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from tests.backends.served.demo import demo, engine, gathered, prompts, served, stop
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.evidence import Answer, Evidence, Need, Samples
from uq_harness.methods import build_methods, scores
from uq_harness.methods.p_true import FEW_SHOT, IMPOSSIBLE, VERDICT, prompt_block

ANSWER = Answer("Paris", (5,), np.array([-0.5]), None, complete=True)
OPTIONS = [
    {"p_true_demonstrations": shown, "p_true_normalised": share, "p_true_ideas": ideas}
    for shown, share, ideas in ((True, True, 0), (True, False, 3), (False, True, 2), (False, False, 0))
]


def gather_with(needs: tuple[Need, ...]) -> list[Evidence]:
    backend = TransformersBackend(*demo(), max_length=1024, pad_id=0)
    backend.prepare(needs)
    return gathered(backend, prompts(4), stop())


def plain(prompt: str, verdict: str) -> float:
    """Log-probability of a verdict, from one pass without cache or padding."""
    model, tokenizer = demo()
    start, whole = tokenizer(prompt)["input_ids"], tokenizer(prompt + verdict)["input_ids"]
    with torch.no_grad():
        logprobs = model(torch.tensor([whole])).logits[0].double().log_softmax(-1)
    return sum(float(logprobs[at - 1, whole[at]]) for at in range(len(start), len(whole)))


def test_the_default_is_the_verdict_behind_the_demonstrations_alone() -> None:
    (method,) = build_methods("p_true", {})
    assert method.needs() == (VERDICT,)
    assert method.score(Evidence("x", ANSWER, {VERDICT: -1.2345678901234567})) == 1.2345678901234567


@pytest.mark.parametrize("options", OPTIONS)
def test_the_score_is_that_of_plain_passes(options: dict[str, Any]) -> None:
    (method,) = build_methods("p_true", options)
    for found in gather_with(method.needs()):
        shown = FEW_SHOT if options["p_true_demonstrations"] else ""
        question = found.question
        if options["p_true_ideas"]:
            ideas = [sample.text for sample in found[Samples(options["p_true_ideas"], 1.0)]]
            assert len(ideas) == options["p_true_ideas"]
            question += "\nHere are some brainstormed ideas: " + "\n".join(ideas)
        prompt = shown + prompt_block(question, found.answer.text)
        true = math.exp(plain(prompt, " True"))
        share = true / (true + math.exp(plain(prompt, " False"))) if options["p_true_normalised"] else true
        assert scores([method], found)["p_true"] == pytest.approx(-math.log(share), abs=1e-4)
        assert found.cost["scored_texts"] == len(method.needs())


@pytest.mark.parametrize("options", OPTIONS)
def test_an_engine_gives_the_same(options: dict[str, Any]) -> None:
    """Its samples are its own."""
    (method,) = build_methods("p_true", options)
    for found in gathered(served(engine(), method.needs()), prompts(4), stop()):
        for need in method.needs():
            drawn = () if need.samples is None else found[need.samples]
            prompt = need.prefix + need.prompt(need.question(found.question, drawn), found.answer.text)
            assert found[need] == pytest.approx(plain(prompt, need.continuation), abs=1e-4)


def test_impossible_verdicts() -> None:
    (method,) = build_methods("p_true", {"p_true_normalised": True})
    true, false = method.needs()
    assert method.score(Evidence("x", ANSWER, {true: -math.inf, false: -1.0})) == IMPOSSIBLE
    assert method.score(Evidence("x", ANSWER, {true: -1.0, false: -math.inf})) == 0.0
    assert math.isnan(method.score(Evidence("x", ANSWER, {true: -math.inf, false: -math.inf})))
    assert method.score(Evidence("x", ANSWER, {true: -1.0, false: -1.0})) == pytest.approx(math.log(2))
