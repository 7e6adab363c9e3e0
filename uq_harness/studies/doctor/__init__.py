"""Whether an installation can do its work: packages, device, lm_eval's plug-in, auxiliary models, folders.

`uq_harness.studies.doctor.checks.examine` makes the checks that `uq-harness doctor` prints.
"""
