"""The evidence engine: decodes answers and takes gradients and teacher-forced scores, a batch of questions at a time.

Tensors go in and come out; lm_eval is unknown here. `gather` is the way in, `Gatherer` keeps what a run shares.
"""

from uq_harness.engine.gather import Ending, Gatherer, Prompt
from uq_harness.engine.semantic_token import SemanticToken

__all__ = ["Ending", "Gatherer", "Prompt", "SemanticToken"]
