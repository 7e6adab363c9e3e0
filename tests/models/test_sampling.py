"""Every method through the wrapper: the same scores in any batch, seeds, auxiliary models."""

import math

import pytest
import torch

from tests.models.test_hf import GREEDY, ask, golden, golden_model
from tests.support import SCORING, requires_shared
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import record_of
from uq_harness.evidence import Need
from uq_harness.evidence.cost import name_of
from uq_harness.methods import all_methods

LEXICAL = {"methods": "+".join(SCORING), "nli_model": "lexical", "similarity_model": "lexical"}


def scores(count: int = 24, gen_kwargs: dict = GREEDY, **kwargs) -> list[dict]:
    template, cases = golden()
    lm = golden_model(**{**LEXICAL, **kwargs})
    answers = ask(lm, [case["question"] for case in cases[:count]], template, gen_kwargs)
    return [record_of(answer)["uncertainty"] for answer in answers]


def numbers(answer: str) -> dict[str, float]:
    """An answer's scores; ``nan`` where one is undefined."""
    found = record_of(answer)["uncertainty"]
    return {name: math.nan if value is None else value for name, value in found.items()}


@pytest.fixture(scope="module")
def reference() -> list[dict]:
    return scores(batch_size=8)


@requires_shared
def test_every_method_scores_every_answer(reference: list[dict]) -> None:
    for row in reference:
        assert set(row) == set(SCORING)
        assert all(value is not None and math.isfinite(value) for value in row.values()), row


@requires_shared
@pytest.mark.parametrize("batch_size", [1, 64])
def test_batch_mates_change_no_score(reference: list[dict], batch_size: int) -> None:
    for found, expected in zip(scores(batch_size=batch_size), reference, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-8)


@requires_shared
def test_batch_invariance_leaves_not_a_bit_to_the_batch_size() -> None:
    options = {"methods": "sampling_free+eigenscore", "dtype": "bfloat16", "batch_invariant": "true"}
    template, cases = golden()
    questions = [case["question"] for case in cases[:12]]
    alone, together = (
        [record_of(answer) for answer in ask(golden_model(batch_size=size, **options), questions, template)]
        for size in (1, 12)
    )
    for one, other in zip(alone, together, strict=True):
        assert one["uncertainty"] == other["uncertainty"]
        assert one["token_logprobs"] == other["token_logprobs"]
    with pytest.raises(UQHarnessError, match="batch_invariant='perhaps' is not allowed: use true or false"):
        golden_model(batch_invariant="perhaps")


@requires_shared
def test_seed_decides_the_samples_and_nothing_else(reference: list[dict]) -> None:
    same, other = scores(8, seed=1234), scores(8, seed=1)
    assert same != other
    assert scores(8, seed=1) == other
    for a, b in zip(same, other, strict=True):
        assert a["semgrad"] == pytest.approx(b["semgrad"])
        assert a["semantic_density"] == pytest.approx(b["semantic_density"])  # beams are not drawn


@requires_shared
def test_a_method_alone_scores_as_among_all(reference: list[dict]) -> None:
    for method in ("sar", "semantic_entropy", "mutual_information", "semantic_density", "eigenscore"):
        alone = scores(6, methods=method)
        assert [row[method] for row in alone] == pytest.approx([row[method] for row in reference[:6]], rel=1e-4)


@requires_shared
def test_answers_cut_by_the_limit_and_single_tokens() -> None:
    for row in scores(6, {**GREEDY, "max_gen_toks": 1}):
        # the first token is chosen before the model is fed one of its own
        assert [name for name, value in row.items() if value is None] == ["attention_score"], row


@requires_shared
def test_an_empty_sample_leaves_its_batch_alone() -> None:
    """The second question's answer ends with its first token, and so do most of its samples."""
    template, cases = golden()
    questions = [case["question"] for case in cases[:4]]
    lm = golden_model(**LEXICAL, batch_size=4)
    lm.model.generation_config.eos_token_id = [lm.tokenizer.eos_token_id, cases[1]["answer_ids"][0]]
    together = ask(lm, questions, template)
    assert record_of(together[1])["answer_tokens"] == 1
    for question, answer in zip(questions, together, strict=True):
        (alone,) = ask(lm, [question], template)
        assert numbers(answer) == pytest.approx(numbers(alone), rel=1e-4, abs=1e-8, nan_ok=True)


@requires_shared
def test_samples_without_any_token_are_undefined_and_leave_their_batch_alone() -> None:
    """A stop string at the very beginning leaves nothing, where an end token would count."""
    template, cases = golden()
    questions, stop = [case["question"] for case in cases[:4]], cases[1]["answer"][:3]
    lm = golden_model(**LEXICAL, batch_size=4)
    together = ask(lm, questions, template, {**GREEDY, "until": [stop]})
    assert together[1] == ""
    for name in ("g_nll", "ln_pe", "semantic_entropy", "sar"):
        assert record_of(together[1])["uncertainty"][name] is None
    for question, answer in zip(questions, together, strict=True):
        (alone,) = ask(lm, [question], template, {**GREEDY, "until": [stop]})
        assert numbers(answer) == pytest.approx(numbers(alone), rel=1e-4, abs=1e-8, nan_ok=True)


@requires_shared
def test_answers_of_150_tokens_are_scored_and_leave_short_ones_alone() -> None:
    template, cases = golden()
    questions = [case["question"] for case in cases[:2]]
    few = {"entropy_samples": 3, "consistency_samples": 3, "mi_samples": 3, "density_beams": 3, "eigenscore_samples": 3}
    lm = golden_model(**LEXICAL, **few, batch_size=2)
    short = record_of(ask(lm, questions[:1], template)[0])
    lm.model.generation_config.eos_token_id = None
    lm.tokenizer.eos_token = "<|endoftext|>"
    for answer in ask(lm, questions, template):
        found = record_of(answer)
        assert found["answer_tokens"] == 150
        assert all(value is not None for value in found["uncertainty"].values()), found["uncertainty"]
    assert short["answer_tokens"] < 20


@requires_shared
def test_nan_logits_make_every_score_null() -> None:
    template, cases = golden()
    lm = golden_model(**LEXICAL)
    with torch.no_grad():
        lm.model.lm_head.weight[5].fill_(float("nan"))
    found = record_of(ask(lm, [cases[0]["question"]], template)[0])["uncertainty"]
    assert found == dict.fromkeys(SCORING)  # also where nothing but texts and states is read


@requires_shared
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nli_model": "/nowhere/nli"}, "nli_model"),
        ({"similarity_model": "/nowhere/similarity"}, "similarity_model"),
        ({"nli_modle": "lexical"}, "unknown option 'nli_modle'"),
        ({"nli_batch_size": 0, "nli_model": "x"}, "nli_batch_size"),
        ({"entropy_samples": 0}, "entropy_samples=0"),
    ],
)
def test_bad_settings_are_refused_before_the_first_answer(arguments: dict, message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        golden_model(**{**LEXICAL, **arguments})


@requires_shared
def test_the_record_says_what_an_answer_cost() -> None:
    template, cases = golden()
    costs = [
        record_of(answer)["cost"]
        for answer in ask(golden_model(**LEXICAL), [c["question"] for c in cases[:4]], template)
    ]
    for cost in costs:
        assert {f"{stage}_seconds" for stage in ("decode", "gradients", "scoring", "nli", "similarity")} <= set(cost)
        assert all(value >= 0 for value in cost.values())
        # a tree of prefixes: more rows than the greedy answer has, far fewer than the 41 lanes would take one by one
        assert 1 < cost["row_steps"] < 41 * 24
        assert cost["scored_texts"] > 1  # the verdict of P(True), and more
    free = record_of(ask(golden_model(methods="g_nll"), [cases[0]["question"]], template)[0])["cost"]
    assert free["nli_pairs"] == free["similarity_pairs"] == free["scored_texts"] == 0
    beams = record_of(
        ask(golden_model(**{**LEXICAL, "methods": "semantic_density"}), [cases[0]["question"]], template)[0]
    )
    assert beams["cost"]["scored_texts"] == 0  # decoding has told the log-probabilities of all texts
    assert "nli_seconds" not in free


def own(names: str) -> set[Need]:
    """The needs of some methods that have seconds of their own."""
    needs = {need for name in names.split("+") for need in all_methods()[name]().needs()}
    return {need for need in needs if need.stage != "answer" and (need.stage != "samples" or need.sample_set == need)}


@requires_shared
def test_records_say_what_each_need_cost() -> None:
    names = (
        "exgrad+paragrad+semgrad+p_true+pointwise_mutual_information+csl+ln_pe+degree+self_consistency+sar+cocoa_msp"
    )
    names += "+cocoa_msp+semantic_density+mutual_information+clustered_self_assessment"
    template, cases = golden()
    lm = golden_model(**{**LEXICAL, "methods": names})
    for answer in ask(lm, [case["question"] for case in cases[:4]], template):
        cost = record_of(answer)["cost"]
        alone = {need: cost[f"alone/{name_of(need)}"] for need in own(names)}
        assert len(alone) == sum(name.startswith("alone/") for name in cost)

        def seconds(stage: str, alone: dict[Need, float] = alone) -> list[float]:
            return [spent for need, spent in alone.items() if need.stage == stage]

        # nothing is read by two needs here
        assert sum(seconds("scoring")) == pytest.approx(cost["scoring_seconds"], rel=0.02)
        drawing = cost["decode_seconds"] - cost["answer_seconds"]
        assert 0 < max(seconds("samples")) <= drawing * 1.01 <= sum(seconds("samples")) * 1.03
        assert cost["answer_seconds"] > 0
        for stage in ("gradients", "nli", "similarity"):
            assert max(seconds(stage)) <= cost[f"{stage}_seconds"] * 1.01 <= sum(seconds(stage)) * 1.03


@requires_shared
def test_two_questions_with_the_same_text_in_one_batch() -> None:
    """Noise is keyed by the prompt: they have the same samples, each as if it were alone, and are compared once."""
    template, cases = golden()
    one, other = cases[0]["question"], cases[2]["question"]
    lm = golden_model(**LEXICAL, batch_size=3)
    first, between, second = (record_of(answer) for answer in ask(lm, [one, other, one], template))
    alone = record_of(ask(golden_model(**LEXICAL, batch_size=3), [one], template)[0])
    for found in (first, second):
        assert found["token_ids"] == alone["token_ids"]
        assert found["uncertainty"] == pytest.approx(alone["uncertainty"], rel=1e-4, abs=1e-8)
    texts = [record["cost"]["scored_texts"] for record in (first, second, alone, between)]
    assert texts[0] == texts[1] == texts[2] != texts[3]
    assert first["cost"]["scoring_seconds"] == pytest.approx(second["cost"]["scoring_seconds"])
    for stage in ("nli", "similarity"):
        pairs = f"{stage}_pairs"
        assert first["cost"][pairs] == alone["cost"][pairs] > 0
        assert second["cost"][pairs] == second["cost"][f"{stage}_seconds"] == 0


@requires_shared
def test_a_prompt_that_states_an_answer_is_cut_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    template, cases = golden()
    lm = golden_model(methods="mutual_information", max_length=300)
    case = next(case for case in cases if case["g_nll"] > 4)  # several answers come up
    answer = ask(lm, [case["question"]], template)[0]
    assert record_of(answer)["cost"]["scored_texts"] > 1
    assert "that states an answer is cut to its last 44 to leave space" in caplog.text
    assert "mutual_information" in record_of(answer)["uncertainty"]
