"""Every variant's scores are those of an ordinary run with the same model arguments."""

import json
from typing import Any

import numpy as np
import pytest

from tests.support import SHARED, read_questions, requires_shared
from uq_harness.answering.identity import ModelIdentity
from uq_harness.demo import QUESTIONS
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import QuestionInstance, record_of
from uq_harness.models import UQHFLM
from uq_harness.studies.ablation.comparison import (
    Variant,
    check_spans,
    hybridgrad_variants,
    numbers,
    semgrad_variants,
    token_variants,
)
from uq_harness.studies.ablation.evidence import AblationEvidence
from uq_harness.studies.ablation.model import FIELD, AblationLM
from uq_harness.studies.sps.prompts import Position

GREEDY = {"until": [], "max_gen_toks": 150, "do_sample": False}
TEMPLATE = "Please directly answer the following question with one or few words:\n{q}"
DEMO = {"pretrained": "demo", "device": "cpu", "dtype": "float32", "batch_size": 8}


def ask(lm: UQHFLM, questions: list[str]) -> list[dict[str, Any]]:
    """The answers' records."""
    requests = []
    for number, question in enumerate(questions):
        prompt = lm.apply_chat_template([{"role": "user", "content": TEMPLATE.format(q=question)}])
        requests.append(
            QuestionInstance("generate_until", {}, (prompt, dict(GREEDY)), 0, ("test", number, 1), question=question)
        )
    return [record_of(text) for text in lm.generate_until(requests, disable_tqdm=True)]


def gathered(lm: AblationLM, questions: list[str]) -> tuple[AblationEvidence, list[dict[str, Any]]]:
    records = ask(lm, questions)
    sizes = [record[FIELD] for record in records]
    count = len(questions)
    evidence = AblationEvidence(
        task="test",
        judge="none",
        model=ModelIdentity("", "", "", None),
        positions=tuple(Position(place - lm.n_positions, "", 1.0) for place in range(lm.n_positions)),
        documents=np.arange(count),
        correct=np.zeros(count),
        correctness=np.zeros(count),
        semantic_token=np.array([one.semantic_token for one in sizes]),
        mean_entropy=np.array([one.mean_entropy for one in sizes]),
        head=np.stack([one.head for one in sizes], 1),
        absolute=np.stack([one.absolute for one in sizes], 1),
        squared=np.stack([one.squared for one in sizes], 1),
        methods={},
    )
    return evidence, records


@requires_shared
def test_golden_variants_come_out_of_one_pass() -> None:
    golden = json.loads((SHARED / "golden" / "gradients_qa.json").read_text())
    cases = golden["cases"]
    lm = AblationLM(**{**DEMO, "pretrained": str(SHARED / "models" / "qa-small"), "sp_token": golden["sp_position"]})
    evidence, records = gathered(lm, [case["question"] for case in cases])
    variants = {"=".join(map(str, next(iter(one.options.items()), ("default", "")))): one for one in semgrad_variants()}
    for name in cases[0]["semgrad_variants"]:
        expected = [case["semgrad_variants"][name] for case in cases]
        np.testing.assert_allclose(variants[name].score(evidence), expected, rtol=1e-4, err_msg=name)
    for method in ("semgrad", "hybridgrad"):
        default = {"semgrad": variants["default="], "hybridgrad": hybridgrad_variants()[0]}[method]
        np.testing.assert_allclose(default.score(evidence), [case[method] for case in cases], rtol=1e-4)
        ours = [record["uncertainty"][method] for record in records]
        np.testing.assert_allclose(default.score(evidence), ours, rtol=1e-9)
    np.testing.assert_allclose(evidence.head[0], [case["exgrad"] for case in cases], rtol=1e-4)


@pytest.fixture(scope="module")
def questions() -> list[str]:
    return [row["question"] for row in read_questions(str(QUESTIONS))[:24:2]]


@pytest.fixture(scope="module")
def evidence(questions: list[str]) -> AblationEvidence:
    return gathered(AblationLM(**DEMO), questions)[0]


def _varied() -> list[Variant]:
    """One of each kind, the farthest token, and a span that a user has given."""
    return [*semgrad_variants(["1-4"]), token_variants(9)[-1], *hybridgrad_variants([0.5], [10.0])]


@pytest.mark.parametrize("variant", _varied(), ids=lambda variant: variant.label)
def test_a_variant_is_an_ordinary_run_with_its_options(
    variant: Variant, evidence: AblationEvidence, questions: list[str]
) -> None:
    name = variant.method.name
    ordinary = ask(UQHFLM(**DEMO, methods=name, **variant.options), questions)
    expected = [record["uncertainty"][name] for record in ordinary]
    np.testing.assert_allclose(variant.score(evidence), expected, rtol=1e-4)


@pytest.mark.parametrize("argument", ["methods", "semgrad_norm", "hybrid_beta"])
def test_what_an_ablation_varies_cannot_be_set(argument: str) -> None:
    with pytest.raises(UQHarnessError, match=rf"sets {argument}, which an ablation decides on itself"):
        AblationLM(**DEMO, **{argument: "l2"})


def test_too_few_positions_for_the_semantic_token(questions: list[str]) -> None:
    with pytest.raises(UQHarnessError, match=r"last 2 tokens leave out .* at -3: use --positions 3 or more"):
        ask(AblationLM(**DEMO, positions=2), questions)


def test_more_positions_than_the_shortest_prompt_has(questions: list[str]) -> None:
    with pytest.raises(UQHarnessError, match=r"last 300 tokens are asked for, but the prompt of .* has \d+"):
        ask(AblationLM(**DEMO, positions=300), questions)


def test_by_default_the_whole_template_suffix_is_covered() -> None:
    lm = AblationLM(**DEMO)
    suffix = lm.tokenizer("<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    assert lm.n_positions == len(suffix) + 8


@pytest.mark.parametrize("span", ["4-9", "bottom", "3-1"])
def test_spans_that_do_not_fit(span: str) -> None:
    with pytest.raises(UQHarnessError, match="layer span"):
        check_spans([span], n_blocks=6)


@pytest.mark.parametrize("text", ["", "0,1", "one", "-1", "inf"])
def test_numbers_that_are_none(text: str) -> None:
    with pytest.raises(UQHarnessError, match=r"--betas .* is not allowed: use numbers above 0"):
        numbers("--betas", text)
