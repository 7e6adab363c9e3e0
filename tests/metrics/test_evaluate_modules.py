"""The modules for Hugging Face `evaluate`, loaded offline from the repository as a user would."""

import math
from pathlib import Path

import evaluate
import numpy as np
import pytest

from uq_harness import functional

METRICS = Path(__file__).resolve().parents[2] / "metrics"
NAMES = ["auroc", "aurc", "prr"]


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    cache = tmp_path_factory.mktemp("evaluate")
    return {name: evaluate.load(str(METRICS / name), cache_dir=str(cache)) for name in NAMES}


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    correct = random.integers(2, size=50)
    return {"predictions": np.round(random.normal(size=50) - correct, 1), "references": correct}


@pytest.mark.parametrize("name", NAMES)
def test_value_is_the_functions(modules, rows, name):
    result = modules[name].compute(**rows)
    assert result[name] == getattr(functional, name)(rows["predictions"], rows["references"])
    assert set(result) == {name, f"{name}_stderr"}


def test_auroc_stderr_is_delongs(modules, rows):
    expected = functional.auroc_stderr(rows["predictions"], rows["references"])
    assert modules["auroc"].compute(**rows)["auroc_stderr"] == expected


@pytest.mark.parametrize("name", ["aurc", "prr"])
def test_other_stderrs_are_by_bootstrap(modules, rows, name):
    result = modules[name].compute(**rows, n_resamples=50, seed=3)
    errors = functional.bootstrap_stderr(rows["predictions"], rows["references"], n_resamples=50, seed=3)
    assert result[f"{name}_stderr"] == getattr(errors, name)


@pytest.mark.parametrize("name", NAMES)
def test_batches_add_up(modules, rows, name):
    module = modules[name]
    for prediction, reference in zip(rows["predictions"], rows["references"], strict=True):
        module.add(prediction=prediction, reference=reference)
    assert module.compute() == module.compute(**rows)


@pytest.mark.parametrize("name", NAMES)
def test_missing_scores_are_left_out(modules, rows, name):
    module = modules[name]
    padded = {
        "predictions": [None, *rows["predictions"], math.nan],
        "references": [1, *rows["references"], 0],
    }
    assert module.compute(**padded)[name] == module.compute(**rows)[name]


@pytest.mark.parametrize("name", NAMES)
def test_one_class_is_nan(modules, name):
    result = modules[name].compute(predictions=[0.1, 0.2], references=[1, 1])
    assert all(math.isnan(value) for value in result.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_module_has_a_card(name):
    card = (METRICS / name / "README.md").read_text(encoding="utf-8")
    assert f'evaluate.load("metrics/{name}")' in card


def test_loads_from_the_root_of_the_repository(monkeypatch):
    monkeypatch.chdir(METRICS.parent)
    result = evaluate.load("metrics/auroc").compute(predictions=[0.1, 0.9], references=[1, 0])
    assert result["auroc"] == 1
