"""Uncertainty methods, one file each: what a method needs, and its score as a function of the evidence.

To add a method, add a file with a class decorated by `register_method` (CONTRIBUTING.md has the recipe); nothing lists
methods by hand. Other packages register theirs through the entry-point group ``uq_harness.methods``.

A method on sampled answers derives from `SamplesMethod`, and shares its samples with all others that do; any other one
derives from `Method`.

Options are dataclass fields made by `choice`, `flag`, `positive`, `not_negative`, `probability`, `mass` and `whole`,
or, for any other kind of value, by `option`.
"""

from uq_harness.methods.base import (
    Method,
    all_methods,
    all_options,
    build_methods,
    draws,
    register_method,
    scores,
    select_methods,
    settings,
    token_values,
)
from uq_harness.methods.options import choice, flag, mass, not_negative, option, positive, probability, whole
from uq_harness.methods.samples import SamplesMethod

__all__ = [
    "Method",
    "SamplesMethod",
    "all_methods",
    "all_options",
    "build_methods",
    "choice",
    "draws",
    "flag",
    "mass",
    "not_negative",
    "option",
    "positive",
    "probability",
    "register_method",
    "scores",
    "select_methods",
    "settings",
    "token_values",
    "whole",
]
