"""Validation: shares, intervals, both judges, records."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.endpoints.servers import says, serving
from tests.http_server import Response
from uq_harness.endpoints.failures import EndpointError
from uq_harness.endpoints.replies import ReplyCache
from uq_harness.endpoints.settings import Endpoint
from uq_harness.similarity.build import build_nli
from uq_harness.studies.paraphrase.validate import share, validate_paraphrases


def write(folder: Path) -> Path:
    rows = [
        {"question": "Who wrote Emma?", "paraphrases": ["who wrote Emma", "Emma was written by whom?"]},
        {"question": "Who ruled?", "paraphrases": ["Who ruled", "Who was the ruler?", "Who reigns?"]},
    ]
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "p.jsonl"


@given(st.lists(st.sampled_from([0.0, 1.0, math.nan]), max_size=60))
def test_share_and_wilson_interval_follow_their_definition(verdicts: list[float]) -> None:
    found = share(verdicts)
    known = [verdict for verdict in verdicts if not math.isnan(verdict)]
    assert found.undefined == len(verdicts) - len(known)
    if not known:
        assert math.isnan(found.value)
        assert found.as_json()["share"] is None
        return
    n, p, z = len(known), sum(known) / len(known), 1.959963984540054
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert found.value == pytest.approx(p)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-9)


def test_both_judges_are_asked_about_every_paraphrase(tmp_path: Path) -> None:
    def behaviour(message: str, _: int) -> Response:
        return says("No." if "reigns" in message else "Hm." if "ruler" in message else "Yes.")

    with serving(behaviour) as server:
        endpoint, cache = Endpoint("m", server.url, max_tokens=16), ReplyCache(tmp_path / "r.sqlite")
        found = validate_paraphrases(write(tmp_path), build_nli("lexical"), endpoint, cache)
        assert len(server.bodies) == 6
        again = validate_paraphrases(write(tmp_path), build_nli("lexical"), endpoint, cache)
        assert len(server.bodies) == 7  # only the check
    assert again.chat is not None
    shares = found.shares()
    assert (shares["nli"].count, shares["nli"].total) == (2, 5)  # equal words entail each other
    assert (shares["chat"].count, shares["chat"].total, shares["chat"].undefined) == (3, 4, 1)
    records = list(found.rows())
    assert [record["entailed"] for record in records] == [True, False, True, False, False]
    assert [record["equivalent"] for record in records] == [True, True, True, None, False]
    found.write_rows(tmp_path / "new" / "rows.jsonl")
    lines = (tmp_path / "new" / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == records


def test_entailed_means_in_both_directions(tmp_path: Path) -> None:
    class OneWay:
        """Every question entails its paraphrases, and none the question."""

        pairs_cut = 0

        def prepare(self) -> None: ...

        def describe(self) -> dict:
            return {}

        def score(self, pairs: list[tuple[str, str]]) -> np.ndarray:
            questions = ("Who wrote Emma?", "Who ruled?")
            return np.array([[0.8, 0.1, 0.1] if premise in questions else [0.3, 0.4, 0.3] for premise, _ in pairs])

    from uq_harness.similarity.services import NLI

    found = validate_paraphrases(write(tmp_path), NLI(OneWay(), 100), None)
    assert {name: value.count for name, value in found.shares().items()} == {
        "nli": 0,
        "nli_question_to_paraphrase": 5,
        "nli_paraphrase_to_question": 0,
    }
    assert all(record["equivalent"] is None for record in found.rows())


def test_limit_counts_questions(tmp_path: Path) -> None:
    assert len(validate_paraphrases(write(tmp_path), build_nli("lexical"), None, limit=1).pairs) == 2


def test_an_unreachable_judge_is_found_before_the_nli_model_runs(tmp_path: Path) -> None:
    nli = build_nli("lexical")
    with serving(lambda *_: says("yes")) as server:
        gone = Endpoint("m", server.url, retries=0)
    with pytest.raises(EndpointError, match="cannot be reached"):
        validate_paraphrases(write(tmp_path), nli, gone, ReplyCache(tmp_path / "r.sqlite"))
    assert nli.pairs_scored == 0
