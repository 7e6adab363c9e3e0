"""Processor time a question: of the client, which sends requests and scores, and of the server that answers them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import psutil
from _sides import Sides

from uq_harness.methods import build_methods


def compare_processors(sides: Sides, count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Seconds of processors a question, for two choices of methods; nothing else may use the server meanwhile.

    The client is this process. What it does once (importing, loading a tokenizer, the first request) is not in.

    Raises:
        ProcessLookupError: No process of this machine, as far as it may be seen, listens at the server's address.
    """
    server = _Server.at(sides.base_url)
    prompts = sides.prompts(count)
    found = {}
    choices = {
        "g_nll and p_true": build_methods("g_nll+p_true", {}),
        "all but mutual information": [one for one in sides.served_methods() if one.name != "mutual_information"],
    }
    sides.answer(sides.by_server(choices["g_nll and p_true"], seed=1), prompts[:1])  # warm up
    for name, chosen in choices.items():
        say(name)
        sides.engine.forget()
        answerer = sides.by_server(chosen, seed=1)
        begun, own, theirs = time.perf_counter(), time.process_time(), server.seconds()
        for evidence in sides.answer(answerer, prompts):
            answerer.record(evidence)
        client, busy = time.process_time() - own, server.seconds() - theirs
        found[name] = {
            "client_seconds": client / count,
            "server_seconds": busy / count,
            "client_over_server": client / busy,
            "wall_seconds": (time.perf_counter() - begun) / count,
            "requests": len(sides.sent) / count,
        }
    return {"questions": count, "num_concurrent": sides.num_concurrent, "sets": found}


class _Server:
    """The processes of a server on this machine.

    Args:
        root: The process that all the others descend from.
    """

    def __init__(self, root: psutil.Process) -> None:
        self._root = root

    @classmethod
    def at(cls, base_url: str) -> _Server:
        """That which listens at an address, with all processes that it has started."""
        port = urlsplit(base_url).port
        for one in psutil.net_connections(kind="tcp"):
            if one.status == psutil.CONN_LISTEN and one.laddr.port == port and one.pid is not None:
                return cls(psutil.Process(one.pid))
        raise ProcessLookupError(f"no process that can be seen from here listens on port {port}")

    def seconds(self) -> float:
        """What its processors have spent so far."""
        times = [one.cpu_times() for one in (self._root, *self._root.children(recursive=True))]
        return float(sum(one.user + one.system for one in times))
