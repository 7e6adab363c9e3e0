"""Sets of methods: the names that ``methods=`` takes beside those of single methods, and what a method may join.

A method says in its attribute ``sets`` where it belongs; most are in one of the combinations below.
"""

NAMES: tuple[str, ...] = ("default", "cheap", "sampling_free", "sampling", "all")

# In the answer's own decoding pass: no further pass, no samples, no other network.
CHEAP = frozenset({"cheap", "sampling_free", "all"})
SAMPLING_FREE = frozenset({"sampling_free", "all"})
SAMPLING = frozenset({"sampling", "all"})
# What asks the model a second question or has a network read its vocabulary: only where all is wanted, or by name.
ALL_ALONE = frozenset({"all"})
DEFAULT = SAMPLING_FREE | {"default"}
