"""Uncertainty methods, one file each: what a method needs, and its score as a function of the evidence.

To add a method, add a file with a class decorated by `register_method` (CONTRIBUTING.md has the recipe); nothing lists
methods by hand. Other packages register theirs through the entry-point group ``uq_harness.methods``.
"""

from uq_harness.methods._base import (
    Method,
    all_methods,
    all_options,
    build_methods,
    register_method,
    select_methods,
    settings,
)

__all__ = [
    "Method",
    "all_methods",
    "all_options",
    "build_methods",
    "register_method",
    "select_methods",
    "settings",
]
