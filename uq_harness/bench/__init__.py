"""What uncertainty costs on this machine: seconds, work and memory of each method beside pure generation.

>>> from uq_harness.bench import Spread
>>> Spread.of([3.0, 1.0, 2.0])
Spread(median=2.0, lowest=1.0, highest=3.0)
"""

from uq_harness.bench._clock import seconds_of, wait
from uq_harness.bench._interleaved import interleaved
from uq_harness.bench._memory import peak_megabytes
from uq_harness.bench._report import Bench, Cost, Spread, Work, cost_of
from uq_harness.bench._run import run_bench

__all__ = [
    "Bench",
    "Cost",
    "Spread",
    "Work",
    "cost_of",
    "interleaved",
    "peak_megabytes",
    "run_bench",
    "seconds_of",
    "wait",
]
