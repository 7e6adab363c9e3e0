"""docs/python_api.md: every line of Python in it runs and shows what it says."""

import doctest
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

from uq_harness.demo import MODEL_DIR

PAGE = Path(__file__).parents[2] / "docs" / "python_api.md"


def test_the_examples_show_what_they_say() -> None:
    loaded = {
        "model": AutoModelForCausalLM.from_pretrained(MODEL_DIR),
        "tokenizer": AutoTokenizer.from_pretrained(MODEL_DIR),
    }
    found = doctest.testfile(str(PAGE), module_relative=False, globs=loaded, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted > 15
    assert found.failed == 0
