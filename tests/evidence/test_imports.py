"""What the contract and the backends without a model import."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["uq_harness.evidence", "uq_harness.evidence.backend", "uq_harness.backends.saved"])
def test_no_language_model_is_imported(module: str) -> None:
    code = f"import sys, {module}; print({{'torch', 'transformers', 'lm_eval'}} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_reading_saved_answers_imports_no_language_model() -> None:
    code = (
        "import sys, uq_harness.backends.saved.backend, uq_harness.backends.saved.read;"
        "print({'torch', 'transformers', 'lm_eval'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
