"""Methods that were asked for by name must work; sets shrink to what a backend can serve, and say so."""

import logging
from typing import Any

import pytest

from tests.backends.test_what_engines_serve import group
from tests.support import warnings_of
from uq_harness.answering.choose import choose_methods
from uq_harness.backends.served.abilities import missing
from uq_harness.backends.served.engine import Ability
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import Need, Samples, sample_sets
from uq_harness.evidence.backend import first_missing
from uq_harness.methods import all_methods

GRADIENTS = {"exgrad", "paragrad", "semgrad", "hybridgrad"}
NO_FORCED = "log-probabilities of given tokens, which llama.cpp does not give: use vLLM"


class Backend:
    """A backend that has what an engine tells."""

    def __init__(self, most_alternatives: int = 20, **lacking: str) -> None:
        self.most_alternatives, self._lacking = most_alternatives, lacking

    def lacks(self, ability: Ability) -> str | None:
        return self._lacking.get(ability.name)

    def missing(self, need: Need[Any]) -> str | None:
        return missing(need, self, 1)  # type: ignore[arg-type]


def names(methods: Any, backend: Backend, options: dict[str, Any] | None = None) -> set[str]:
    chosen = choose_methods(methods, options or {}, backend)  # type: ignore[arg-type]
    chosen.warn()
    return {one.name for one in chosen.methods}


def test_a_set_shrinks_and_one_line_says_what_was_left_out_and_why(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = names("all", Backend())
    assert found == {name for name, one in all_methods().items() if first_missing(Backend(), one().needs()) is None}
    assert not found & {*GRADIENTS, "eigenscore"}
    (line,) = [one.getMessage() for one in caplog.records]
    assert line.count("gradients, which an engine does not give") == 1
    assert all(name in line for name in [*GRADIENTS, "eigenscore", "uq-harness score", "methods=all"])


def test_default_is_what_an_engine_is_good_at(caplog: pytest.LogCaptureFixture) -> None:
    assert names("default", Backend()) == {"g_nll", "p_true"}
    assert names("default+ln_pe", Backend()) == {"g_nll", "p_true", "ln_pe"}
    assert not warnings_of(caplog)
    assert names("default", Backend(FORCED=NO_FORCED)) == {"g_nll"}
    assert NO_FORCED in caplog.text


def test_a_method_that_was_named_must_work() -> None:
    with pytest.raises(UQHarnessError, match=r"semgrad cannot be computed: gradients.*add it afterwards.*g_nll"):
        choose_methods("g_nll+semgrad", {}, Backend())  # type: ignore[arg-type]
    with pytest.raises(UQHarnessError, match=r"^mutual_information cannot be computed: log-prob.*use vLLM; without"):
        choose_methods(["sampling", "mutual_information"], {}, Backend(FORCED=NO_FORCED))  # type: ignore[arg-type]


def test_nothing_left_is_an_error() -> None:
    nothing = Backend(LOGPROBS="none told", FORCED=NO_FORCED)
    with pytest.raises(UQHarnessError, match="g_nll, p_true cannot be computed: none told, and log-prob"):
        names("default", nothing)


def test_options_of_what_a_set_left_out_are_allowed_and_others_are_not() -> None:
    backend = Backend(FORCED=NO_FORCED)
    assert "mutual_information" not in names("sampling", backend, {"mi_samples": 5})
    with pytest.raises(UQHarnessError, match="mi_samples would do nothing"):
        names("default", backend, {"mi_samples": 5})
    with pytest.raises(UQHarnessError, match="unknown method 'samplign'"):
        names("samplign", backend)


@pytest.mark.parametrize(
    ("lacking", "gone"),
    [
        ({"LOGPROBS": "x"}, {"g_nll", "ln_pe", "semantic_entropy", "sar", "token_sar", "sentence_sar"}),
        ({"OWN_LAW": "x"}, {"mutual_information"}),  # the others' samples are at temperature 1
        ({"FORCED_ALTERNATIVES": "x"}, {"semantic_density"}),
        ({"ALTERNATIVES": "x"}, {"semantic_density"}),
        (
            {"FORCED": "x"},
            {
                *("clustered_self_assessment", "mutual_information", "p_true", "pointwise_mutual_information"),
                "semantic_density",
            },
        ),
        ({"most_alternatives": 10}, {"semantic_density"}),
    ],
)
def test_what_each_ability_is_needed_for(lacking: dict[str, Any], gone: set[str]) -> None:
    everything = names("all", Backend())
    left = names("all", Backend(**lacking))
    assert gone <= everything - left
    if "LOGPROBS" not in lacking:
        assert {name for name in everything - left if group(all_methods()[name]()) is not None} == gone
    assert left >= {"self_consistency", "degree", "discrete_semantic_entropy"}


def test_without_seeds_nothing_is_sampled() -> None:
    drawn = {
        name for name, one in all_methods().items() if any(isinstance(s, Samples) for s in sample_sets(one().needs()))
    }
    left = names("all", Backend(SEEDS="x"))
    assert left >= {"g_nll", "p_true", "semantic_density"}
    assert left == names("all", Backend()) - drawn


def test_the_law_of_the_draw_is_told_where_it_is_the_models_own() -> None:
    assert "ln_pe" in names("all", Backend(), {"sample_logprobs": "sampled"})
    cut = {"sample_logprobs": "sampled", "entropy_top_p": 0.9}
    with pytest.raises(UQHarnessError, match="use sample_logprobs=model"):
        names("ln_pe", Backend(), cut)
    with pytest.raises(UQHarnessError, match="use 1 at most"):
        names("semantic_density", Backend(), {"density_temperature": 2})
