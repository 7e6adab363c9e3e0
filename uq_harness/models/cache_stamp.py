"""Keeps answers of one configuration from being reused under another through ``--use_cache``.

lm_eval's response cache knows a request by its prompt and generation arguments only, so an answer scored by another
model or with other methods would be taken for this run's.
"""

from __future__ import annotations

import json
import pickle
import sqlite3
from collections.abc import Mapping, MutableMapping
from contextlib import closing
from pathlib import Path
from typing import Any

from uq_harness.endpoints.first_token import changed
from uq_harness.errors import UQHarnessError
from uq_harness.evaluation.instances import record_of
from uq_harness.rendering.secrets import without_secrets

STAMP = "uq_harness_configuration"
# Settings of auxiliary models that change no score.
_AUXILIARY_PLACEMENT = frozenset({"batch_size", "device"})


def check_cache(file: str | None) -> None:
    """Reads a response cache from end to end, since lm_eval finds what is damaged only when it comes to it.

    Args:
        file: The file, which need not exist; ``None`` for none.

    Raises:
        UQHarnessError: It is not a response cache, is damaged, or another program has locked it.
    """
    if file is None or not Path(file).exists():
        return
    try:
        with closing(sqlite3.connect(f"{Path(file).resolve().as_uri()}?mode=ro", uri=True, timeout=1)) as database:
            state = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if state != "ok":
                raise UQHarnessError(_damaged(file, state))
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for (value,) in database.execute("SELECT value FROM unnamed") if "unnamed" in tables else ():
                if pickle.loads(value) is None:
                    raise UQHarnessError(_damaged(file, "an answer is empty"))
    except sqlite3.OperationalError as error:  # locked, a folder, no right to read
        raise UQHarnessError(
            f"--use_cache {file} cannot be read ({error}): end the program that uses it, or choose another path"
        ) from error
    except UQHarnessError:
        raise
    except Exception as error:  # pickles raise whatever they like
        if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("uq_harness"):
            raise UQHarnessError(
                f"--use_cache {file} is of another release of uq-harness ({error}): choose another path"
            ) from error
        raise UQHarnessError(_damaged(file, error)) from error


def _damaged(file: str, why: object) -> str:
    return f"--use_cache {file} is damaged ({why}): delete it, or choose another path"


def check_stamp(database: MutableMapping[str, Any], file: str, configuration: Mapping[str, Any]) -> None:
    """Stamps a new response cache with the configuration, or compares it with the stamp of an old one.

    Args:
        database: The response cache.
        file: Its name, for the message.
        configuration: Everything that changes answers or scores, JSON-able. What may hold a secret is left out.

    Raises:
        UQHarnessError: The cache was written under another configuration, or by something else than ``uq-hf``.
    """
    now = without_secrets(json.loads(json.dumps(configuration, sort_keys=True, default=str)))
    if STAMP not in database:
        if len(database):
            raise UQHarnessError(
                f"--use_cache {file} holds answers without uncertainty, written by another model type: "
                "choose another --use_cache path"
            )
        database[STAMP] = now
        return
    then = without_secrets(database[STAMP])
    if not isinstance(then, dict):
        raise UQHarnessError(_damaged(file, f"its stamp is {then!r}"))
    changes = changed(then, now)
    if changes:
        raise UQHarnessError(
            f"--use_cache {file} was written under another configuration ({changes}): choose another --use_cache path, "
            "or run with the old settings"
        )


def forget_refused(database: MutableMapping[str, Any]) -> None:
    """Takes refused questions out of a response cache, where lm_eval puts them when a run ends: they are asked again.

    Args:
        database: The response cache.
    """
    for key in [key for key, answer in database.items() if key != STAMP and "refused" in record_of(answer)]:
        del database[key]


def auxiliary_models(described: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What of the auxiliary models changes scores, for the stamp of a response cache.

    Args:
        described: What `uq_harness.answering.answerer.Answerer.describe` says.

    >>> auxiliary_models({"nli": {"model": "lexical", "device": "cpu"}, "engine": {"name": "vllm"}})
    {'nli': {'model': 'lexical'}}
    """
    return {
        role: {name: value for name, value in described[role].items() if name not in _AUXILIARY_PLACEMENT}
        for role in ("nli", "similarity")
        if role in described
    }
