"""How sampling-based methods read evidence, and what they do where it is odd."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.sampled import both_ways, conditionals, nli, same_cluster, samples, score
from uq_harness.errors import UQHarnessError
from uq_harness.functional import mutual_information
from uq_harness.methods.mutual_information import stating_prompt

LOG2 = math.log(2)
LONG = [-9.0] * 150  # e^-1350
READS = {
    "degree": {"entailment"},
    "discrete_semantic_entropy": {"entailment"},
    "eigenscore": {"states"},
    "ln_pe": {"samples (log-probabilities)"},
    "mutual_information": {"conditionals (first)", "conditionals (second)"},
    "sar": {"samples (log-probabilities)", "similarity", "relevance"},
    "self_consistency": {"entailment"},
    "semantic_density": {"entailment", "rescored"},
    "semantic_entropy": {"samples (log-probabilities)", "entailment"},
    "sentence_sar": {"samples (log-probabilities)", "similarity"},
    "token_sar": {"samples (log-probabilities)", "relevance"},
}
SAMPLING = tuple(READS)
ON_ANSWER = ("self_consistency", "semantic_density")
pytestmark = pytest.mark.filterwarnings("error")


def found(name: str, logprobs: list[Any], texts: list[str] | None = None) -> dict[str, Any]:
    """Evidence of samples that all say the same."""
    n = len(logprobs)
    return {
        "samples": samples(logprobs, texts),
        "states": np.array([[0.0, 1.0, 2.0]] * n),
        "entailment": nli(np.ones((n, 2 if name in ON_ANSWER else n))),
        "similarity": np.ones((n, n)),
        "relevance": tuple(np.full(len(tokens), 0.5) for tokens in logprobs),
        "rescored": np.array([sum(tokens) / max(len(tokens), 1) for tokens in logprobs]),
        "conditionals": conditionals([1.0] if n else [], np.zeros((1, 1)) if n else np.zeros((0, 0))),
    }


class TestReadingEvidence:
    def test_labels_are_the_likeliest_of_entailment_neutral_contradiction(self) -> None:
        one_way = nli([[1.0, 0.5], [0.1, 1.0]], [[0.0, 0.3], [0.5, 0.0]])  # entailment there, neutral back
        assert score("discrete_semantic_entropy", entailment=one_way) == 0
        assert score("discrete_semantic_entropy", {"entailment": "strict"}, entailment=one_way) == pytest.approx(LOG2)
        contradicted = nli([[1.0, 0.5], [0.1, 1.0]], [[0.0, 0.3], [0.4, 0.0]])
        assert score("discrete_semantic_entropy", entailment=contradicted) == pytest.approx(LOG2)

    def test_semantic_entropy_weighs_by_mean_log_probability(self) -> None:
        drawn = samples([[-2.0, -2.0], [-2.0 + math.log(3)]])
        expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
        assert score("semantic_entropy", samples=drawn, entailment=same_cluster([0, 1])) == pytest.approx(expected)

    def test_degree_takes_the_mean_of_both_directions_and_one_on_the_diagonal(self) -> None:
        assert score("degree", entailment=nli([[0.1, 0.8], [0.4, 0.2]])) == pytest.approx(1 - (2 + 2 * 0.6) / 4)

    def test_degree_leaves_the_evidence_alone(self) -> None:
        shared = nli([[0.1, 0.8], [0.4, 0.2]])
        before = shared.copy()
        score("degree", entailment=shared)
        assert (shared == before).all()

    def test_self_consistency_takes_the_mean_of_both_directions(self) -> None:
        pairs = nli([[0.9, 0.2], [0.4, 0.5], [0.5, 0.5], [0.1, 0.95]])
        assert score("self_consistency", entailment=pairs) == pytest.approx(0.5)
        assert score("self_consistency", {"consistency_threshold": 0.54}, entailment=pairs) == pytest.approx(0.75)

    def test_semantic_density_counts_neutral_half(self) -> None:
        pairs = nli([[0.5, 0.3], [1.0, 1.0]], [[0.4, 0.2], [0.0, 0.0]])  # distances 0.3 and 0.6, mean 0.45; and 0
        drawn = samples(texts=["Rome", "Paris"])
        value = score("semantic_density", samples=drawn, entailment=pairs, rescored=np.array([-1.0, -1.0 + LOG2]))
        assert value == pytest.approx(0.45 / 3)

    @pytest.mark.parametrize(
        ("answer", "stated"),
        [
            ("Paris", "Paris."),
            ("Amino acids.", "Amino acids."),
            ("It is in Paris.\n", "It is in Paris."),
            ("Stop!", "Stop!"),
            ('They say "no."', 'They say "no."'),
            ("北京。", "北京。"),
        ],
    )
    def test_the_prompt_of_mutual_information_ends_a_stated_answer_once(self, answer: str, stated: str) -> None:
        assert f"\nOne answer to question Q is {stated}\nWhere?" in stating_prompt("Where?", answer, "Where?")

    def test_mutual_information_normalises_each_row(self) -> None:
        shift = np.array([[-3000.0], [5.0]])
        log_likelihoods = np.log([[0.9, 0.1], [0.2, 0.8]]) + shift
        expected = mutual_information([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
        assert score("mutual_information", conditionals=conditionals([0.5, 0.5], log_likelihoods)) == pytest.approx(
            expected
        )

    @given(
        st.lists(st.floats(0.01, 1), min_size=3, max_size=3),
        st.lists(st.floats(0.01, 1), min_size=9, max_size=9),
        st.floats(0, 1),
        st.floats(0, 1),
    )
    def test_gammas_enter_the_ratio_as_in_the_paper(
        self, prior: list[float], rows: list[float], gamma1: float, gamma2: float
    ) -> None:
        first = np.array(prior) / sum(prior)
        second = np.array(rows).reshape(3, 3)
        second /= second.sum(axis=1, keepdims=True)
        expected = 0.0
        for a in range(3):
            for b in range(3):
                joint = first[a] * second[a, b]
                product = first[a] * sum(first[c] * second[c, b] for c in range(3))
                expected += joint * math.log((joint + gamma1) / (product + gamma2))
        options = {"mi_gamma1": gamma1, "mi_gamma2": gamma2}
        value = score("mutual_information", options, conditionals=conditionals(first, np.log(second)))
        assert value == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("gammas", [{"gamma1": -0.1}, {"gamma2": math.nan}])
    def test_gammas_below_zero_are_refused(self, gammas: dict[str, float]) -> None:
        with pytest.raises(UQHarnessError, match=r"gamma. is .*, but must be 0 or more"):
            mutual_information([1.0], [[1.0]], **gammas)

    def test_options_of_the_formula_count(self) -> None:
        drawn = samples([[-1.0], [-2.0]])
        apart = {"samples": drawn, "similarity": np.full((2, 2), 0.5)}
        close = score("sentence_sar", {"sar_shift_temperature": 0.5}, **apart)
        expected = np.mean([-math.log(math.exp(-1) + math.exp(-2)), -math.log(math.exp(-2) + math.exp(-1))])
        assert close == pytest.approx(expected)
        alike = np.array([[0.0, 1.0, 2.0]] * 4)
        for alpha in (1e-3, 1e-1):
            value = score("eigenscore", {"eigenscore_alpha": alpha}, states=alike)
            assert value == pytest.approx((3 * math.log(alpha) + math.log(4 + alpha)) / 4)


class TestUndefined:
    @pytest.mark.parametrize("name", SAMPLING)
    def test_without_samples(self, name: str) -> None:
        assert math.isnan(score(name, **found(name, [])))

    @pytest.mark.parametrize("name", SAMPLING)
    def test_nan_never_becomes_a_score(self, name: str) -> None:
        sound = found(name, [[-1.0, -2.0], [-3.0], [-0.5]], ["a", "b", "c"])
        sound["conditionals"] = conditionals([0.5, 0.3, 0.2], np.log(np.full((3, 3), 0.5)))
        assert math.isfinite(score(name, **sound))
        for kind, value in _with_nan(sound).items():
            changed = score(name, **{**sound, kind.split()[0]: value})
            assert math.isnan(changed) if kind in READS[name] else changed == score(name, **sound), kind

    @pytest.mark.parametrize("name", ["semantic_entropy", "discrete_semantic_entropy"])
    def test_the_pair_of_a_sample_with_itself_is_not_read(self, name: str) -> None:
        sound = found(name, [[-1.0], [-2.0]])
        sound["entailment"][[0, 1], [0, 1]] = np.nan
        assert score(name, **sound) == 0

    @pytest.mark.parametrize("name", ["ln_pe", "semantic_entropy", "sar", "token_sar", "sentence_sar"])
    def test_a_sample_without_tokens_has_no_likelihood(self, name: str) -> None:
        assert math.isnan(score(name, **found(name, [[-1.0], []])))

    def test_all_answers_impossible(self) -> None:
        assert math.isnan(
            score("semantic_density", **{**found("semantic_density", [[-1.0]]), "rescored": np.array([-np.inf])})
        )
        rows = np.full((2, 2), -np.inf)
        assert math.isnan(score("mutual_information", conditionals=conditionals([0.5, 0.5], rows)))
        assert math.isnan(score("mutual_information", conditionals=conditionals([np.nan], [[0.0]])))


def _with_nan(sound: dict[str, Any]) -> dict[str, Any]:
    """Each kind of evidence with one number gone."""
    entailment, similarity, rescored = (sound[kind].copy() for kind in ("entailment", "similarity", "rescored"))
    entailment[1, 0, 2] = entailment[1, 0, 0] = np.nan
    similarity[0, 1] = np.nan
    rescored[1] = np.nan
    relevance = (np.array([np.nan, 0.5]), *sound["relevance"][1:])
    rows = sound["conditionals"].logprobs.copy()
    rows[1, 0] = np.nan
    texts, logprobs = ["a", "b", "c"], [sample.logprobs for sample in sound["samples"]]
    states = sound["states"].copy()
    states[0, 1] = np.nan
    return {
        "samples (log-probabilities)": samples([[-1.0, np.nan], *logprobs[1:]], texts),
        "states": states,
        "entailment": entailment,
        "similarity": similarity,
        "rescored": rescored,
        "relevance": relevance,
        "conditionals (first)": conditionals([0.5, np.nan, 0.2], sound["conditionals"].logprobs),
        "conditionals (second)": conditionals([0.5, 0.3, 0.2], rows),
    }


class TestTraps:
    @pytest.mark.parametrize("name", SAMPLING)
    def test_blank_samples(self, name: str) -> None:
        """Only the end token was drawn; it has no relevance, and the text has no token to score again."""
        blank = found(name, [[-2.0], [-1.0]], ["", "Paris"])
        blank["relevance"] = (np.array([0.0]), np.array([0.5]))
        blank["conditionals"] = conditionals([0.5, 0.5], [[0.0, -3.0], [0.0, -3.0]], ["", "Paris"])
        for unscored in (np.nan, -np.inf, 0.0):
            blank["rescored"] = np.array([unscored, -1.0])
            assert math.isfinite(score(name, **blank))

    def test_a_blank_answer_does_not_hide_that_the_others_move(self) -> None:
        rows = np.log([[1.0, 0.2, 0.2], [1.0, 0.9, 0.1], [1.0, 0.1, 0.9]])  # the empty product is 1
        with_blank = conditionals([0.8, 0.1, 0.1], rows, ["", "Paris", "Rome"])
        without = conditionals([0.5, 0.5], rows[1:, 1:])
        assert score("mutual_information", conditionals=with_blank) == pytest.approx(
            score("mutual_information", conditionals=without)
        )

    def test_a_blank_beam_has_no_weight(self) -> None:
        drawn = samples(texts=[" ", "Rome"])
        for unscored in (np.nan, -np.inf, 0.0):
            rescored = np.array([unscored, -1.0])
            value = score("semantic_density", samples=drawn, rescored=rescored, entailment=nli(both_ways([1.0, 0.25])))
            assert value == pytest.approx(0.75)

    def test_all_beams_blank(self) -> None:
        blank = found("semantic_density", [[-1.0]] * 2, ["", " "])
        assert math.isnan(score("semantic_density", **blank))

    @pytest.mark.parametrize("name", SAMPLING)
    def test_one_token_answers(self, name: str) -> None:
        assert math.isfinite(score(name, **found(name, [[-0.1]] * 5)))

    @pytest.mark.parametrize("name", SAMPLING)
    def test_a_single_sample(self, name: str) -> None:
        assert math.isfinite(score(name, **found(name, [[-0.1, -0.2]])))

    @pytest.mark.parametrize("name", SAMPLING)
    def test_identical_samples_are_the_least_uncertain(self, name: str) -> None:
        same = found(name, [[-0.1, -0.2]] * 5, ["Paris"] * 5)
        value = score(name, **same)
        if name in ("degree", "discrete_semantic_entropy", "semantic_entropy", "self_consistency"):
            assert value == pytest.approx(0)
        elif name in ("mutual_information", "semantic_density"):
            assert value == 0
        elif name == "eigenscore":
            assert value < score(name, states=np.eye(5))
        elif name in ("sar", "sentence_sar"):
            assert value < score(name, **{**same, "similarity": np.eye(5)})
        else:
            assert value == pytest.approx(0.15)

    def test_long_answers_do_not_underflow(self) -> None:
        assert math.exp(sum(LONG)) == 0
        for name in SAMPLING:
            assert math.isfinite(score(name, **found(name, [LONG] * 4)))
        two = {"samples": samples([LONG] * 4), "entailment": same_cluster([0, 0, 1, 1])}
        assert score("semantic_entropy", **two) == pytest.approx(LOG2)
        alone = {"samples": samples([LONG] * 2), "similarity": np.eye(2)}
        assert score("sentence_sar", **alone) == pytest.approx(1350)
        rows = np.array([[-1350.0, -1350.0 - math.log(3)], [-1350.0 - math.log(3), -1350.0]])
        expected = mutual_information([0.5, 0.5], [[0.75, 0.25], [0.25, 0.75]])
        value = score("mutual_information", conditionals=conditionals([0.5, 0.5], rows))
        assert value == pytest.approx(expected)

    @pytest.mark.parametrize("name", ["sar", "token_sar"])
    def test_without_any_relevance_tokens_weigh_the_same(self, name: str) -> None:
        plain = found(name, [[-1.0, -3.0]])
        plain["relevance"] = (np.zeros(2),)
        assert score(name, **plain) == pytest.approx(2)

    def test_duplicate_beams_count_once(self) -> None:
        """Three times 0.6 is more than 1."""
        log_weight = math.log(0.6)
        drawn = samples(texts=["Paris", "Paris", "Paris", "Rome"])
        value = score(
            "semantic_density",
            samples=drawn,
            rescored=np.array([log_weight] * 3 + [log_weight]),
            entailment=nli(both_ways([1.0, 1.0, 1.0, 0.0])),
        )
        assert value == pytest.approx(0.5)

    def test_duplicates_do_not_raise_semantic_entropy_above_its_range(self) -> None:
        sure = {"samples": samples([[-0.01]] * 5), "entailment": same_cluster([0] * 5)}
        assert score("semantic_entropy", **sure) == 0

    def test_one_distinct_answer_has_no_mutual_information(self) -> None:
        for log_likelihood in (0.0, -5000.0, -np.inf, np.nan):
            one = conditionals([1.0], [[log_likelihood]])
            assert score("mutual_information", conditionals=one) == 0

    def test_only_blank_answers_are_one_answer(self) -> None:
        assert score("mutual_information", conditionals=conditionals([1.0], [[0.0]], [""])) == 0

    @given(st.permutations(range(4)))
    def test_the_order_of_samples_does_not_matter_where_it_should_not(self, order: list[int]) -> None:
        rng = np.random.default_rng(0)
        logprobs = [[-1.0], [-2.0, -0.1], [-0.3] * 3, [-4.0]]
        entail = rng.uniform(size=(4, 4))
        similarity = rng.uniform(size=(4, 4))
        states = rng.normal(size=(4, 6))
        for name in ("ln_pe", "degree", "eigenscore", "sentence_sar"):
            values = [
                score(
                    name,
                    samples=samples([logprobs[i] for i in way]),
                    states=states[way],
                    entailment=nli(entail[np.ix_(way, way)]),
                    similarity=similarity[np.ix_(way, way)],
                )
                for way in ([0, 1, 2, 3], list(order))
            ]
            assert values[0] == pytest.approx(values[1])
