"""When to say "I do not know": a threshold on uncertainty with a guaranteed error rate, and its use in applications.

`make_policy` makes a `Policy` from a run, `as_values` writes it down, `Abstainer` loads it in an application. The
statistics are in `uq_harness.functional` (`control_risk`, `tried_thresholds`, `error_curve`); docs/thresholds.md tells
how they work.

>>> from uq_harness.abstention.abstainer import Abstainer
"""
