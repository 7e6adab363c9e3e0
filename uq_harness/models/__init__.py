"""The lm_eval model ``uq-hf``: a Hugging Face model whose answers carry their uncertainty."""

from uq_harness.models.hf import UQHFLM

__all__ = ["UQHFLM"]
