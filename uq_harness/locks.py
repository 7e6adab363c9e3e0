"""One lock for each object: work on a shared model, one thread at a time."""

from __future__ import annotations

import threading
from typing import Any
from weakref import WeakKeyDictionary

_locks: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_guard = threading.Lock()


def lock_of(shared: Any) -> Any:
    """The lock of an object, the same for everybody who asks; a thread that holds it may take it again.

    >>> class Model: ...
    >>> model = Model()
    >>> lock_of(model) is lock_of(model), lock_of(model) is lock_of(Model())
    (True, False)
    """
    with _guard:
        return _locks.setdefault(shared, threading.RLock())
