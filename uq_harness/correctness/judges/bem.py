"""BEM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from uq_harness.correctness.base import ReferenceJudge, Triple, register_judge
from uq_harness.errors import one_of

if TYPE_CHECKING:
    from uq_harness.correctness.bem.scoring import BemModel

MODELS = {
    "torch": "kortukov/answer-equivalence-bem",
    "tfhub": "https://tfhub.dev/google/answer_equivalence/bem/1",
}
DTYPES = ["float32", "bfloat16", "float16"]


@register_judge
@dataclass(frozen=True)
class Bem(ReferenceJudge):
    """Probability that a classifier takes answer and reference for equivalent, given the question.

    Bulian et al. 2022, arXiv 2202.07654; the threshold is that of Li et al., arXiv 2605.04638.

    Attributes:
        threshold: The smallest probability of a correct answer.
        model: Name on the backend's hub, or a local folder; None means the backend's usual model.
        backend: ``torch``, or ``tfhub`` for the SavedModel of BEM's authors.
        batch_size: Inputs in one forward pass; it halves where memory runs out.
        device: ``cpu``, ``cuda`` or ``cuda:1``; None means the GPU if there is one.
        dtype: The weights' type with torch: ``float32``, ``bfloat16`` or ``float16``.
        vocab: With tfhub, path of the vocabulary file if the model's folder holds none.
    """

    name: ClassVar[str] = "bem"
    threshold: float = 0.7
    model: str | None = None
    backend: str = "torch"
    batch_size: int = 32
    device: str | None = None
    dtype: str = "float32"
    vocab: str | None = None

    def __post_init__(self) -> None:
        """Checks the options."""
        super().__post_init__()
        if self.backend not in list(MODELS):  # a list, since the value may not be hashable
            self.refuse("backend", one_of(list(MODELS)))
        if self.dtype not in DTYPES:
            self.refuse("dtype", one_of(DTYPES))
        if isinstance(self.batch_size, bool) or not isinstance(self.batch_size, int) or self.batch_size < 1:
            self.refuse("batch_size", "a whole number from 1 on")
        for option in ("model", "device", "vocab"):
            value = getattr(self, option)
            if value is not None and (not isinstance(value, str) or not value):
                self.refuse(option, "a text, or leave it out")
        if self.backend == "tfhub" and self.dtype != "float32":
            self.refuse("dtype", "float32 with backend='tfhub', whose model has its own type")
        if self.backend == "torch" and self.vocab is not None:
            self.refuse("vocab", "it with backend='tfhub' only; with torch the tokenizer comes with the model")

    def prepare(self) -> None:
        """Loads the classifier."""
        self._load()

    def score_triples(self, triples: Sequence[Triple]) -> list[float]:
        """The probability for each triple, each distinct input computed once."""
        from uq_harness.correctness.bem.scoring import score_triples

        return score_triples(self._load(), triples, self.batch_size)

    def describe(self) -> dict[str, Any]:
        """Name and options; the model is the one that is used."""
        idle = "vocab" if self.backend == "torch" else "dtype"
        options = {**super().describe(), "model": self._model_name()}
        return {option: value for option, value in options.items() if option != idle}

    def _model_name(self) -> str:
        return self.model or MODELS[self.backend]

    def _load(self) -> BemModel:
        if self.backend == "torch":
            from uq_harness.correctness.bem import pytorch

            return pytorch.load(self._model_name(), self.device, self.dtype)
        from uq_harness.correctness.bem import tfhub

        return tfhub.load(self._model_name(), self.device, self.vocab)
