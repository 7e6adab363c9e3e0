"""What the methods that take the LM head's gradient share: which matrix is meant where embeddings are tied."""

from __future__ import annotations

from dataclasses import dataclass

from uq_harness.evidence import HeadGradient
from uq_harness.methods.base import Method
from uq_harness.methods.options import choice


@dataclass(frozen=True)
class HeadGradientMethod(Method):
    """A method on the gradient with respect to the LM head's matrix."""

    head_gradient: str = choice(
        "head",
        "head",
        "tied",
        meaning="gradient of the LM head alone (head), or of the matrix that it shares with the embedding in both "
        "places (tied): slower, and for models with tied embeddings only",
    )

    def gradient(self, reweighted: bool) -> HeadGradient:
        """The need, with tokens weighted by their entropies or all alike."""
        return HeadGradient(reweighted, tied=self.head_gradient == "tied")
