"""What methods tell of single tokens gets into the record, one value a token."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from uq_harness.answering.answerer import record
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Answer, AnswerEntropies, Evidence, Need
from uq_harness.functional import FloatArray
from uq_harness.methods import Method, build_methods, token_values


@dataclass(frozen=True)
class Telling(Method):
    """A method that tells something of tokens; not registered."""

    name = "telling"
    title = "Telling"
    source = "none"
    extra: int = 0

    def needs(self) -> tuple[Need[FloatArray], ...]:
        return (AnswerEntropies(),)

    def score(self, evidence: Evidence) -> float:
        return float(evidence[AnswerEntropies()].sum())

    def token_values(self, evidence: Evidence) -> Mapping[str, FloatArray]:
        return {"doubled": 2 * np.append(evidence[AnswerEntropies()], [0.0] * self.extra)}


ANSWER = Answer("Paris", (5, 2), np.array([-0.5, -0.25]), np.array([1.0, np.nan]), complete=True)


def test_they_are_in_the_record_with_null_for_undefined() -> None:
    evidence = Evidence("Which city?", ANSWER)
    found = token_values([*build_methods("g_nll", {}), Telling()], evidence)
    assert record(evidence, {}, found)["token_values"] == {"doubled": [2.0, None]}
    assert "token_values" not in record(evidence, {}, token_values(build_methods("g_nll", {}), evidence))


def test_a_method_whose_needs_are_undefined_tells_nothing() -> None:
    evidence = Evidence("Which city?", ANSWER, undefined=frozenset([AnswerEntropies()]))
    assert token_values([Telling()], evidence) == {}


def test_values_that_are_not_one_a_token_are_an_error() -> None:
    with pytest.raises(UQHarnessError, match=r"telling tells doubled of tokens in shape \(3,\), .* has 2 tokens"):
        token_values([Telling(1)], Evidence("Which city?", ANSWER))
