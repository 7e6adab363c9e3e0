"""Keeps answers of one configuration from being reused under another through ``--use_cache``.

lm_eval's response cache knows a request by its prompt and generation arguments only, so an answer scored by another
model or with other methods would be taken for this run's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, MutableMapping
from typing import Any

from uq_harness.errors import UQHarnessError

STAMP = "uq_harness_configuration"


def check_stamp(database: MutableMapping[str, Any], file: str, configuration: Mapping[str, Any]) -> None:
    """Stamps a new response cache with the configuration, or compares it with the stamp of an old one.

    Args:
        database: The response cache.
        file: Its name, for the message.
        configuration: Everything that changes answers or scores, JSON-able.

    Raises:
        UQHarnessError: The cache was written under another configuration, or by something else than ``uq-hf``.
    """
    now = json.loads(json.dumps(configuration, sort_keys=True, default=str))
    if STAMP not in database:
        if len(database):
            raise UQHarnessError(
                f"--use_cache {file} holds answers without uncertainty, written by another model type: "
                "choose another --use_cache path"
            )
        database[STAMP] = now
        return
    then = database[STAMP]
    different = [key for key in sorted({*then, *now}) if then.get(key) != now.get(key)]
    if different:
        changes = "; ".join(f"{key} was {then.get(key)!r} and is now {now.get(key)!r}" for key in different)
        raise UQHarnessError(
            f"--use_cache {file} was written under another configuration ({changes}): choose another --use_cache path, "
            "or run with the old settings"
        )
