"""Every fenced block says what it is, and is what it says."""

import ast
import csv
import doctest
import importlib
import inspect
import json
import re

import pytest
import yaml

from tests.docs.blocks import Block, blocks, pages

EVERY = [block for page in pages() for block in blocks(page)]


@pytest.mark.parametrize("block", EVERY, ids=str)
def test_a_block_says_its_language(block: Block) -> None:
    assert block.language in ("bash", "python", "json", "yaml", "csv", "latex", "text", "mermaid")


@pytest.mark.parametrize("block", [block for block in EVERY if block.language == "text"], ids=str)
def test_text_holds_no_command(block: Block) -> None:
    assert not re.search(r"^\s*(\$ |uq-harness |lm_eval |python3? |pip )", block.text, re.MULTILINE)


@pytest.mark.parametrize("block", [block for block in EVERY if block.language == "json"], ids=str)
def test_json_can_be_read(block: Block) -> None:
    for line in block.text.splitlines():
        json.loads(line.replace(", …", ""))


@pytest.mark.parametrize("block", [block for block in EVERY if block.language == "yaml"], ids=str)
def test_yaml_can_be_read(block: Block) -> None:
    assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("block", [block for block in EVERY if block.language == "csv"], ids=str)
def test_csv_has_as_many_cells_in_each_row(block: Block) -> None:
    lines = block.text.splitlines()
    cells = {len(row) for row in csv.reader(lines, csv.Sniffer().sniff(lines[0], ",;"))}
    assert len(cells) == 1
    assert cells != {1}


@pytest.mark.parametrize("block", [block for block in EVERY if block.language == "python"], ids=str)
def test_python_names_what_exists_and_calls_it_as_it_can_be_called(block: Block) -> None:
    examples = doctest.DocTestParser().get_examples(block.text)
    tree = ast.parse("".join(example.source for example in examples) if examples else block.text)
    names = {
        name.asname or name.name: getattr(importlib.import_module(node.module), name.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for name in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            named = {keyword.arg: None for keyword in node.keywords if keyword.arg}
            inspect.signature(names[node.func.id]).bind(*node.args, **named)
