"""The ``uq-harness`` command."""

from uq_harness.cli.app import app, main

__all__ = ["app", "main"]
