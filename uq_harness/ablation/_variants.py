"""The variants of SemGrad and HybridGrad that an ablation compares: a method with its options, at a token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uq_harness.ablation._evidence import AblationEvidence
from uq_harness.errors import UQHarnessError
from uq_harness.evidence import LayerSpan
from uq_harness.functional import FloatArray
from uq_harness.methods import Method, build_methods

SPANS = ("top_half", "last_quarter", "all")
BETAS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
GAMMAS = (0.1, 1.0, 10.0)


@dataclass(frozen=True)
class Variant:
    """One way to score the answers.

    Attributes:
        label: What it is called in tables.
        method: The method with its options.
        options: The model arguments with which an ordinary run gives the same scores.
        position: The token taken for the semantic-preserving one; ``None`` for that itself.
    """

    label: str
    method: Method
    options: Mapping[str, Any] = field(default_factory=dict)
    position: int | None = None

    def score(self, evidence: AblationEvidence) -> FloatArray:
        """The score of every answer, by the method itself; ``nan`` where it is undefined."""
        needs = self.method.needs()
        rows = range(len(evidence.correct))
        return np.array([self.method.score(evidence.of_answer(row, needs, self.position)) for row in rows])


def semgrad_variants(spans: Sequence[str] = ()) -> tuple[Variant, ...]:
    """SemGrad as it is by default, then with one thing changed at a time, in the order of the paper's Table 2.

    Args:
        spans: Layer spans beyond those that have names.
    """
    changes: list[dict[str, Any]] = [
        {},
        {"semgrad_norm": "l2"},
        {"semgrad_reweight": False},
        *({"semgrad_layers": span} for span in dict.fromkeys((*SPANS[1:], *spans))),
    ]
    variants = [Variant(_label(change), _build("semgrad", change), _typed(change)) for change in changes]
    last = Variant("last token", variants[0].method, {"sp_token": "last"}, -1)
    return (*variants, last)


def token_variants(n_positions: int) -> tuple[Variant, ...]:
    """SemGrad as it is by default, then with each of the prompt's last tokens for the semantic-preserving one."""
    default = semgrad_variants()[0]
    positions = range(-1, -n_positions - 1, -1)
    return (default, *(Variant(f"token {p}", default.method, {"sp_token": p}, p) for p in positions))


def hybridgrad_variants(betas: Sequence[float] = BETAS, gammas: Sequence[float] = GAMMAS) -> tuple[Variant, ...]:
    """HybridGrad as it is by default, then every other pair of a temperature β and a factor γ."""
    pairs = dict.fromkeys([(1.0, 1.0), *((beta, gamma) for gamma in gammas for beta in betas)])
    return tuple(
        Variant(f"β = {beta:g}, γ = {gamma:g}", _build("hybridgrad", change), change)
        for beta, gamma in pairs
        for change in [{"hybrid_beta": beta, "hybrid_gamma": gamma}]
    )


def check_spans(spans: Sequence[str], n_blocks: int) -> None:
    """Checks that layer spans fit a model.

    Raises:
        UQHarnessError: One is no span, or names blocks that the model does not have.
    """
    for span in spans:
        LayerSpan(span).resolve(n_blocks)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers above zero, as typed with commas between them.

    Raises:
        UQHarnessError: Something is no such number.

    >>> numbers("--betas", "0.5,1,2")
    (0.5, 1.0, 2.0)
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(0 < value < float("inf") for value in values):
        raise UQHarnessError(f"{option} {text} is not allowed: use numbers above 0 with commas between them")
    return values


def _build(name: str, options: Mapping[str, Any]) -> Method:
    (method,) = build_methods(name, options)
    return method


def _label(change: Mapping[str, Any]) -> str:
    match change:
        case {"semgrad_norm": norm}:
            return f"{norm} norm"
        case {"semgrad_reweight": False}:
            return "no entropy reweighting"
        case {"semgrad_layers": span}:
            return f"layers {span}"
    return "SemGrad (default)"


def _typed(change: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a user types them."""
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in change.items()}
