"""Leaderboard: every method of every run as a row of one page and one CSV file."""
