"""Answers whose tokens are coloured: levels, odd tokens, and that nothing in them is obeyed."""

import math
import re
from html.parser import HTMLParser

import pytest

from tests.report.runs import HOSTILE
from uq_harness.rendering.coloured import ENTROPY, TokenValues, legend
from uq_harness.rendering.escape import visible
from uq_harness.rendering.pages import token_style


class Spans(HTMLParser):
    """Tags with their attributes, and the text in each span."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.spans: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "span":
            self.spans.append(dict(attrs))
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        self.texts[-1] += data


def parsed(record: dict[str, object], by: str = "log-probability") -> Spans:
    tokens = TokenValues.from_record(record)
    assert tokens is not None
    page = tokens.as_html(by)
    assert page is not None
    return Spans(page)


def levels(found: Spans) -> list[str]:
    return [re.search(r"uq-(level\d|unknown)", span["class"] or "")[1] for span in found.spans]  # type: ignore[index]


def test_each_token_has_the_level_of_its_probability_and_tells_its_numbers() -> None:
    texts = ["The", " Hague", " or", " so", ",", "?"]
    probabilities = [0.9, 0.89, 0.5, 0.3, 0.05, 0.001]
    record = {
        "answer": "".join(texts),
        "tokens": texts,
        "token_logprobs": [math.log(p) for p in probabilities],
        "token_entropies": [0.0, 0.3, 0.7, 1.5, 2.5, None],
    }
    found = parsed(record)
    assert found.texts == texts
    assert levels(found) == ["level0", "level1", "level1", "level2", "level3", "level4"]
    assert found.spans[3]["title"] == "probability 0.3, log-probability -1.204, entropy 1.5"
    assert all(span["title"] == span["data-note"] for span in found.spans)
    assert [span.get("tabindex") for span in found.spans] == [None, *["0"] * 5]
    assert levels(parsed(record, ENTROPY)) == ["level0", "level1", "level2", "level3", "level4", "unknown"]


def test_what_methods_tell_is_spread_from_the_lowest_to_the_highest() -> None:
    record = {"answer": "abcde", "tokens": list("abcde"), "token_values": {"doubt": [5, 1, 2, 3, 4]}}
    assert levels(parsed(record, "doubt")) == ["level4", "level0", "level1", "level2", "level3"]
    assert levels(parsed({**record, "token_values": {"doubt": [2] * 5}}, "doubt")) == ["level0"] * 5
    tokens = TokenValues.from_record(record)
    assert tokens is not None
    assert tokens.as_html() is None  # no log-probabilities
    assert "doubt" in legend("doubt")


def test_parts_of_a_character_are_one_span_by_the_least_certain() -> None:
    found = parsed({"answer": "北x", "tokens": ["", "", "北", "x"], "token_logprobs": [-5, -0.01, -0.01, -0.01]})
    assert found.texts == ["北", "x"]
    assert levels(found) == ["level4", "level0"]
    assert (found.spans[0]["title"] or "").count("; ") == 2


def test_tokens_that_the_text_does_not_show_are_its_end() -> None:
    found = parsed({"answer": "Paris", "tokens": ["Paris", ""], "token_logprobs": [-0.01, -1.0]})
    assert found.texts == ["Paris", "‹end›"]
    assert levels(found) == ["level0", "level2"]
    assert parsed({"answer": "", "tokens": [""], "token_logprobs": [-0.01]}).texts == ["‹end›"]
    assert parsed({"answer": "", "tokens": [], "token_logprobs": []}).texts == []


@pytest.mark.parametrize("text", [*HOSTILE, "\n", "  ", "שלום", "</bdi></span>", "<|im_end|>"])
def test_a_token_is_text_whatever_it_says(text: str) -> None:
    found = parsed(
        {"answer": f"a{text}", "tokens": ["a", text], "token_logprobs": [-1, -2], "token_values": {text: [1, 2]}}
    )
    assert set(found.tags) == {"bdi", "span"}
    assert found.texts == ["a", visible(text) or "‹end›"]
    assert all(set(span) <= {"class", "title", "data-note", "tabindex"} for span in found.spans)


@pytest.mark.parametrize(
    "record",
    [
        {"answer": "a"},
        {"answer": "a", "tokens": "a"},
        {"answer": "a", "tokens": [1]},
        {"answer": "another", "tokens": ["a"], "token_logprobs": [-1]},
        {"tokens": ["a"]},
    ],
)
def test_records_without_the_answers_tokens_are_not_coloured(record: dict[str, object]) -> None:
    assert TokenValues.from_record(record) is None


@pytest.mark.parametrize("values", [[-1], "ab", [True, -1], ["x", -1], None, [10**400, -1]])
def test_values_that_are_not_one_number_a_token_are_left_out(values: object) -> None:
    tokens = TokenValues.from_record({"answer": "ab", "tokens": ["a", "b"], "token_logprobs": values})
    assert tokens is not None
    assert tokens.values == {}


def luminance(colour: tuple[float, float, float]) -> float:
    linear = [c / 12.92 if (c := value / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for value in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((0x1A, 0x1D, 0x21), (0xFF,) * 3), ((0xE6, 0xE9, 0xED), (0x14, 0x17, 0x1B)), ((0, 0, 0), (0xFF,) * 3)],
)
def test_text_has_contrast_on_every_level_in_light_and_dark(
    ink: tuple[float, float, float], paper: tuple[float, float, float]
) -> None:
    tints = re.findall(r"rgba\((\d+), (\d+), (\d+), ([\d.]+)\)", token_style())
    assert len(tints) == 4
    for *colour, alpha in tints:
        mixed = [float(alpha) * int(c) + (1 - float(alpha)) * p for c, p in zip(colour, paper, strict=True)]
        light, dark = sorted([luminance(tuple(mixed)), luminance(ink)], reverse=True)  # type: ignore[arg-type]
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_no_level_is_told_by_colour_alone() -> None:
    styles = [re.search(rf"uq-level{level} {{[^}}]*underline (\w+)", token_style()) for level in (1, 2, 3, 4)]
    assert len({style[1] for style in styles if style}) == 4


def test_a_method_s_values_do_not_take_the_place_of_the_model_s_own() -> None:
    record = {
        "answer": "Rome",
        "tokens": ["Rome", ""],
        "token_logprobs": [-0.5, -0.25],
        "token_values": {"log-probability": [9.0, 9.0], "entropy": [9.0, 9.0]},
    }
    tokens = TokenValues.from_record(record)
    assert tokens is not None
    assert tokens.values == {"log-probability": (-0.5, -0.25)}
    assert tokens.as_html(ENTROPY) is None
