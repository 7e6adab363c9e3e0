"""What ``uq-harness new`` writes: a task or a method of the user's own that works as it is.

Files under ``task/`` and ``method/`` are templates: what stands between ``<<`` and ``>>`` is filled in, and ``NAME`` in
a file's name is the name that the user gives.
"""
