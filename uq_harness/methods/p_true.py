"""P(True): how sure the model is, when asked, that its answer is true."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from uq_harness.evidence import ContinuationLogProb, Evidence, Need, Samples
from uq_harness.methods.base import Method, register_method
from uq_harness.methods.options import flag, whole
from uq_harness.methods.sets import SAMPLING_FREE

# Questions, proposed answers and verdicts of the few-shot prompt of Kadavath et al. 2022, as used by the paper.
_DEMONSTRATIONS = (
    ("Who was the third president of the United States?", "James Monroe", False),
    ("Calculate 33 + 4", "37", True),
    (
        "Fill in the blank in the sentence 'I went to the grocery and then to the pharmacy. I was disappointed that "
        "they didn't have any vegetarian sausage at the _____.'",
        "grocery",
        True,
    ),
    ("Name a celebrated civil rights leader.", "Martin Luther King", True),
    ("Calculate 33 * 849", "28347", False),
    (
        "Fill in the blank in the sentence 'I shot the _____ and it went swish. We walked away the winners of that "
        "battle!'",
        "gun",
        False,
    ),
)


# What stands behind a proposed answer, up to the model's verdict.
CHOICES = "\nIs the possible answer:\nA) True\nB) False\nThe possible answer is:"


def prompt_block(question: str, answer: str) -> str:
    """The question, the proposed answer and the two choices, up to the model's verdict."""
    return f"Question: {question}\nPossible answer: {answer}{CHOICES}"


def with_ideas(question: str, ideas: Sequence[str]) -> str:
    """The question with sampled answers behind it, one a line."""
    return f"{question}\nHere are some brainstormed ideas: " + "\n".join(ideas)


FEW_SHOT = "".join(f"{prompt_block(question, answer)} {label}\n\n" for question, answer, label in _DEMONSTRATIONS)
VERDICT = ContinuationLogProb(prefix=FEW_SHOT, prompt=prompt_block, continuation=" True")
# The score of a verdict with probability 0: above all others, and still a number, which JSON needs.
IMPOSSIBLE = float(np.finfo(np.float32).max)


@register_method
@dataclass(frozen=True)
class PTrue(Method):
    """``-log p(" True")`` after six demonstrations, the question and the greedy answer; raw text, no chat template."""

    name: ClassVar[str] = "p_true"
    title: ClassVar[str] = "P(True)"
    source: ClassVar[str] = "Kadavath et al. 2022, arXiv 2207.05221"
    cost: ClassVar[str] = "a forward pass over question and answer"
    sets: ClassVar[frozenset[str]] = SAMPLING_FREE

    p_true_demonstrations: bool = flag(
        True, meaning="whether six questions with answers and verdicts stand before the question of p_true"
    )
    p_true_normalised: bool = flag(
        False, meaning="whether p_true takes the probability of true as a share of that of true and false"
    )

    p_true_ideas: int = whole(
        0, meaning="number of samples that p_true lists as brainstormed ideas behind the question", at_least=0
    )

    def needs(self) -> tuple[Need[Any], ...]:
        """The log-probability of the verdict, and that of the other one where it counts."""
        return (self._verdict(" True"), *([self._verdict(" False")] if self.p_true_normalised else []))

    def score(self, evidence: Evidence) -> float:
        """Negative log-probability of the verdict, in nats; `IMPOSSIBLE` where that is infinite."""
        true, *false = (evidence[need] for need in self.needs())
        with np.errstate(invalid="ignore"):  # of two impossible verdicts
            return min(float(np.logaddexp(0.0, false[0] - true)) if false else -true, IMPOSSIBLE)

    def _verdict(self, verdict: str) -> ContinuationLogProb:
        need = replace(VERDICT, prefix=FEW_SHOT if self.p_true_demonstrations else "", continuation=verdict)
        return replace(need, samples=Samples(self.p_true_ideas, 1.0), listed=with_ideas) if self.p_true_ideas else need
