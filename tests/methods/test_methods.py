"""Methods: selection, options, discovery, and scores as functions of evidence."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support import SHARED, requires_shared
from uq_harness import functional
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Answer, Evidence, HeadGradient, LayerSpan, StateGradient, StateGradientNorms
from uq_harness.methods import (
    Method,
    SamplesMethod,
    all_methods,
    build_methods,
    register_method,
    select_methods,
    settings,
)
from uq_harness.methods.distribution import DistributionMethod
from uq_harness.methods.g_nll import GNLL
from uq_harness.methods.p_true import FEW_SHOT, VERDICT, prompt_block
from uq_harness.registry import Registry

TOP = StateGradient(True, LayerSpan("top_half"))


def evidence(**changes) -> Evidence:
    answer = Answer("Paris", (5, 2), np.array([-0.5, -0.25]), np.array([1.0, 0.5]), complete=True)
    found = {
        "question": "Which city?",
        "answer": answer,
        "values": {
            HeadGradient(True): 0.02,
            HeadGradient(False): 0.05,
            TOP: StateGradientNorms(np.array([0.1, 0.3]), np.array([0.04, 0.12])),
            VERDICT: -1.5,
        },
    }
    return Evidence(**{**found, **changes})


def names(methods: str) -> list[str]:
    return [method.name for method in select_methods(methods)]


def test_sets_of_methods() -> None:
    assert names("default") == ["exgrad", "g_nll", "hybridgrad", "paragrad", "semgrad"]
    assert {*names("default"), "p_true", *names("cheap")} <= set(names("sampling_free"))
    assert not set(names("sampling_free")) & set(names("sampling"))
    assert {*names("sampling_free"), *names("sampling")} <= set(names("all")) == set(all_methods())
    assert names("semgrad+g_nll+semgrad") == ["g_nll", "semgrad"]


@pytest.mark.parametrize("method", all_methods().values(), ids=all_methods())
def test_a_method_is_in_the_sets_that_its_needs_allow(method: type[Method]) -> None:
    needs = method().needs()
    sampled = any(need.sample_set is not None for need in needs)
    assert method.sampling == sampled
    assert not (sampled and "sampling_free" in method.sets)
    assert sampled or "sampling" not in method.sets
    if "cheap" in method.sets:
        assert {need.stage for need in needs} == {"answer"}
    elif "sampling_free" in method.sets:
        assert {need.stage for need in needs} != {"answer"}


@pytest.mark.parametrize("given", ["g_nll+semgrad", "g_nll,semgrad", "[g_nll,semgrad]", ["g_nll", "semgrad"]])
def test_lists_may_be_written_as_lm_eval_passes_them(given) -> None:
    assert [method.name for method in select_methods(given)] == ["g_nll", "semgrad"]


def test_an_unknown_name_gets_the_close_ones() -> None:
    with pytest.raises(UQHarnessError, match=r"unknown method 'hybrid_grad': did you mean hybridgrad"):
        select_methods("hybrid_grad")


def test_scores() -> None:
    scores = {method.name: method.score(evidence()) for method in build_methods("default+p_true", {})}
    alpha = np.exp(-0.75)
    assert scores == pytest.approx(
        {
            "g_nll": 0.75,
            "exgrad": 0.05,
            "paragrad": 0.02,
            "semgrad": 0.2,
            "hybridgrad": alpha * 0.02 + (1 - alpha) * 0.2,
            "p_true": 1.5,
        }
    )


def test_options_change_the_scores_as_the_paper_defines() -> None:
    (semgrad,) = build_methods("semgrad", {"semgrad_norm": "l2"})
    assert semgrad.score(evidence()) == pytest.approx(np.sqrt(0.08))
    (hybrid,) = build_methods("hybridgrad", {"hybrid_beta": "2", "hybrid_gamma": 3})
    alpha = np.exp(-0.375)
    assert hybrid.score(evidence()) == pytest.approx(alpha * 0.06 + (1 - alpha) * 0.2)
    assert settings([hybrid]) == {
        "semgrad_norm": "l1",
        "semgrad_reweight": True,
        "semgrad_layers": "top_half",
        "hybrid_beta": 2.0,
        "hybrid_gamma": 3.0,
        "head_gradient": "head",
    }


def test_needs_follow_the_options() -> None:
    (semgrad,) = build_methods("semgrad", {"semgrad_reweight": "false", "semgrad_layers": "0-2"})
    assert semgrad.needs() == (StateGradient(False, LayerSpan("0-2")),)


@pytest.mark.parametrize(
    ("span", "blocks", "expected"),
    [
        ("top_half", 6, range(3, 6)),
        ("top_half", 5, range(3, 5)),
        ("top_half", 1, range(1)),
        ("last_quarter", 8, range(6, 8)),
        ("last_quarter", 3, range(2, 3)),
        ("all", 3, range(3)),
        ("1-1", 3, range(1, 2)),
    ],
)
def test_layer_spans(span: str, blocks: int, expected: range) -> None:
    assert LayerSpan(span).resolve(blocks) == expected


def test_every_method_is_documented_and_described() -> None:
    docs = Path(__file__).parents[2] / "docs" / "methods"
    for name, method in all_methods().items():
        page = (docs / f"{name}.md").read_text(encoding="utf-8")
        assert f"(`{name}`)" in page.splitlines()[0]
        assert method.source
        assert re.search(r"arXiv \d{4}\.\d{5}|NeurIPS \d{4}", method.source)
        for field in method.options():
            assert f"`{field.name}`" in page or "SemGrad's options" in page
            assert field.metadata["meaning"]


def test_a_method_registers_itself_and_needs_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    from uq_harness.methods import base as _base

    monkeypatch.setattr(_base._registry, "_known", _base._registry.all())

    @register_method
    @dataclasses.dataclass(frozen=True)
    class Length(Method):
        """Number of tokens."""

        name = "length"
        title = "Length"
        source = "none"

        def needs(self) -> tuple:
            return ()

        def score(self, evidence: Evidence) -> float:
            return float(len(evidence.answer.token_ids))

    (method,) = build_methods("length", {})
    assert method.score(evidence()) == 2
    assert "length" not in names("all+default+cheap+sampling_free+sampling")
    with pytest.raises(UQHarnessError, match="method length joins the set 'chaep': the sets are default, cheap, "):
        register_method(dataclasses.dataclass(frozen=True)(type("Length", (Length,), {"sets": frozenset({"chaep"})})))
    with pytest.raises(UQHarnessError, match="two methods are named 'length'"):
        register_method(dataclasses.dataclass(frozen=True)(type("Other", (Length,), {"name": "length"})))


@requires_shared
def test_the_prompt_of_p_true_is_the_golden_one() -> None:
    golden = json.loads((SHARED / "golden" / "p_true.json").read_text())
    assert prompt_block("Q?", "A.") == golden["block"].format(question="Q?", answer="A.")
    expected = "".join(
        golden["demonstration"].format(block=golden["block"].format(**row), label=row["label"])
        for row in golden["demonstrations"]
    )
    assert expected == FEW_SHOT
    assert VERDICT.continuation == golden["read"]


def test_hybridgrad_is_the_functions_value() -> None:
    (hybrid,) = build_methods("hybridgrad", {})
    expected = functional.hybridgrad(semgrad=0.2, paragrad=0.02, mean_entropy=0.75)
    assert hybrid.score(evidence()) == pytest.approx(expected)


def test_the_tied_matrix_is_another_need_of_all_three() -> None:
    tied = build_methods("exgrad+paragrad+hybridgrad", {"head_gradient": "tied"})
    assert [{need for need in method.needs() if isinstance(need, HeadGradient)} for method in tied] == [
        {HeadGradient(False, tied=True)},
        {HeadGradient(True, tied=True)},
        {HeadGradient(True, tied=True)},
    ]
    with pytest.raises(UQHarnessError, match="head_gradient='both' is not allowed: use head or tied"):
        build_methods("exgrad", {"head_gradient": "both"})
    with pytest.raises(UQHarnessError, match="head_gradient would do nothing"):
        build_methods("semgrad", {"head_gradient": "tied"})


class TestOtherPackages:
    @pytest.fixture(autouse=True)
    def _own_registry(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from uq_harness.methods import base

        monkeypatch.setattr(base, "_registry", Registry("method", "uq_harness.methods", Method))

    def test_a_method_joins_the_sets_that_it_names_and_not_those_of_its_base(self) -> None:
        assert DistributionMethod.sets

        @register_method
        @dataclasses.dataclass(frozen=True)
        class Inherits(DistributionMethod):
            name = "inherits"

        @register_method
        @dataclasses.dataclass(frozen=True)
        class Asks(SamplesMethod):
            name, sets = "asks", frozenset({"sampling", "all"})

        assert Inherits.sets == frozenset()
        assert Asks.sets == {"sampling", "all"}
        assert names("sampling") == ["asks"]
        assert names("asks+default+cheap+sampling_free") == ["asks"]

    @pytest.mark.parametrize("default", [True, False])
    def test_default_of_earlier_releases_is_not_ignored_without_a_word(
        self, default: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        methods = {"name": "old", "default": default, "needs": GNLL.needs, "score": GNLL.score, "__module__": "old"}
        register_method(dataclasses.dataclass(frozen=True)(type("Old", (Method,), methods)))
        assert ("method old (old) says default = True, which does nothing" in caplog.text) == default


def test_the_public_base_shares_its_samples_with_the_packages_methods() -> None:
    (ours,) = build_methods("ln_pe", {"entropy_samples": 4})
    assert SamplesMethod.sampling
    assert ours.samples == type("Mine", (SamplesMethod,), {"needs": None, "score": None})(entropy_samples=4).samples
