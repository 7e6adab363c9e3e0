"""Where evidence comes from: engines and files behind one contract (`uq_harness.evidence.backend`)."""
