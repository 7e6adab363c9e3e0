"""From prompt texts to answers with their evidence: the way that ``uq-hf`` and `UncertaintyModel` share.

Making prompts, finding the semantic-preserving token, ending answers and going on after running out of memory live
here; lm_eval's requests and caches stay in `uq_harness.models`.
"""

from uq_harness.answering._answerer import Answerer
from uq_harness.answering._arguments import (
    LARGEST_SEED,
    check_think_end,
    read_context,
    take_auxiliary_models,
    take_options,
    unknown_option,
)
from uq_harness.answering._conversation import Conversation
from uq_harness.answering._ending import stop_criteria
from uq_harness.answering._measured_token import MESSAGE, measure_token
from uq_harness.answering._model import ScoredAnswer, UncertaintyModel
from uq_harness.answering._pieces import pieces
from uq_harness.answering._prompts import PromptEncoder, PromptText
from uq_harness.answering._record import number, record
from uq_harness.answering._recorder import Recorder
from uq_harness.answering._template import rendered
from uq_harness.answering._thinking import ThinkingNotice

__all__ = [
    "LARGEST_SEED",
    "MESSAGE",
    "Answerer",
    "Conversation",
    "PromptEncoder",
    "PromptText",
    "Recorder",
    "ScoredAnswer",
    "ThinkingNotice",
    "UncertaintyModel",
    "check_think_end",
    "measure_token",
    "number",
    "pieces",
    "read_context",
    "record",
    "rendered",
    "stop_criteria",
    "take_auxiliary_models",
    "take_options",
    "unknown_option",
]
