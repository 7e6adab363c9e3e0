"""``uq-harness doctor`` on this installation, and on ones where something is missing."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from uq_harness.cli import main
from uq_harness.studies.doctor import checks
from uq_harness.studies.doctor.checks import (
    Check,
    State,
    auxiliary_models,
    examine,
    folders,
    optional,
    packages,
    plugin,
)


def test_everything_needed_works_here() -> None:
    found = examine()
    assert [check.name for check in found if check.state is State.BROKEN] == []
    named = {check.name: check for check in found}
    assert named["torch"].found == version("torch")
    assert "uq-hf" in named["models"].found
    assert "uq_demo" in named["tasks"].found
    assert all(check.fix for check in found if check.state is not State.OK)


def test_a_missing_package_is_broken_and_ends_with_status_1(monkeypatch, capsys) -> None:
    def lacking(name: str) -> str:
        if name == "scipy":
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(checks, "version", lacking)
    (broken,) = [check for check in packages() if check.state is State.BROKEN]
    assert broken.name == "scipy"
    assert broken.fix.startswith("pip install 'scipy>=")
    monkeypatch.setattr(sys, "argv", ["uq-harness", "doctor", "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    told = json.loads(capsys.readouterr().out)
    assert told["works"] is False
    assert [check["name"] for check in told["checks"] if check["state"] == "broken"] == ["scipy"]


def test_a_package_that_is_there_and_cannot_be_imported_is_broken(monkeypatch) -> None:
    for module in ("scipy.stats", "sklearn.linear_model"):
        monkeypatch.setitem(sys.modules, module, None)
    broken = {check.name: check for check in packages() if check.state is State.BROKEN}
    assert {"scipy", "scikit-learn"} <= broken.keys()
    assert broken["scipy"].found.startswith(f"{version('scipy')}, but cannot be imported: ModuleNotFoundError")
    assert broken["scipy"].fix.startswith("pip install --force-reinstall --no-deps 'scipy>=")


def test_without_the_hub_the_command_still_says_everything_else() -> None:
    code = (
        "import sys; sys.modules['huggingface_hub'] = None; sys.argv = ['uq-harness', 'doctor', '--json'];"
        "from uq_harness.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    states = {(check["group"], check["name"]): check["state"] for check in json.loads(done.stdout)["checks"]}
    assert states["packages", "huggingface-hub"] == "broken"
    assert states["packages", "torch"] == "ok"
    assert states["auxiliary models", "this check"] == states["cache folders", "this check"] == "broken"


@pytest.mark.parametrize("part", ["packages", "device", "plugin", "optional", "auxiliary_models", "folders"])
def test_a_part_that_fails_is_broken_and_takes_no_other_with_it(monkeypatch, part: str) -> None:
    first = Check("group", "first", State.OK, "works")

    def failing() -> Iterator[Check]:
        yield first
        raise RuntimeError("a reason")

    for name in ("packages", "device", "plugin", "optional", "auxiliary_models", "folders"):
        monkeypatch.setattr(checks, name, failing if name == part else lambda: [first])
    found = examine()
    assert found.count(first) == 6
    (broken,) = [check for check in found if check is not first]
    assert broken.state is State.BROKEN
    assert broken.found == "cannot be made: RuntimeError: a reason"
    assert broken.fix


def test_a_version_that_is_too_old_is_told(monkeypatch) -> None:
    monkeypatch.setattr(checks, "version", lambda name: "2.1" if name == "torch" else version(name))
    (broken,) = [check for check in packages() if check.state is State.BROKEN]
    assert broken.found.startswith("2.1, but needs >=")


def test_optional_parts_name_their_command(monkeypatch) -> None:
    def lacking(name: str) -> str:
        if name in ("openai", "vllm"):
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(checks, "version", lacking)
    found = {check.name: check for check in optional()}
    assert found["uq-harness[api]"].fix == "pip install 'openai>=1.60'"
    assert "openai" in found["uq-harness[api]"].found
    assert found["vllm"].fix == "pip install vllm"
    assert not {"uq-harness[dev]", "uq-harness[docs]"} & found.keys()  # not what users need


def test_the_hook_that_is_off_is_told(monkeypatch) -> None:
    monkeypatch.setattr(
        sys, "meta_path", [one for one in sys.meta_path if "autoload" not in getattr(one, "__module__", "")]
    )
    monkeypatch.setenv("UQ_HARNESS_AUTOLOAD", "0")
    hook = next(check for check in plugin() if check.name == "start-up hook")
    assert hook.state is State.NOTE
    assert "uq-harness run" in hook.fix


def test_models_in_the_cache_are_told_from_missing_ones(monkeypatch, tmp_path: Path) -> None:
    import huggingface_hub

    def cached(repository: str, name: str) -> str | None:
        return str(tmp_path) if repository.startswith("microsoft/") else None

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    states = {check.name: check.state for check in auxiliary_models()}
    assert states["NLI"] is State.OK
    assert states["similarity"] is State.NOTE


def test_a_folder_that_cannot_be_written_to_is_told(monkeypatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "file" / "datasets"))
    found = {check.name: check for check in folders()}
    assert found["data sets (HF_DATASETS_CACHE)"].state is State.NOTE
    assert "cannot be written to" in found["data sets (HF_DATASETS_CACHE)"].found


def test_a_folder_that_cannot_be_looked_at_is_not_written_to(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / ("x" * 300) / "datasets"))  # OSError: no such name can be
    found = {check.name: check for check in folders()}
    assert found["data sets (HF_DATASETS_CACHE)"].state is State.NOTE
    assert "cannot be written to" in found["data sets (HF_DATASETS_CACHE)"].found
