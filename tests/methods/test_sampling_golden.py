"""The golden numbers of the sampling-based scores, reached through methods and evidence."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.methods.sampled import both_ways, conditionals, nli, same_cluster, samples, score
from tests.support import SHARED, requires_shared
from uq_harness import functional

pytestmark = requires_shared
CASES: dict[str, list[dict[str, Any]]] = (
    json.loads((SHARED / "golden/functional.json").read_text(encoding="utf-8")) if SHARED else {}
)

# From the inputs of a function to what is found about a question, and to options.
Translation = Callable[[dict[str, Any]], tuple[dict[str, Any], dict[str, Any]]]
TRANSLATIONS: dict[str, Translation] = {
    "ln_pe": lambda given: ({"samples": samples(given["token_logprobs"])}, {}),
    "self_consistency": lambda given: (
        {"entailment": nli(both_ways(given["entailment"]))},
        {"consistency_threshold": given["threshold"]},
    ),
    "degree": lambda given: ({"entailment": nli(given["similarity"])}, {}),
    "eigenscore": lambda given: (
        {"states": np.array(given["embeddings"])},
        {"eigenscore_alpha": given["alpha"]},
    ),
    "semantic_entropy": lambda given: (
        {"samples": samples(given["token_logprobs"]), "entailment": same_cluster(given["cluster_ids"])},
        {},
    ),
    "discrete_semantic_entropy": lambda given: ({"entailment": same_cluster(given["cluster_ids"])}, {}),
    "semantic_density": lambda given: (
        {
            "samples": samples(texts=given["texts"]),
            "rescored": np.array(given["mean_logprobs"]),
            "entailment": nli(1 - both_ways(given["distances"])),
        },
        {},
    ),
    "token_sar": lambda given: (
        {
            "samples": samples(given["token_logprobs"]),
            "relevance": tuple(np.array(relevance) for relevance in given["token_importance"]),
        },
        {},
    ),
    "sentence_sar": lambda given: (
        {"samples": samples(given["token_logprobs"]), "similarity": np.array(given["similarity"])},
        {"sar_shift_temperature": given["temperature"]},
    ),
    "sar": lambda given: (
        {
            "samples": samples(given["token_logprobs"]),
            "similarity": np.array(given["similarity"]),
            "relevance": tuple(np.array(relevance) for relevance in given["token_importance"]),
        },
        {"sar_shift_temperature": given["temperature"]},
    ),
    "mutual_information": lambda given: (
        {"conditionals": conditionals(given["first"], np.log(given["second_given_first"]))},
        {},
    ),
}


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-{index}")
        for name in TRANSLATIONS
        for index, case in enumerate(CASES.get(name, []))
    ],
)
def test_golden(name: str, case: dict[str, Any]) -> None:
    found, options = TRANSLATIONS[name](case["inputs"])
    assert score(name, options, **found) == pytest.approx(case["expected"], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("case", CASES.get("cluster_by_entailment", []))
def test_golden_clusters(case: dict[str, Any]) -> None:
    entailment_first = np.eye(3)[::-1]  # golden labels: 0 contradiction, 1 neutral, 2 entailment
    found = 0.7 * entailment_first[np.array(case["inputs"]["labels"])] + 0.1
    options = {"entailment": "strict" if case["inputs"]["strict"] else "relaxed"}
    expected = functional.discrete_semantic_entropy(case["expected"])
    assert score("discrete_semantic_entropy", options, entailment=found) == pytest.approx(expected)


def test_every_translated_method_has_golden_cases() -> None:
    from uq_harness.methods import all_methods

    assert all(CASES[name] and all_methods()[name].sampling for name in TRANSLATIONS)
