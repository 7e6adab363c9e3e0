"""Everything that is worked out from the evidence about one task: the tables, the states, the correlation."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from uq_harness.evaluation.metrics import too_few
from uq_harness.studies.ablation.comparison import (
    BETAS,
    GAMMAS,
    Compared,
    Quality,
    States,
    compare,
    hybridgrad_variants,
    semgrad_variants,
    token_variants,
)
from uq_harness.studies.ablation.evidence import AblationEvidence
from uq_harness.studies.ablation.preservation import Preservation
from uq_harness.studies.sps.result import SpsResult

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choices:
    """What is compared beyond the paper's own variants.

    Attributes:
        spans: Layer spans ``a-b``.
        betas: Temperatures of HybridGrad's weight.
        gammas: Factors on ParaGrad.
    """

    spans: Sequence[str] = ()
    betas: Sequence[float] = BETAS
    gammas: Sequence[float] = GAMMAS


@dataclass(frozen=True)
class Ablation:
    """The ablation of one task.

    Attributes:
        evidence: What it was worked out from: the answers that have a verdict.
        without_verdict: Number of answers that have none, and are left out.
        methods: Quality of the run's own methods.
        semgrad: SemGrad's variants, the default first.
        tokens: SemGrad at each of the prompt's last tokens, after the default.
        hybridgrad: HybridGrad's variants, the default first.
        states: SemGrad at single states.
        preservation: Their relation to the Semantic Preservation Score; ``None`` without one, and where there are too
            few right or wrong answers for it to mean anything.
    """

    evidence: AblationEvidence
    without_verdict: int
    methods: Mapping[str, Quality]
    semgrad: tuple[Compared, ...]
    tokens: tuple[Compared, ...]
    hybridgrad: tuple[Compared, ...]
    states: States
    preservation: Preservation | None = field(default=None)

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return float(self.evidence.correct.mean())

    @property
    def too_few(self) -> str:
        """Which answers are too few for the numbers to mean much; empty where there are enough of both kinds."""
        right = int((self.evidence.correct == 1).sum())
        return too_few(right, len(self.evidence.correct) - right)


def analyse(evidence: AblationEvidence, choices: Choices, sps: SpsResult | None = None) -> Ablation:
    """Scores every variant from the evidence and compares them.

    Raises:
        UQHarnessError: A layer span does not fit the model, the SPS file belongs to another one, or no answer has a
            verdict.
    """
    total, evidence = len(evidence.correct), evidence.judged()
    if len(set(evidence.correct.tolist())) < 2:
        which = "right" if evidence.correct.all() else "wrong"
        log.warning("%s: all %d answers are %s, so no AUROC is defined", evidence.name, len(evidence.correct), which)
    right = int((evidence.correct == 1).sum())
    few = too_few(right, len(evidence.correct) - right)
    if few and 0 < right < len(evidence.correct):
        log.warning(
            "%s: %s of %d: AUROCs mean little; no best state is named and no correlation worked out",
            evidence.name,
            few,
            len(evidence.correct),
        )
    variants, tokens = semgrad_variants(choices.spans), token_variants(len(evidence.positions))
    states = States.of(evidence, variants[0].score(evidence))
    return Ablation(
        evidence=evidence,
        without_verdict=total - len(evidence.correct),
        methods={name: Quality.of(scores, evidence.correct) for name, scores in evidence.methods.items()},
        semgrad=compare(variants, evidence),
        tokens=compare(tokens, evidence),
        hybridgrad=compare(hybridgrad_variants(choices.betas, choices.gammas), evidence),
        states=states,
        preservation=None if sps is None or few else Preservation.of(evidence, states, sps),
    )
