"""The ``uq-harness`` command, one module a command; importing this package adds them all to the program."""

import importlib
import pkgutil

from uq_harness.cli.app import app, main

__all__ = ["app", "main"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
