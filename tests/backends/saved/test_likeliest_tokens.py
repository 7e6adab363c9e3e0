"""Likeliest tokens in a file of saved answers: scores of them, what they lack, and lists that cannot be right."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uq_harness import functional
from uq_harness.backends.saved.read import read_saved
from uq_harness.errors import UQHarnessError
from uq_harness.models.score_file import ScoredFile, score_file
from uq_harness.results.load import load_runs

GENERATOR = np.random.default_rng(5)
LOGPROBS = np.log(GENERATOR.dirichlet(np.full(40, 0.3), size=4))  # whole distributions of 40 tokens
CHOSEN = LOGPROBS.argmax(axis=1)
CHOSEN[1] = LOGPROBS[1].argsort()[-3]  # a sampled token
WORDS = [f" word{number}" for number in range(40)]
GOOD = {"question": "Who wrote Emma?", "answers": ["Jane Austen"], "answer": "Austen"}
SMALL = {**GOOD, "token_logprobs": [-0.5, -0.1], "token_top_logprobs": [[-0.5, -2.0], [-0.1, -3.0]]}
METHODS = "probability_margin+top_k_entropy+boosted_probability+claim_conditioned_probability"


def line(count: int = 40, texts: bool = True) -> dict[str, Any]:
    """A line with the likeliest tokens at each of the answer's."""
    best = (-LOGPROBS).argsort(axis=1)[:, :count]
    listed = [
        [[WORDS[token], float(LOGPROBS[row, token])] if texts else float(LOGPROBS[row, token]) for token in some]
        for row, some in enumerate(best)
    ]
    return {
        **GOOD,
        "tokens": [WORDS[token] for token in CHOSEN],
        "token_logprobs": LOGPROBS[np.arange(4), CHOSEN].tolist(),
        "token_top_logprobs": listed,
    }


def scored(folder: Path, *rows: dict[str, Any], methods: str | None = METHODS) -> ScoredFile:
    file = folder / "saved.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    arguments = {"nli_model": "lexical", "similarity_model": "lexical"}
    return score_file(read_saved(file), methods=methods, arguments=arguments, correctness="f1", output=folder / "out")


def values(found: ScoredFile) -> dict[str, list[float]]:
    (run,) = load_runs(found.written)
    return {name: list(column) for name, column in run.uncertainty.items()}


def lacks(found: ScoredFile) -> dict[str, dict[str, int]]:
    return {one.name: dict(one.lacking) for one in found.methods if one.lacking}


def test_scores_are_those_of_whole_distributions(tmp_path: Path) -> None:
    found = values(scored(tmp_path, line()))
    assert found["probability_margin"] == pytest.approx([functional.probability_margin(LOGPROBS)])
    assert found["top_k_entropy"] == pytest.approx([functional.top_k_entropy(LOGPROBS)])
    assert found["boosted_probability"] == pytest.approx([functional.boosted_probability(LOGPROBS, CHOSEN)])


def test_words_are_compared_with_the_answers_own_whether_it_is_listed_or_not(tmp_path: Path) -> None:
    ranked = (-LOGPROBS).argsort(axis=1)
    order = [[own, *row[row != own]][:10] for row, own in zip(ranked, CHOSEN, strict=True)]
    listed = np.take_along_axis(LOGPROBS, np.array(order), axis=1)
    different = np.zeros((4, 10, 2))
    expected = functional.claim_conditioned_probability(listed, different)
    whole = line()
    lists = zip(whole["token_top_logprobs"], whole["tokens"], strict=True)
    unlisted = [[some[0], *(pair for pair in some[1:] if pair[0] != own)] for some, own in lists]
    assert [len(some) for some in unlisted] != [len(some) for some in whole["token_top_logprobs"]]
    without = {**whole, "token_top_logprobs": unlisted}
    found = values(scored(tmp_path, whole, without))
    assert found["claim_conditioned_probability"] == pytest.approx([expected] * 2)


def test_lists_must_be_as_long_as_what_reads_them(tmp_path: Path) -> None:
    nine = {one: "; ".join(why) for one, why in lacks(scored(tmp_path, line(9), methods=None)).items()}
    assert "15 likeliest tokens at each of the answer's (token_top_logprobs has 9)" in nine["top_k_entropy"]
    assert "10 likeliest tokens" in nine["claim_conditioned_probability"]
    assert "probability_margin" not in nine
    assert "whole distributions" in nine["self_certainty"]
    assert (
        "texts of"
        in lacks(scored(tmp_path, line(texts=False), methods=None))["claim_conditioned_probability"].popitem()[0]
    )
    assert "(token_top_logprobs)" in lacks(scored(tmp_path, GOOD, methods=None))["top_k_entropy"].popitem()[0]


def test_lines_with_longer_and_shorter_lists_stand_side_by_side(tmp_path: Path) -> None:
    found = scored(tmp_path, line(), line(9))
    assert lacks(found)["top_k_entropy"] == {
        "15 likeliest tokens at each of the answer's (token_top_logprobs has 9), which take the model": 1
    }
    top, margin = values(found)["top_k_entropy"], values(found)["probability_margin"]
    assert math.isnan(top[1])
    assert margin[0] == margin[1]


def test_a_gap_that_may_lie_behind_the_list_leaves_boosted_probability_undefined(tmp_path: Path) -> None:
    found = values(scored(tmp_path, SMALL, methods="boosted_probability+probability_margin"))
    assert math.isnan(found["boosted_probability"][0])
    margin = np.mean([math.exp(-0.5) - math.exp(-2), math.exp(-0.1) - math.exp(-3)])
    assert found["probability_margin"] == pytest.approx([1 - margin])


def test_an_answer_without_tokens_is_undefined(tmp_path: Path) -> None:
    empty = {**GOOD, "tokens": [], "token_logprobs": [], "token_top_logprobs": []}
    assert all(math.isnan(column[0]) for column in values(scored(tmp_path, empty)).values())


def test_an_unknown_log_probability_of_the_answer_leaves_what_reads_it_undefined(tmp_path: Path) -> None:
    row = line()
    row["token_logprobs"][0] = None
    found = values(scored(tmp_path, row))
    assert math.isnan(found["claim_conditioned_probability"][0])
    assert math.isnan(found["boosted_probability"][0])
    assert found["probability_margin"] == pytest.approx([functional.probability_margin(LOGPROBS)])


def test_what_was_written_can_be_scored_again(tmp_path: Path) -> None:
    first = scored(tmp_path, line(), methods="probability_margin")
    (samples,) = (path for path in first.written if path.name.startswith("samples_"))
    again = score_file(read_saved(samples), methods="top_k_entropy", correctness="f1", output=tmp_path / "again")
    assert values(again)["top_k_entropy"] == pytest.approx([functional.top_k_entropy(LOGPROBS)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"token_top_logprobs": [[-0.5, -2.0]]},
            "1 token_top_logprobs, 2 token_logprobs: each needs one entry",
        ),
        ({"token_top_logprobs": [[-0.5], [-3.0, -0.1]]}, "token 2 of token_top_logprobs is not sorted"),
        ({"token_top_logprobs": [[0.5], [-0.1]]}, "token 1 of token_top_logprobs holds 0.5, but a log-probability is"),
        ({"token_top_logprobs": [[-0.5, math.nan], [-0.1]]}, "token 1 of token_top_logprobs holds nan"),
        ({"token_top_logprobs": [[-0.5, None], [-0.1]]}, "token 1 of token_top_logprobs holds None"),
        ({"token_top_logprobs": [[-0.5, -9999.0], [-0.1]]}, "holds -9999.0, which is no log-probability: leave out"),
        ({"token_top_logprobs": [[-0.5, -math.inf], [-0.1]]}, "holds -inf, which is no log-probability: leave out"),
        ({"token_top_logprobs": [[-0.5], [["a", -0.1]]]}, r"token 2 of token_top_logprobs holds \['a', -0.1\]"),
        ({"token_top_logprobs": [[-0.5, True], [-0.1]]}, "holds True"),
        ({"token_top_logprobs": [[-(10**400)], [-0.1]]}, "which is no log-probability"),
        ({"token_top_logprobs": [[-1.5], [-0.1]]}, r"the answer's own token is likelier \(-0.5\)"),
        ({"token_top_logprobs": [[-0.5, -0.6], [-0.1]]}, "makes up a probability of 1.155"),
        ({"token_top_logprobs": [-0.5, -0.1]}, "it needs one list a token, likeliest first"),
        ({"token_top_logprobs": "x"}, "it needs one list a token, likeliest first"),
        ({"token_logprobs": None}, "token_top_logprobs stands without token_logprobs"),
    ],
)
def test_lists_that_cannot_be_right_end_the_command(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = tmp_path / "saved.jsonl"
    file.write_text(json.dumps({**SMALL, **change}), encoding="utf-8")
    with pytest.raises(UQHarnessError, match=f"line 1: .*{message}"):
        read_saved(file)
