"""Whether a candidate got worse than a baseline: paired tests on the questions that both answered.

`compare_runs` makes a `Comparison` of what `uq_harness.results.load_runs` reads; `markdown`, `junit` and `as_values`
write it down. What is tested and why is told in docs/regression_gate.md.

>>> from uq_harness.comparison import compare_runs
"""

from uq_harness.comparison._compare import Comparison, TaskComparison, compare_runs
from uq_harness.comparison._json import as_values
from uq_harness.comparison._junit import junit
from uq_harness.comparison._losses import Loss
from uq_harness.comparison._markdown import markdown
from uq_harness.comparison._measures import Difference
from uq_harness.comparison._pairs import Pair

__all__ = [
    "Comparison",
    "Difference",
    "Loss",
    "Pair",
    "TaskComparison",
    "as_values",
    "compare_runs",
    "junit",
    "markdown",
]
