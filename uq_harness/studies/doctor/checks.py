"""Looks at an installation without changing it, and says of each part whether it works and what mends it."""

from __future__ import annotations

import importlib
import os
import platform
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement

PACKAGE = "uq-harness"
_FOR_CONTRIBUTORS = ("dev", "docs")
# Packages that no extra names, and what they are for.
_BESIDE = {
    "vllm": "the model uq-vllm",
    "wandb": "--wandb_args",
    "trackio": "--trackio_args",
}
# Modules to try of packages whose own name is no module, or imports little.
_MODULES = {"scikit-learn": "sklearn.linear_model", "scipy": "scipy.stats"}
_AGAIN = "in the folder of its source: pip install --force-reinstall --no-deps ."
_SHOWN = ("lm-eval", "torch", "transformers", "datasets", "huggingface-hub", "numpy", "scipy", "scikit-learn")


class State(Enum):
    """What a check found: it works, it may be missed, or nothing works without it."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True)
class Check:
    """One part of an installation.

    Attributes:
        group: The heading that it stands under.
        name: The part.
        state: Whether it works.
        found: What was found.
        fix: What mends it, or brings what is missing; empty where nothing is amiss.
    """

    group: str
    name: str
    state: State
    found: str
    fix: str = ""


def examine() -> list[Check]:
    """All checks, in the order in which they are shown; a part that cannot be looked at is broken."""
    parts: dict[str, Callable[[], Iterable[Check]]] = {
        "packages": packages,
        "device": device,
        "lm_eval": plugin,
        "optional": optional,
        "auxiliary models": auxiliary_models,
        "cache folders": folders,
    }
    return [check for group, part in parts.items() for check in _completed(group, part)]


def _completed(group: str, part: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """A part's checks, and where one fails, those before it and what failed."""
    try:
        yield from part()
    except Exception as error:  # what is broken fails in many ways
        fix = f"mend the packages that are marked above; if there are none, uq-harness itself, {_AGAIN}"
        yield Check(group, "this check", State.BROKEN, f"cannot be made: {_brief(error)}", fix)


def packages() -> Iterator[Check]:
    """Python, and the packages that everything needs: each can be imported, in a version that is allowed."""
    yield Check("packages", "python", State.OK, f"{platform.python_version()} on {platform.platform()}")
    yield Check("packages", PACKAGE, State.OK, version(PACKAGE))
    for requirement in _requirements(""):
        state, found = _installed(requirement)
        if state is not State.OK:
            yield Check("packages", requirement.name, State.BROKEN, found, f"pip install '{_plain(requirement)}'")
        elif fault := _fault_of_import(requirement.name):
            fix = f"pip install --force-reinstall --no-deps '{_plain(requirement)}'"
            yield Check("packages", requirement.name, State.BROKEN, f"{found}, but cannot be imported: {fault}", fix)
        elif requirement.name in _SHOWN:
            yield Check("packages", requirement.name, state, found)


def device() -> Iterator[Check]:
    """Where torch computes."""
    try:
        import torch

        if torch.cuda.is_available():
            for number in range(torch.cuda.device_count()):
                memory = torch.cuda.get_device_properties(number).total_memory / 2**30
                found = f"{torch.cuda.get_device_name(number)}, {memory:.0f} GiB"
                yield Check("device", f"cuda:{number}", State.OK, found)
            return
        if torch.backends.mps.is_available():
            yield Check("device", "mps", State.OK, "Apple's GPU: --device mps")
            return
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        yield Check("device", "cpu", State.OK, f"no GPU; torch is {built}; {torch.get_num_threads()} threads")
    except Exception as error:  # a broken torch fails in many ways
        yield Check("device", "torch", State.BROKEN, f"cannot be used: {_brief(error)}", "pip install torch")


def plugin() -> Iterator[Check]:
    """Whether lm_eval knows models and tasks: by itself, and after `uq_harness.register`."""
    try:
        autoload = importlib.import_module("_uq_harness_autoload")
        active = autoload._Finder in sys.meta_path
    except ImportError:
        active = False
    if active:
        yield Check("lm_eval", "start-up hook", State.OK, "active: the stock lm_eval knows models and tasks")
    elif os.environ.get("UQ_HARNESS_AUTOLOAD", "1") == "0":
        found = "switched off by UQ_HARNESS_AUTOLOAD=0"
        yield Check("lm_eval", "start-up hook", State.NOTE, found, "unset it, or use `uq-harness run`")
    else:
        found = "not read: after pip install --target, under python -S, and in a kernel that was running before"
        fix = "use `uq-harness run`, or call uq_harness.register(); restart a running kernel"
        yield Check("lm_eval", "start-up hook", State.NOTE, found, fix)
    try:
        yield from _registered()
    except Exception as error:
        fix = "in the folder of the newest source: pip install --upgrade ."
        yield Check("lm_eval", "registration", State.BROKEN, f"fails: {_brief(error)}", fix)


def _registered() -> Iterator[Check]:
    from lm_eval.api.registry import model_registry
    from lm_eval.tasks import TaskManager

    from uq_harness import register

    register()
    models = [name for name in ("uq-hf", "uq-vllm", "uq-api") if name in model_registry]
    tasks = sorted(name for name in TaskManager(include_defaults=False).all_tasks if name.startswith("uq_"))
    for what, names, needed in (("models", models, "uq-hf"), ("tasks", tasks, "uq_demo")):
        known = needed in names
        yield Check(
            "lm_eval",
            what,
            State.OK if known else State.BROKEN,
            ", ".join(names) or "none",
            "" if known else _AGAIN,
        )


def optional() -> Iterator[Check]:
    """The parts that need further packages, and the command that installs them."""
    for extra in metadata(PACKAGE).get_all("Provides-Extra") or []:
        needed = _requirements(extra)
        if extra in _FOR_CONTRIBUTORS or not needed:
            continue
        missing = [requirement for requirement in needed if _installed(requirement)[0] is not State.OK]
        name = f"{PACKAGE}[{extra}]"
        if missing:
            found = f"missing: {', '.join(requirement.name for requirement in missing)}"
            # The package is on no index, and what it needs is.
            fix = f"pip install {' '.join(shlex.quote(_plain(requirement)) for requirement in missing)}"
            yield Check("optional", name, State.NOTE, found, fix)
        else:
            yield Check("optional", name, State.OK, "installed")
    for package, use in _BESIDE.items():
        state, found = _installed(Requirement(package))
        fix = "" if state is State.OK else f"pip install {package}"
        yield Check("optional", package, state, f"{found}; for {use}", fix)


def auxiliary_models() -> Iterator[Check]:
    """The default models of methods and judges: in the hub's cache, or still to be downloaded."""
    from huggingface_hub import try_to_load_from_cache

    from uq_harness.correctness.judges.bem import MODELS
    from uq_harness.similarity.build import DEFAULT_NLI, DEFAULT_SIMILARITY

    models = {
        "NLI": DEFAULT_NLI,
        "similarity": DEFAULT_SIMILARITY,
        "judge BEM": MODELS["torch"],
    }
    for use, model in models.items():
        if isinstance(try_to_load_from_cache(model, "config.json"), str):
            yield Check("auxiliary models", use, State.OK, f"{model} is in the cache")
        else:
            found = f"{model} is not in the cache: it is downloaded when it is first needed"
            yield Check("auxiliary models", use, State.NOTE, found, f"hf download {model}")


def folders() -> Iterator[Check]:
    """The caches, and whether they can be written to."""
    from huggingface_hub.constants import HF_HOME, HF_HUB_CACHE

    from uq_harness.endpoints.replies import default_cache_file

    places = {
        "hub (HF_HUB_CACHE)": Path(HF_HUB_CACHE),
        "data sets (HF_DATASETS_CACHE)": Path(os.environ.get("HF_DATASETS_CACHE") or Path(HF_HOME) / "datasets"),
        "replies (cache=)": default_cache_file().parent,
    }
    for name, place in places.items():
        if _writable(place):
            yield Check("cache folders", name, State.OK, str(place))
        else:
            fix = "set the variable, or give cache=, to a folder that you can write to"
            yield Check("cache folders", name, State.NOTE, f"{place} cannot be written to", fix)


def _requirements(extra: str) -> list[Requirement]:
    """The package's requirements on this system: those of an extra alone, or with an empty name those of all."""
    every = [Requirement(line) for line in requires(PACKAGE) or []]
    return [
        one
        for one in every
        if (one.marker is None or one.marker.evaluate({"extra": extra}))
        and (not extra or (one.marker is not None and not one.marker.evaluate({"extra": ""})))
    ]


def _installed(requirement: Requirement) -> tuple[State, str]:
    """Whether a package is there in a version that is allowed; a note with the reason where it is not."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return State.NOTE, "not installed"
    if not requirement.specifier.contains(found, prereleases=True):
        return State.NOTE, f"{found}, but needs {requirement.specifier}"
    return State.OK, found


def _fault_of_import(package: str) -> str:
    """Why a package cannot be imported; empty where it can."""
    try:
        importlib.import_module(_MODULES.get(package, package.replace("-", "_")))
    except Exception as error:  # a compiled package fails in many ways
        return _brief(error)
    return ""


def _plain(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"


def _writable(place: Path) -> bool:
    """Whether a folder can be written to, or made."""
    for one in (place, *place.parents):
        try:
            one.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # below a folder that cannot be read, or no name for a file
            return False
        return one.is_dir() and os.access(one, os.W_OK | os.X_OK)
    return False


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
