"""Every method from prompt to record with an NLI model and a cross-encoder; small ones of random weights."""

import math
from pathlib import Path

import pytest
from lm_eval.api.model import CachingLM

from tests.models.test_hf import ask, golden, golden_model
from tests.similarity.models import save_classifier, save_cross_encoder
from tests.support import SCORING, SHARED, requires_shared
from tests.test_task import DEMO, evaluate
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import record_of

COMPARING = {
    "nli": (
        *("degree", "eigenvalue_laplacian", "eccentricity", "kernel_language_entropy", "luq", "num_semantic_sets"),
        *("semantic_entropy", "discrete_semantic_entropy", "label_prob", "semantic_energy", "semantic_density"),
        *("semantic_alphabet_size", "coverage_adjusted_semantic_entropy", "clustered_self_assessment"),
        *("self_consistency", "noncontradiction", "answer_entailment", "claim_conditioned_probability"),
    ),
    "similarity": ("sar", "sentence_sar", "token_sar", "cocoa_msp", "cocoa_mte", "cocoa_ppl", "dissimilarity"),
}

pytestmark = requires_shared


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Model arguments that choose every method and the two models."""
    vocabulary = (SHARED / "data/bert_vocab/vocab.txt").read_text(encoding="utf-8").splitlines()
    return {
        "methods": "+".join(SCORING),
        "nli_model": save_classifier(tmp_path_factory.mktemp("nli"), vocabulary=vocabulary),
        "similarity_model": save_cross_encoder(tmp_path_factory.mktemp("similarity"), vocabulary=vocabulary),
        "nli_device": "cpu",
        "similarity_device": "cpu",
    }


def records(models: dict[str, str], **settings: object) -> list[dict]:
    template, cases = golden()
    answers = ask(golden_model(**{**models, **settings}), [case["question"] for case in cases[:8]], template)
    return [record_of(answer) for answer in answers]


@pytest.fixture(scope="module")
def reference(models: dict[str, str]) -> list[dict]:
    return records(models, batch_size=4)


def test_every_method_scores_every_answer(reference: list[dict]) -> None:
    for record in reference:
        assert set(record["uncertainty"]) == set(SCORING)
        assert all(value is not None and math.isfinite(value) for value in record["uncertainty"].values())


def test_batch_mates_change_no_score(models: dict[str, str], reference: list[dict]) -> None:
    for size in (1, 64):  # pairs of the batch go through in one call, too
        for found, expected in zip(records(models, batch_size=size), reference, strict=True):
            assert found["uncertainty"] == pytest.approx(expected["uncertainty"], rel=1e-4, abs=1e-6)


def test_batches_of_pairs_change_no_score(models: dict[str, str], reference: list[dict]) -> None:
    for found, expected in zip(records(models, nli_batch_size=3, similarity_batch_size=5), reference, strict=True):
        assert found["uncertainty"] == pytest.approx(expected["uncertainty"], rel=1e-4, abs=1e-6)


def test_the_models_decide_where_texts_are_compared_and_nowhere_else(
    models: dict[str, str], reference: list[dict]
) -> None:
    words = records({**models, "nli_model": "lexical", "similarity_model": "lexical"})
    changed = {
        name
        for one, other in zip(words, reference, strict=True)
        for name, value in one["uncertainty"].items()
        if value != pytest.approx(other["uncertainty"][name], rel=1e-4, abs=1e-6)
    }
    assert changed == {name for names in COMPARING.values() for name in names}
    for one, other in zip(words, reference, strict=True):
        assert one["token_ids"] == other["token_ids"]
        for count in ("nli_pairs", "similarity_pairs"):
            assert one["cost"][count] == other["cost"][count]


def test_a_whole_run_of_lm_eval(models: dict[str, str]) -> None:
    found = evaluate(model_args={**DEMO, **models}, limit=12)
    results = found["results"]["uq_demo"]
    for name in SCORING:
        assert math.isfinite(results[f"auroc_{name},exact_match"])
    assert results["undefined_scores,exact_match"] == 0
    settings = found["config"]["uncertainty"]
    assert (settings["nli"]["model"], settings["similarity"]["model"]) == (
        models["nli_model"],
        models["similarity_model"],
    )
    cost = found["samples"]["uq_demo"][0]["doc"]["uq"]["cost"]
    assert cost["nli_seconds"] > 0
    assert cost["similarity_seconds"] > 0


def test_a_cached_run_may_go_on_with_other_batches_of_pairs_but_not_with_another_model(
    models: dict[str, str], tmp_path: Path
) -> None:
    def cached(**settings: object) -> None:
        CachingLM(golden_model(**{**models, "methods": "degree+sar", **settings}), str(tmp_path / "cache.db"))

    cached()
    cached(nli_batch_size=3, similarity_batch_size=5)
    for change in ({"nli_model": "lexical"}, {"similarity_max_length": 200}):
        with pytest.raises(UQHarnessError, match=f"{next(iter(change)).partition('_')[0]} was .* --use_cache"):
            cached(**change)
