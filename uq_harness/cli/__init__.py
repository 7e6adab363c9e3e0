"""The ``uq-harness`` command."""

from uq_harness.cli._app import app, main

__all__ = ["app", "main"]
