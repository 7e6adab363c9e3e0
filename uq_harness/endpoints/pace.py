"""A limit on the requests a minute."""

from __future__ import annotations

import threading
import time


class Pace:
    """Lets requests go one after the other, none sooner than the limit allows; threads share it.

    Args:
        per_minute: Requests a minute at most; ``None`` for no limit.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._gap = 60 / per_minute if per_minute else 0.0
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, stopped: threading.Event) -> bool:
        """Waits for this request's turn, or until the event is set; whether the turn has come."""
        if not self._gap:
            return True
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._gap
        ahead = turn - time.monotonic()
        return ahead <= 0 or not stopped.wait(ahead)
