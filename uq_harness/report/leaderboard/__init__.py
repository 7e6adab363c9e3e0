"""Leaderboard: methods and models ranked over the same questions, and every method of every run as a row."""

from uq_harness.report.leaderboard.collect import Leaderboard, collect_leaderboard
from uq_harness.report.leaderboard.write import write_leaderboard

__all__ = ["Leaderboard", "collect_leaderboard", "write_leaderboard"]
