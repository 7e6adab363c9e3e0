"""Classes found by their names: every class of a package that its decorator registers, and those of plug-ins."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import logging
import pkgutil
from importlib.metadata import entry_points
from typing import ClassVar, Generic, Protocol, TypeVar

from uq_harness.errors import UQHarnessError

log = logging.getLogger(__name__)


class Named(Protocol):
    """What has a name in messages, arguments and results."""

    name: ClassVar[str]


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Dataclasses of one kind by their ``name``; nothing lists them by hand.

    Args:
        kind: What one is called in messages: ``method``.
        package: The package whose modules register theirs when they are imported.
        base: What a class of a plug-in must be a subclass of.
        group: The entry points of plug-ins; ``None`` where there are none.
    """

    def __init__(self, kind: str, package: str, base: type[T], group: str | None = None) -> None:
        self._kind, self._package, self._base, self._group = kind, package, base, group
        self._known: dict[str, type[T]] = {}
        self._complete = False

    def register(self, cls: type[T]) -> None:
        """Makes a class known under its name.

        Raises:
            UQHarnessError: Another class has the name already, or the class is not a dataclass.
        """
        # where the base is a dataclass, a class without the decorator has the base's fields and passes for one
        own = "__dataclass_fields__" in vars(cls) or not dataclasses.is_dataclass(self._base)
        if not (own and dataclasses.is_dataclass(cls)):
            raise UQHarnessError(
                f"{self._kind} {cls.__name__} must be a frozen dataclass: put @dataclass(frozen=True) below"
            )
        known = self._known.get(cls.name)
        if known is not None and (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise UQHarnessError(
                f"two {self._kind}s are named {cls.name!r}: {known.__qualname__} and {cls.__qualname__}"
            )
        self._known[cls.name] = cls

    def all(self) -> dict[str, type[T]]:
        """Every class by its name, those of plug-ins too."""
        if not self._complete:
            self._import_package()
            self._load_plugins()
            self._complete = True
        return dict(self._known)

    def _import_package(self) -> None:
        for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")

    def _load_plugins(self) -> None:
        for entry in entry_points(group=self._group) if self._group else ():
            try:
                loaded = entry.load()
            except Exception as error:  # a broken plug-in must not take the others down
                log.warning("%s plug-in %s could not be loaded: %r", self._kind, entry.value, error)
                continue
            if inspect.isclass(loaded) and issubclass(loaded, self._base) and loaded.name not in self._known:
                self.register(loaded)
