"""Leaderboard: every method of every run as a row of one page and one CSV file."""

from uq_harness.leaderboard._rows import Entry, collect_entries
from uq_harness.leaderboard._write import write_leaderboard

__all__ = ["Entry", "collect_entries", "write_leaderboard"]
