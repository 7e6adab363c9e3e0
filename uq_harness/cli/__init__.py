"""The ``uq-harness`` command."""

from uq_harness.cli.app import main

__all__ = ["main"]
