"""The paper's ablations from one generation pass: all variants of SemGrad and HybridGrad from the same evidence.

`uq_harness.ablation.passes` runs the pass through lm_eval, `analyse` scores and compares; `AblationEvidence` is what
lies between, and can be written and read, so that scoring again needs no model.
"""

from uq_harness.ablation._analysis import Ablation, Choices, analyse
from uq_harness.ablation._comparison import Compared, Quality, States, compare
from uq_harness.ablation._evidence import AblationEvidence
from uq_harness.ablation._preservation import CAUTION, Preservation, check_sps
from uq_harness.ablation._variants import (
    Variant,
    check_spans,
    hybridgrad_variants,
    numbers,
    semgrad_variants,
    token_variants,
)

__all__ = [
    "CAUTION",
    "Ablation",
    "AblationEvidence",
    "Choices",
    "Compared",
    "Preservation",
    "Quality",
    "States",
    "Variant",
    "analyse",
    "check_spans",
    "check_sps",
    "compare",
    "hybridgrad_variants",
    "numbers",
    "semgrad_variants",
    "token_variants",
]
