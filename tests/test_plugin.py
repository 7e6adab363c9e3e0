"""The start-up hook: stock lm_eval finds model and tasks, at no cost, and it can be switched off."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def python(code: str, **environment: str) -> str:
    """Output of a fresh interpreter that knows the package only through its path."""
    # the hook comes from the checkout, as the start-up file would install it
    start = "import _uq_harness_autoload; _uq_harness_autoload.install();"
    clean = {key: value for key, value in os.environ.items() if key != "UQ_HARNESS_AUTOLOAD"}
    return subprocess.run(
        [sys.executable, "-c", start + code],
        env={**clean, "PYTHONPATH": str(ROOT), **environment},
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    ).stdout.strip()


TASKS = "from lm_eval.tasks import TaskManager; print('uq_demo' in TaskManager(include_defaults=False).all_tasks)"
MODEL = "import lm_eval.models; from lm_eval.api.registry import model_registry; print('uq-hf' in model_registry)"
GROUP = "from lm_eval.tasks import TaskManager; print('uq_bench' in TaskManager(include_defaults=False).all_groups)"


@pytest.mark.parametrize("code", [TASKS, MODEL, GROUP])
def test_lm_eval_finds_what_the_package_brings(code: str) -> None:
    assert python(code) == "True"


@pytest.mark.parametrize("code", [TASKS, MODEL])
def test_an_environment_variable_switches_the_hook_off(code: str) -> None:
    assert python(code, UQ_HARNESS_AUTOLOAD="0") == "False"


def test_nothing_heavy_is_imported_at_start_up() -> None:
    heavy = {"uq_harness", "lm_eval", "torch", "numpy"}
    assert python(f"import sys; print({heavy} & set(sys.modules))") == "set()"


def test_a_probe_for_the_module_does_not_use_the_hook_up() -> None:
    code = "from importlib.util import find_spec; import lm_eval; find_spec('lm_eval.models');" + MODEL
    assert python(code) == "True"


def test_a_broken_package_never_breaks_lm_eval() -> None:
    broken = "import sys; sys.modules['uq_harness'] = None;"
    assert python(broken + "import lm_eval.models; print('fine')") == "fine"


@pytest.mark.parametrize("broken", ["raise SystemExit(3)", "raise RuntimeError('half there')", "def f(:"])
def test_a_package_that_cannot_be_imported_never_breaks_lm_eval(broken: str, tmp_path: Path) -> None:
    """Not even where warnings are errors."""
    (tmp_path / "uq_harness").mkdir()
    (tmp_path / "uq_harness" / "__init__.py").write_text(broken)
    code = (
        f"import sys, warnings; sys.path.insert(0, {str(tmp_path)!r}); warnings.simplefilter('error', UserWarning);"
        "import lm_eval._cli.harness; print('fine')"
    )
    assert python(code) == "fine"


@pytest.fixture
def later(tmp_path: Path) -> str:
    """Code after which lm_eval seems to be a version that the package does not know."""
    information = tmp_path / "lm_eval-0.5.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: lm_eval\nVersion: 0.5.0\n")
    return f"import sys; sys.path.insert(0, {str(tmp_path)!r});"


def test_an_unknown_version_of_lm_eval_is_left_alone_and_a_warning_says_so_once(later: str) -> None:
    noted = "import warnings; caught = warnings.catch_warnings(record=True); w = caught.__enter__();"
    watched = "import lm_eval.tasks.manager, lm_eval._cli.harness, lm_eval.loggers.evaluation_tracker;"
    said = "ours = [str(x.message) for x in w if 'uq_harness' in str(x.message)]; print(len(ours), ours[0]);"
    output = python(later + noted + watched + said + TASKS)
    assert output.startswith("1 uq_harness could not register with lm_eval: lm_eval 0.5.0 is installed")
    assert "pip install 'lm-eval<0.5,>=0.4.13'" in output
    assert output.endswith("False")


def test_an_unknown_version_of_lm_eval_ends_our_own_command(later: str) -> None:
    code = (
        later
        + "sys.argv = ['uq-harness', 'run', '--tasks', 'uq_demo']\nfrom uq_harness.cli import main\ntry:\n  main()\n"
    )
    output = python(code + "except SystemExit as end:\n  print(end.code)")
    assert output.splitlines()[-1] == "2"


def test_an_interrupt_while_registering_interrupts(tmp_path: Path) -> None:
    (tmp_path / "uq_harness").mkdir()
    (tmp_path / "uq_harness" / "__init__.py").write_text("raise KeyboardInterrupt")
    code = (
        f"\nimport sys\nsys.path.insert(0, {str(tmp_path)!r})\n"
        "try:\n  import lm_eval._cli.harness\nexcept KeyboardInterrupt:\n  print('interrupted')"
    )
    assert python(code) == "interrupted"


def start(site: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter with only this folder's start-up file, where warnings are errors."""
    code = f"import site; site.addsitedir({str(site)!r}); import sys; print([str(f) for f in sys.meta_path][0])"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", code], check=True, capture_output=True, text=True, cwd="/"
    )


@pytest.mark.parametrize("left", [None, "", "install = 3", "def install(:", "raise RuntimeError", "\0"])
def test_a_half_removed_package_never_prints(left: str | None, tmp_path: Path) -> None:
    """A deleted checkout, a broken uninstall, an empty or torn file after a full disk."""
    shutil.copy(ROOT / "startup" / "uq_harness.pth", tmp_path)
    if left is not None:
        (tmp_path / "_uq_harness_autoload.py").write_text(left)
    done = start(tmp_path)
    assert "_uq_harness_autoload" not in done.stdout
    assert done.stderr == ""


def test_the_start_up_file_installs_the_hook(tmp_path: Path) -> None:
    shutil.copy(ROOT / "startup" / "uq_harness.pth", tmp_path)
    shutil.copy(ROOT / "_uq_harness_autoload.py", tmp_path)
    done = start(tmp_path)
    assert "_uq_harness_autoload._Finder" in done.stdout
    assert done.stderr == ""


def test_registering_twice_does_no_harm() -> None:
    code = "import uq_harness; uq_harness.register(); uq_harness.register();" + TASKS
    assert python(code) == "True"


def test_the_users_own_task_folder_wins(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "uq_demo.yaml").write_text("task: uq_demo\ndataset_path: mine\noutput_type: generate_until\n")
    code = (
        "from lm_eval.tasks import TaskManager;"
        f"t = TaskManager(include_defaults=False, include_path={str(folder)!r});"
        "print(t._index['uq_demo'].yaml_path if hasattr(t, '_index') else t.task_index['uq_demo'])"
    )
    assert str(folder) in python(code)


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ("--help", {"torch", "transformers", "lm_eval", "scipy", "sklearn", "numpy"}),
        ("methods", {"torch", "transformers", "lm_eval", "scipy", "sklearn"}),
    ],
)
def test_commands_that_only_tell_are_light(command: str, heavy: set[str]) -> None:
    code = (
        f"import sys; sys.argv = ['uq-harness', {command!r}]\ntry:\n  from uq_harness.cli import main; main()\n"
        f"except SystemExit: pass\nprint(sorted({heavy} & set(sys.modules)))"
    )
    assert python("\n" + code).splitlines()[-1] == "[]"


def test_models_of_lm_eval_stay_known() -> None:
    code = "import uq_harness; uq_harness.register(); from lm_eval.api.registry import get_model;"
    assert python(code + "print(get_model('hf').__name__)", UQ_HARNESS_AUTOLOAD="0") == "HFLM"
