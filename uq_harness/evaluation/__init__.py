"""lm_eval's side of a run: tasks, requests, verdicts, metrics, and what makes all of it known to lm_eval."""
