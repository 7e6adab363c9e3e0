"""The evidence engine: decodes answers and takes gradients and teacher-forced scores, a batch of questions at a time.

Tensors go in and come out; lm_eval is unknown here. `TransformersBackend` is the way in.
"""

from uq_harness.engine.backend import TransformersBackend
from uq_harness.engine.semantic_token import SemanticToken

__all__ = ["SemanticToken", "TransformersBackend"]
