"""Judges: whether a free-form answer means the same as a reference answer.

To add a judge, add a file to ``judges/`` with a frozen dataclass decorated by `register_judge`; nothing lists judges by
hand. docs/correctness.md describes each judge and how well it agrees with people.
"""
