"""M.I.: how far being told one answer moves the model towards another."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from uq_harness import functional
from uq_harness.evidence import AnswersGivenAnswers, Evidence, Need, Samples
from uq_harness.methods.base import register_method
from uq_harness.methods.options import compared, likeliest, mass, not_negative, positive, probability, whole
from uq_harness.methods.samples import LikelihoodMethod
from uq_harness.methods.sets import SAMPLING

_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", "।")
_CLOSING = "\"')]»”’」』"


def stating_prompt(question: str, answer: str, message: str) -> str:
    """The user's message that states an answer before it asks what the task asks.

    An answer that is a sentence keeps its own last mark, and gets no second full stop.

    >>> print(stating_prompt("Who wrote Emma?", "Jane Austen", "Please answer: Who wrote Emma?"))
    Consider the following question: Q: Who wrote Emma?
    One answer to question Q is Jane Austen.
    Please answer: Who wrote Emma?
    """
    stated = answer.rstrip()
    stop = "" if stated.rstrip(_CLOSING).endswith(_SENTENCE_ENDS) else "."
    return f"Consider the following question: Q: {question}\nOne answer to question Q is {stated}{stop}\n{message}"


@register_method
@dataclass(frozen=True)
class MutualInformation(LikelihoodMethod):
    """``Σ_ab μ1(a) μ2(b|a) log[(μ1(a) μ2(b|a) + γ1) / (μ1(a) Σ_c μ1(c) μ2(b|c) + γ2)]`` over distinct answers.

    ``μ1`` are the answers' probabilities among the sampled ones, ``μ2(b|a)`` those after a prompt that states ``a``.
    """

    name: ClassVar[str] = "mutual_information"
    title: ClassVar[str] = "M.I."
    source: ClassVar[str] = "Abbasi-Yadkori et al. 2024, arXiv 2406.02543"
    cost: ClassVar[str] = "10 samples, a pass over each two distinct ones"
    sets: ClassVar[frozenset[str]] = SAMPLING
    sampling: ClassVar[bool] = True

    mi_samples: int = whole(10, meaning="number of samples")
    mi_temperature: float = positive(0.9, meaning="temperature of the samples")
    mi_top_p: float = mass(1.0, meaning="mass of the likeliest tokens that are drawn from")
    mi_top_k: int = likeliest(0, meaning="number of the likeliest tokens drawn from, 0 for all")
    mi_threshold: float = probability(0.25, meaning="token F1 above which two answers count as one")
    mi_answers: int = compared(meaning="number of the likeliest distinct answers that are compared, 0 for all")
    mi_gamma1: float = not_negative(0.0, meaning="what is added to the joint probability of two answers")
    mi_gamma2: float = not_negative(0.0, meaning="what is added to the product of their probabilities")

    def needs(self) -> tuple[Need[Any], ...]:
        """The samples, and the likelihood of each distinct one after each other one."""
        return (self._conditionals, *self.likelihoods())

    def score(self, evidence: Evidence) -> float:
        """Nats, 0 for one distinct answer; ``nan`` where a likelihood is undefined."""
        from scipy.special import softmax

        found = evidence[self._conditionals]
        if not len(found.answers) or np.isnan(found.probabilities).any():
            return float("nan")
        # Without a token to score, an answer's likelihood is 1 whatever has been stated, and would hide all others.
        written = [position for position, answer in enumerate(found.answers) if answer.strip()]
        if len(written) < 2:
            return 0.0
        with np.errstate(invalid="ignore"):  # a row of impossible answers becomes nan
            second = softmax(found.logprobs[np.ix_(written, written)], axis=1)
        return functional.mutual_information(found.probabilities[written], second, self.mi_gamma1, self.mi_gamma2)

    @property
    def samples(self) -> Samples:
        """The set."""
        return Samples(self.mi_samples, self.mi_temperature, self.mi_top_p, self.mi_top_k)

    @property
    def _conditionals(self) -> AnswersGivenAnswers:
        most = self.mi_answers or None
        return AnswersGivenAnswers(self.samples, self.mi_threshold, stating_prompt, self.sampled, most)
