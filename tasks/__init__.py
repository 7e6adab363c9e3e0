"""Task files that lm_eval reads; installed as ``uq_harness.tasks``."""
