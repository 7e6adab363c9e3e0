"""The golden inputs of BEM."""

import json

from tests.support import SHARED

CASES = json.loads((SHARED / "golden" / "bem_inputs.json").read_text(encoding="utf-8"))["cases"] if SHARED else []


def vocabulary() -> list[str]:
    """The tokens of bert-base-uncased in the order of their ids."""
    return (SHARED / "data" / "bert_vocab" / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
