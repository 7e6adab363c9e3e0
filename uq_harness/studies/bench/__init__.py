"""What uncertainty costs on this machine: seconds, work and memory of each method compared with pure generation.

>>> from uq_harness.studies.bench.report import Spread
>>> Spread.of([3.0, 1.0, 2.0])
Spread(median=2.0, lowest=1.0, highest=3.0)
"""
