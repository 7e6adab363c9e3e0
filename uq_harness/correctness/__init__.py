"""Judges: whether a free-form answer means the same as a reference answer.

To add a judge, add a file to ``judges/`` with a frozen dataclass decorated by `register_judge`; nothing lists judges by
hand. docs/correctness.md describes each judge and how well it agrees with people.
"""

from uq_harness.correctness._base import Judge, ReferenceJudge, Triple, best
from uq_harness.correctness._registry import build_judge, judge_names, register_judge
from uq_harness.correctness.judges._lexical import LexicalJudge

__all__ = ["Judge", "LexicalJudge", "ReferenceJudge", "Triple", "best", "build_judge", "judge_names", "register_judge"]
