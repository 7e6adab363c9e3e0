"""What scores do with nothing, with the undefined, with one sample, and with wrong arguments."""

import math

import numpy as np
import pytest

from uq_harness import functional as f
from uq_harness.errors import UQHarnessError


@pytest.mark.parametrize(
    "score",
    [
        lambda: f.g_nll([]),
        lambda: f.ln_pe([]),
        lambda: f.ln_pe([[-1.0], []]),
        lambda: f.self_consistency([]),
        lambda: f.self_consistency([0.9, math.nan]),
        lambda: f.degree([]),
        lambda: f.degree([[1.0, math.nan], [0.5, 1.0]]),
        lambda: f.eigenscore([]),
        lambda: f.eigenscore([[1.0, math.nan]]),
        lambda: f.semantic_entropy([], []),
        lambda: f.semantic_entropy([[-1.0], []], [0, 1]),
        lambda: f.semantic_entropy([[-math.inf]], [0]),
        lambda: f.discrete_semantic_entropy([]),
        lambda: f.semantic_density([], [], []),
        lambda: f.semantic_density(["a", "b"], [-1.0, math.nan], [0.1, 0.1]),
        lambda: f.token_sar([], []),
        lambda: f.token_sar([[]], [[]]),
        lambda: f.sentence_sar([], []),
        lambda: f.sentence_sar([[]], [[1.0]]),
        lambda: f.sar([], [], []),
        lambda: f.mutual_information([], []),
        lambda: f.mutual_information([0.5, 0.5], [[0.0, 0.0], [0.5, 0.5]]),
        lambda: f.hybridgrad(math.nan, 1.0, 1.0),
        lambda: f.semantic_preservation_score([[[0.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]]),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_cannot_be_scored_is_nan(score):
    assert math.isnan(score())


def test_nothing_to_group_is_no_group():
    assert f.cluster_by_entailment([]).shape == (0,)
    answers, shares = f.merge_by_f1([], [])
    assert answers == []
    assert shares.shape == (0,)


@pytest.mark.filterwarnings("error")
def test_one_sample_has_a_score():
    assert f.ln_pe([[-1.0, -2.0]]) == 1.5
    assert f.degree([[1.0]]) == 0
    assert f.cluster_by_entailment([[2]]).tolist() == [0]
    assert f.semantic_entropy([[-1.0]], [0]) == 0
    assert f.discrete_semantic_entropy([3]) == 0
    assert f.semantic_density(["a"], [-1.0], [0.25]) == 0.25
    assert f.token_sar([[-1.0]], [[0.5]]) == f.sar([[-1.0]], [[0.5]], [[1.0]]) == f.sentence_sar([[-1.0]], [[1.0]]) == 1
    assert f.eigenscore([[1.0, -1.0]], alpha=1.0) == pytest.approx(math.log(3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: f.g_nll([0.4, 0.9]), "token_logprobs holds 0.4, but a log-probability is at most 0"),
        (lambda: f.g_nll([[-1.0]]), r"token_logprobs has shape \(1, 1\)"),
        (lambda: f.ln_pe([-1.0, -2.0]), r"token_logprobs\[0\] has shape \(\)"),
        (lambda: f.self_consistency([1.5]), "entailment holds 1.5, but must be between 0 and 1"),
        (lambda: f.degree([[1.0, 0.5]]), r"similarity has shape \(1, 2\), but must be square"),
        (lambda: f.cluster_by_entailment([[3]]), "labels hold 3"),
        (lambda: f.cluster_by_entailment([[0.5]]), "labels holds 0.5, but must hold whole numbers"),
        (lambda: f.semantic_entropy([[-1.0]], [0, 1]), "token_logprobs has 1, cluster_ids has 2"),
        (lambda: f.semantic_density(["a"], [-1.0, -2.0], [0.5]), "texts has 1, mean_logprobs has 2, distances has 1"),
        (lambda: f.token_sar([[-1.0, -2.0]], [[0.5]]), "sample 0 has 2 token log-probabilities but 1 relevances"),
        (lambda: f.token_sar([[-1.0]], []), "token_logprobs has 1, token_importance has 0"),
        (lambda: f.sentence_sar([[-1.0]], np.eye(2)), "similarity has shape .* but must be 1 by 1"),
        (lambda: f.sentence_sar([[-1.0]], [[1.0]], temperature=0), "temperature is 0, but must be above 0"),
        (lambda: f.eigenscore([[1.0]]), "1 feature"),
        (lambda: f.eigenscore([[1.0, 2.0]], alpha=-1.0), "alpha is -1.0"),
        (lambda: f.merge_by_f1(["a"], []), "texts has 1, sequence_logprobs has 0"),
        (lambda: f.mutual_information([0.5, 0.5], [[1.0]]), "second_given_first has shape .* but must be 2 by 2"),
        (lambda: f.mutual_information([-0.5], [[1.0]]), "hold -0.5, but likelihoods are 0 or more"),
        (lambda: f.hybridgrad(1.0, 1.0, -0.1), "mean_entropy is -0.1"),
        (lambda: f.semantic_preservation_score([np.eye(2)]), "1 query"),
        (lambda: f.semantic_preservation_score([np.eye(2), np.eye(2)[:1]]), r"embeddings\[1\] has 1 row"),
        (lambda: f.semantic_preservation_score([np.eye(2), np.eye(3)]), r"embeddings\[1\] has 3 features"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(UQHarnessError, match=message):
        call()
