"""The probability in a reply: what models write when they are asked for a number alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uq_harness.errors import UQHarnessError
from uq_harness.functional import stated_confidence


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        *(("0.9", 0.9), ("0.9.", 0.9), (" 1.0\n", 1.0), ("0", 0.0), ("1", 1.0), (".75", 0.75), ("~0.8", 0.8)),
        *(("**0.85**", 0.85), ("\\boxed{0.4}", 0.4), ("(0.3)", 0.3), ("Probability: 0.6", 0.6), ("- 0.8", 0.8)),
        *(("95%", 0.95), ("95 %", 0.95), ("1%", 0.01), ("0.5 %", 0.005), ("I am 90 percent sure", 0.9)),
        *(("95", 0.95), ("100", 1.0), ("1.5", 0.015), ("99.5 per cent", 0.995)),
        *(("1e-1", 0.1), ("9E-2", 0.09)),
        *(
            ("0,9", 0.9),
            ("0,950", 0.95),
            ("1,5", 0.015),
            ("٠٫٩", 0.9),
            ("０．９", 0.9),
            ("９５％", 0.95),
            ("९५ %", 0.95),
        ),
        *(("8/10", 0.8), ("8 / 10", 0.8), ("8 out of 10", 0.8), ("1 in 10", 0.1), ("95/100", 0.95), ("0.9/1.0", 0.9)),
        *(("0.7-0.8", 0.7), ("0.9\n\n0.8", 0.9), ("0.6 (90 %)", 0.6)),
        *(("概率是0.9。", 0.9), ("GPT4: 0.9", 0.9), ("My 1st answer: 0.8", 0.8), ("1. 0.9", 0.9)),
    ],
)
def test_a_number_is_a_probability_or_a_per_cent(reply: str, expected: float) -> None:
    assert stated_confidence(reply) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("0.0 to 1.0: 0.7", 0.7),
        ("Between 0 and 1, 0.6", 0.6),
        ("On a scale of 0-100: 85", 0.85),
        ("From 0% to 100%: 85%", 0.85),
        ("0.0–1.0 → 0,2", 0.2),
        ("0.0 to 1.0", math.nan),
        ("0 to 1.5", 0.0),
    ],
)
def test_the_scale_of_the_question_is_no_reply(reply: str, expected: float) -> None:
    assert stated_confidence(reply) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    "reply",
    [
        *("", "Sure!", "nan", "inf", "high", "½", "x0.95", "0.9f"),
        *("-0.3", "−0.3", "–0.3", "Probability:-0.3", "-1e-1", "150", "1e400", "9" * 400, "101 %", "24/7", "1/0"),
        *("1,000", "0.9.1", "9/10/2024", "0.9,0.8", "12,345"),
    ],
)
def test_what_is_no_probability_or_has_two_readings_is_undefined(reply: str) -> None:
    assert math.isnan(stated_confidence(reply))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("The probability is 0.…", math.nan),
        ("The probability is 0.9…", math.nan),
        ("The answer is 0.0101…", 0.0101),
        ("0.99…", 0.99),
        ("0.95/…", math.nan),
        ("0.95 out of…", math.nan),
        ("95…", math.nan),
        ("8/…", math.nan),
        ("8/1…", math.nan),
        ("8 out…", math.nan),
        ("8 out of…", math.nan),
        ("0.7 is what I…", 0.7),
        ("95 %…", 0.95),
        ("0.7, since…", 0.7),
    ],
)
def test_a_number_that_may_have_been_cut_is_undefined(reply: str, expected: float) -> None:
    assert stated_confidence(reply) == pytest.approx(expected, nan_ok=True)


@given(st.text())
def test_any_text_gives_a_probability_or_nothing(reply: str) -> None:
    found = stated_confidence(reply)
    assert math.isnan(found) or 0 <= found <= 1


@given(st.integers(0, 1000), st.sampled_from(["", "I think ", "\n", "p = "]), st.sampled_from(["", ".", " \n", ")"]))
def test_a_probability_is_read_whatever_is_around_it(thousandths: int, before: str, behind: str) -> None:
    number = f"{thousandths / 1000:.3f}"
    assert stated_confidence(before + number + behind) == float(number)


def test_something_else_than_a_text_is_an_error() -> None:
    with pytest.raises(UQHarnessError, match=r"the reply is 0\.9: it needs to be a text"):
        stated_confidence(0.9)  # type: ignore[arg-type]
