"""The Semantic Preservation Score of a model's hidden states: which layer and token keep a question's meaning.

`measure` is the way in; `SpsResult` is what it finds, and reads and writes result files.
"""

from uq_harness.sps._measure import measure
from uq_harness.sps._positions import Position, commonest_tokens
from uq_harness.sps._prompts import USER_TOKENS
from uq_harness.sps._result import DataSetSps, SpsResult, TokenChoice
from uq_harness.sps._sources import Source, read_sources

__all__ = [
    "USER_TOKENS",
    "DataSetSps",
    "Position",
    "Source",
    "SpsResult",
    "TokenChoice",
    "commonest_tokens",
    "measure",
    "read_sources",
]
