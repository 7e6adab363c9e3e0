"""Answers after other answers, as an engine is asked for them."""

import numpy as np
import pytest

from uq_harness.backends.served.engine import Steps
from uq_harness.backends.served.forcing import conditionals
from uq_harness.backends.served.requests import TokenReply, TokenRequest
from uq_harness.evidence import AnswersGivenAnswers, ConditionalLogProbs, Sample, Samples
from uq_harness.evidence.prompt import Prompt
from uq_harness.methods.mutual_information import stating_prompt

TOKENS = {"red car": [5, 6], "blue dog": [5, 6], "cat": [7], "tree": [8, 9]}
DRAWN = [Sample(text, (1,), np.array([-1.0 - place]), True) for place, text in enumerate(TOKENS)]


def _ask(requests: list[TokenRequest]) -> Steps[list[TokenReply]]:
    return (yield requests)


def asked(most: int | None) -> tuple[list[TokenRequest], ConditionalLogProbs]:
    """What is sent, and what comes of it where every token has the log-probability of its own number, negated."""
    need = AnswersGivenAnswers(Samples(4, 1.0), 0.25, stating_prompt, most=most)
    prompt = Prompt("Q?", "Answer: Q?", [1], -1, restate=lambda message: [3, 4] if "car" in message else [3, 5])
    steps = conditionals(need, prompt, DRAWN, TOKENS.__getitem__, _ask, 100)
    requests = next(steps)
    replies = [TokenReply((), forced=-np.array(one.prompt_ids[-one.forced :], dtype=float)) for one in requests]
    with pytest.raises(StopIteration) as end:
        steps.send(replies)
    return requests, end.value.value


def test_equal_prompts_and_equal_answers_are_asked_for_once() -> None:
    requests, found = asked(None)
    assert [one.prompt_ids for one in requests] == [
        (*prompt, *text) for prompt in ([3, 4], [3, 5]) for text in ([5, 6], [7], [8, 9])
    ]
    assert found.answers == tuple(TOKENS)
    assert found.logprobs.tolist() == [[-11.0, -11.0, -7.0, -17.0]] * 4


def test_only_the_likeliest_answers_are_asked_for() -> None:
    requests, found = asked(2)
    assert found.answers == ("red car", "blue dog")
    assert [one.prompt_ids for one in requests] == [(3, 4, 5, 6), (3, 5, 5, 6)]
    assert found.probabilities == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))])
