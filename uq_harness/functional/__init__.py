"""Uncertainty scores and their quality as pure functions of arrays (NumPy, float64): no model, no torch.

They work on any saved samples. Every score is oriented so that higher = more uncertain, logarithms are natural,
and what cannot be scored is ``nan`` and never an error; wrong shapes and impossible values raise `UQHarnessError`.

Scores of one answer or of samples:

- token log-probabilities alone: `g_nll`, `perplexity`, `max_token_nll`; of samples `ln_pe`, `predictive_entropy`,
  `monte_carlo_probability`
- entropies of next-token distributions: `mean_token_entropy`, `max_token_entropy`
- agreement between samples: `self_consistency`, `degree`; with contradiction `luq`, `num_semantic_sets`,
  `noncontradiction`, `answer_entailment`
- the graph of samples: `eigenvalue_laplacian`, `eccentricity`, `kernel_language_entropy`
- texts alone: `lexical_similarity`, `exact_match`, and `word_overlap` as a graph's weights
- whole distributions of tokens: `self_certainty`, `probability_margin`, `boosted_probability`, `top_k_entropy`,
  `renyi_divergence`, `fisher_rao`
- the likeliest tokens at each of an answer's, and whether they entail or contradict it:
  `claim_conditioned_probability`
- clusters of meaning: `cluster_by_entailment`, then `semantic_entropy`, `discrete_semantic_entropy` or `label_prob`,
  or `semantic_energy` of the tokens' logits; with the graph of samples, and corrected for meanings that no sample
  showed, `semantic_alphabet_size` and `coverage_adjusted_semantic_entropy`
- token log-probabilities with and without the question: `pointwise_mutual_information`, `conditional_pmi`
- what the model replies when asked: `stated_confidence`
- likelihood and meaning together: `semantic_density`, `token_sar`, `sentence_sar`, `sar`
- likelihood of the answer and its likeness to samples: `cocoa`
- hidden states: `eigenscore`
- answers given answers: `merge_by_f1`, then `mutual_information`
- attention weights: `rauq`, `attention_score`, `csl`
- gradients: `hybridgrad`; where to take them: `semantic_preservation_score`

Quality of a score over many answers, given which were correct (1) and which were not (0):

- `auroc` with `auroc_stderr`; `aurc` and `prr` with `bootstrap_stderr`, or for many answers `aurc_stderr` and
  `prr_stderr`; the curve itself: `risk_coverage`; their names and directions: `MEASURES`
- two scores, or one score of two models, on the same questions: `paired_auroc`, `paired_aurc`, `paired_prr`; several
  AUROCs at once: `auroc_covariance`; accuracies: `paired_accuracy`; many such tests together: `holm`; what a test could
  have found: `detectable_difference`
- many scores or models against each other: `pairwise_differences`, and the places that they have: `rank_intervals`

Decisions from a score:

- the score from which on to abstain, for an error rate that holds with confidence: `control_risk`, and
  what it tries: `tried_thresholds`
- the probability that an answer is wrong: `error_curve`, and whether it can be believed: `reliability`,
  `calibration_error`

>>> from uq_harness.functional import cluster_by_entailment, semantic_entropy
>>> clusters = cluster_by_entailment([[2, 2, 0], [2, 2, 0], [0, 0, 2]])
>>> round(semantic_entropy([[-0.1, -0.2], [-0.3], [-1.2]], clusters), 3)
0.437
"""

from uq_harness.functional._agreement import degree, self_consistency
from uq_harness.functional._alphabet import coverage_adjusted_semantic_entropy, semantic_alphabet_size
from uq_harness.functional._arrays import FloatArray
from uq_harness.functional._attention import attention_score, csl, rauq, rauq_tokens
from uq_harness.functional._bootstrap import BootstrapErrors, bootstrap_stderr
from uq_harness.functional._claims import claim_conditioned_probability
from uq_harness.functional._clusters import (
    cluster_by_entailment,
    discrete_semantic_entropy,
    label_prob,
    semantic_entropy,
)
from uq_harness.functional._cocoa import cocoa
from uq_harness.functional._comparison import (
    AccuracyDifference,
    AurocDifference,
    QualityDifference,
    auroc_covariance,
    detectable_difference,
    holm,
    paired_accuracy,
    paired_aurc,
    paired_auroc,
    paired_prr,
)
from uq_harness.functional._contradiction import answer_entailment, luq, noncontradiction, num_semantic_sets
from uq_harness.functional._density import semantic_density
from uq_harness.functional._distribution import (
    boosted_probability,
    fisher_rao,
    probability_margin,
    renyi_divergence,
    self_certainty,
    top_k_entropy,
)
from uq_harness.functional._eigenscore import eigenscore
from uq_harness.functional._energy import semantic_energy
from uq_harness.functional._entropies import max_token_entropy, mean_token_entropy
from uq_harness.functional._error_curve import (
    ErrorCurve,
    ReliabilityBin,
    calibration_error,
    error_curve,
    reliability,
)
from uq_harness.functional._gradients import hybridgrad, semantic_preservation_score
from uq_harness.functional._graph import eccentricity, eigenvalue_laplacian, kernel_language_entropy
from uq_harness.functional._information import MergedAnswers, merge_by_f1, mutual_information
from uq_harness.functional._likelihood import (
    g_nll,
    ln_pe,
    max_token_nll,
    monte_carlo_probability,
    perplexity,
    predictive_entropy,
)
from uq_harness.functional._pointwise import conditional_pmi, pointwise_mutual_information
from uq_harness.functional._quality import (
    MEASURES,
    aurc,
    aurc_stderr,
    auroc,
    auroc_stderr,
    prr,
    prr_stderr,
    risk_coverage,
)
from uq_harness.functional._ranks import Answers, PairwiseDifferences, pairwise_differences, rank_intervals
from uq_harness.functional._relevance import sar, sentence_sar, token_sar
from uq_harness.functional._risk_control import RiskThreshold, TriedThreshold, control_risk, tried_thresholds
from uq_harness.functional._stated import stated_confidence
from uq_harness.functional._words import exact_match, lexical_similarity, word_overlap

__all__ = [
    "MEASURES",
    "AccuracyDifference",
    "Answers",
    "AurocDifference",
    "BootstrapErrors",
    "ErrorCurve",
    "FloatArray",
    "MergedAnswers",
    "PairwiseDifferences",
    "QualityDifference",
    "ReliabilityBin",
    "RiskThreshold",
    "TriedThreshold",
    "answer_entailment",
    "attention_score",
    "aurc",
    "aurc_stderr",
    "auroc",
    "auroc_covariance",
    "auroc_stderr",
    "boosted_probability",
    "bootstrap_stderr",
    "calibration_error",
    "claim_conditioned_probability",
    "cluster_by_entailment",
    "cocoa",
    "conditional_pmi",
    "control_risk",
    "coverage_adjusted_semantic_entropy",
    "csl",
    "degree",
    "detectable_difference",
    "discrete_semantic_entropy",
    "eccentricity",
    "eigenscore",
    "eigenvalue_laplacian",
    "error_curve",
    "exact_match",
    "fisher_rao",
    "g_nll",
    "holm",
    "hybridgrad",
    "kernel_language_entropy",
    "label_prob",
    "lexical_similarity",
    "ln_pe",
    "luq",
    "max_token_entropy",
    "max_token_nll",
    "mean_token_entropy",
    "merge_by_f1",
    "monte_carlo_probability",
    "mutual_information",
    "noncontradiction",
    "num_semantic_sets",
    "paired_accuracy",
    "paired_aurc",
    "paired_auroc",
    "paired_prr",
    "pairwise_differences",
    "perplexity",
    "pointwise_mutual_information",
    "predictive_entropy",
    "probability_margin",
    "prr",
    "prr_stderr",
    "rank_intervals",
    "rauq",
    "rauq_tokens",
    "reliability",
    "renyi_divergence",
    "risk_coverage",
    "sar",
    "self_certainty",
    "self_consistency",
    "semantic_alphabet_size",
    "semantic_density",
    "semantic_energy",
    "semantic_entropy",
    "semantic_preservation_score",
    "sentence_sar",
    "stated_confidence",
    "token_sar",
    "top_k_entropy",
    "tried_thresholds",
    "word_overlap",
]
