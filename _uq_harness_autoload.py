"""Makes an installed uq_harness known to the stock ``lm_eval`` program.

``uq_harness.pth`` (``uq_harness.start`` from Python 3.15 on) calls `install` at every interpreter start, so this module
imports next to nothing and does nothing until lm_eval is imported. Setting UQ_HARNESS_AUTOLOAD=0 switches it off.
"""

import os
import sys

# Modules of lm_eval, and the function of `uq_harness.evaluation.plugin` that runs once each has been executed.
_WATCHED = {
    "lm_eval.models": "register_models",
    "lm_eval.tasks.manager": "register_tasks",
    "lm_eval._cli.harness": "guard_command",
    "lm_eval.loggers.evaluation_tracker": "guard_tracker",
}


class _Finder:
    """First on ``sys.meta_path``; answers only for the watched modules."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        """Lets the other finders find a watched module, and registers once it has been executed."""
        if name not in _WATCHED:
            return None
        for finder in sys.meta_path:
            find = None if finder is _Finder else getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                _register_after_loading(spec, _WATCHED[name])
                return spec
        return None


def _register_after_loading(spec, registration):
    execute = spec.loader.exec_module

    def execute_and_register(module):
        execute(module)
        try:
            from uq_harness.evaluation import plugin

            getattr(plugin, registration)()
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a broken uq_harness, even one that exits, must never break lm_eval
            said = str(error) if type(error).__name__ == "UQHarnessError" else repr(error)
            _warn(f"uq_harness could not register with lm_eval: {said}")

    spec.loader.exec_module = execute_and_register


_warnings = set()


def _warn(message):
    """Warns once, though several modules are watched."""
    if message in _warnings:
        return
    _warnings.add(message)
    import warnings

    try:
        warnings.warn(message, stacklevel=3)
    except Warning:  # the user has made errors of warnings, which would break lm_eval
        print(message, file=sys.stderr)


def install():
    """Starts watching, unless the user has switched it off."""
    if os.environ.get("UQ_HARNESS_AUTOLOAD", "1") != "0" and _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
