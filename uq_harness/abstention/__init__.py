"""When to say "I do not know": a threshold on uncertainty with a guaranteed error rate, and its use in applications.

`make_policy` makes a `Policy` from a run, `as_values` writes it down, `Abstainer` loads it in an application. The
statistics are in `uq_harness.functional` (`control_risk`, `error_curve`); docs/thresholds.md tells how they work.

>>> from uq_harness.abstention import Abstainer
"""

from uq_harness.abstention._abstainer import Abstainer
from uq_harness.abstention._diagram import draw_reliability
from uq_harness.abstention._held_out import HeldOut
from uq_harness.abstention._policy import Policy, as_values, make_policy

__all__ = ["Abstainer", "HeldOut", "Policy", "as_values", "draw_reliability", "make_policy"]
