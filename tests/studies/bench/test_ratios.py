"""benchmarks/ratios.py: runs benchmarks, keeps their numbers, and writes the table of benchmarks/README.md."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.blocks import ROOT
from tests.docs.parsing import check

SCRIPT = ROOT / "benchmarks" / "ratios.py"


@pytest.fixture
def ratios(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("ratios", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ratios", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PAGE", tmp_path / "README.md")
    monkeypatch.setattr(module, "KEPT", tmp_path / "ratios.json")
    module.PAGE.write_text(f"Before.\n\n{module.MARK}\nan earlier table", encoding="utf-8")
    return module


def run(module: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["ratios.py", *arguments])
    module.main()
    text: str = module.PAGE.read_text(encoding="utf-8")
    return text


def test_a_benchmark_is_run_kept_and_shown(ratios: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    start = next(one for one in ratios.BENCHMARKS if one.name == "start")
    quick = ratios.Benchmark(start.name, f"{start.command} --rounds 1", start.ratios)
    monkeypatch.setattr(ratios, "BENCHMARKS", (quick,))
    text = run(ratios, monkeypatch, "--rounds", "2")
    assert text.startswith(f"Before.\n\n{ratios.MARK}\n\n| what |")
    assert "an earlier table" not in text
    rounds = json.loads(ratios.KEPT.read_text(encoding="utf-8"))["start"]["rounds"]
    assert len(rounds) == 2
    worst = max(one["over_empty_program"]["--help"] for one in rounds)
    assert re.search(rf"\| 2 \| {re.escape(f'{worst:.3g}')} \| ≤ 2", text)
    assert run(ratios, monkeypatch, "--table") == text


def test_rounds_that_have_ended_outlast_one_that_fails(ratios: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ratios.Benchmark("one", "benchmarks/start.py", (ratios.Ratio("a", ("a",)),))
    other = ratios.Benchmark("other", "benchmarks/start.py", ())
    monkeypatch.setattr(ratios, "BENCHMARKS", (one, other))
    told = iter([{"a": 2.0}])
    monkeypatch.setattr(ratios, "_measured", lambda one, args: next(told))
    with pytest.raises(StopIteration):
        run(ratios, monkeypatch)
    assert json.loads(ratios.KEPT.read_text(encoding="utf-8"))["one"]["rounds"] == [{"a": 2.0}]
    text = ratios.PAGE.read_text(encoding="utf-8")
    assert "| a (`one`) | 1 | 2 |" in text
    assert "Not measured yet: `other`." in text


def test_the_worst_is_shown_and_what_misses_its_goal_says_so(ratios: ModuleType) -> None:
    small = ratios.Ratio("small", ("a", 0), 1.0)
    large = ratios.Ratio("large", ("b",), 8.0, least=True, unit=" s")
    one = ratios.Benchmark("one", "benchmarks/start.py", (small, large))
    found = {"date": "2026-11-28", "rounds": [{"a": [0.5], "b": 9}, {"a": [1.25], "b": 8.5}]}
    assert list(ratios._rows(one, found)) == [
        "| small (`one`) | 2 | 1.25 | ≤ 1, not reached | 2026-11-28 |",
        "| large (`one`) | 2 | 8.5 s | ≥ 8 s | 2026-11-28 |",
    ]


def test_what_bench_prints_is_read(ratios: ModuleType) -> None:
    cost = {"name": "together", "share": {"median": 3.0, "lowest": 2.0, "highest": 4.0}}
    printed = json.dumps({"measured": 8, "costs": [cost], "stages": [{**cost, "name": "nli"}]}, indent=2)
    told = ratios._told(printed)
    assert told == {"questions": 8, "costs": {"together": {"share": 3.0}}, "stages": {"nli": 3.0}}
    of_all = next(one for one in ratios.BENCHMARKS if one.name == "all-smollm2")
    assert [ratio.of(told) for ratio in of_all.ratios] == [3.0]


def test_every_command_has_a_script_with_its_options(ratios: ModuleType) -> None:
    for one in ratios.BENCHMARKS:
        script, *words = one.words({"shared": "S", "smollm2": "M", "gguf": "G"})[1:]
        if script == "-m":
            check(words)  # as the program itself would read it
            continue
        source = (ROOT / script).read_text(encoding="utf-8")
        given = {word for word in words if word.startswith("--")}
        assert given <= set(re.findall(r'"(--[\w-]+)"', source))
        assert given >= set(re.findall(r'add_argument\(\s*"(--[\w-]+)"[^\n]*required=True', source))


def test_the_page_is_that_of_the_numbers(ratios: ModuleType) -> None:
    kept = json.loads(SCRIPT.with_name("ratios.json").read_text(encoding="utf-8"))
    written = SCRIPT.with_name("README.md").read_text(encoding="utf-8").partition(ratios.MARK)[2]
    assert written == f"\n\n{ratios.table(kept)}"


def test_a_model_that_is_needed_is_asked_for(ratios: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="cheap-smollm2 needs --smollm2"):
        run(ratios, monkeypatch, "--only", "cheap-smollm2")
