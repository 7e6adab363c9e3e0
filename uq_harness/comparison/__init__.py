"""Whether a candidate got worse than a baseline: paired tests on the questions that both answered.

`compare_runs` makes a `Comparison` of what `uq_harness.results.load.load_runs` reads; `markdown`, `junit` and
`as_values` write it down. What is tested and why is told in docs/regression_gate.md.

>>> from uq_harness.comparison.compare import compare_runs
"""
