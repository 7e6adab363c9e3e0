"""The evidence engine: decodes answers and takes gradients and teacher-forced scores, a batch of questions at a time.

Tensors go in and come out; lm_eval is unknown here. `Gatherer` is the way in and keeps what a run shares.
"""

from uq_harness.engine.gather import Gatherer
from uq_harness.engine.gradient_flow import GradientsUnavailable
from uq_harness.engine.prompt import Ending, Prompt
from uq_harness.engine.semantic_token import SemanticToken

__all__ = ["Ending", "Gatherer", "GradientsUnavailable", "Prompt", "SemanticToken"]
