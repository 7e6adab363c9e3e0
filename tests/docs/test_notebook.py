"""examples/quickstart.ipynb: runs from top to bottom, offline."""

from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.blocks import ROOT

NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The notebook's cells of code, with what they showed."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    folder = str(tmp_path_factory.mktemp("notebook"))
    done = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    return [cell for cell in done.cells if cell.cell_type == "code"]


def shown(cells: list[Any], kind: str) -> list[str]:
    outputs = [output for cell in cells for output in cell.outputs]
    return [output.data[kind] for output in outputs if "data" in output and kind in output.data]


def test_it_is_kept_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_it_shows_an_answer_tables_and_a_picture(cells: list[Any]) -> None:
    pages = shown(cells, "text/html")
    assert any("probability" in page for page in pages)
    assert sum("<table" in page for page in pages) >= 2
    assert any("auroc" in page for page in pages)  # of the run, which lm_eval names so
    assert len(shown(cells, "image/png")) == 1


def test_it_abstains_from_what_is_doubtful(cells: list[Any]) -> None:
    said = "".join(output.text for cell in cells[-2:] for output in cell.outputs if output.name == "stdout")
    without, with_rule, sure, doubtful = said.splitlines()
    shares = [int(line.split("%")[0].split()[-1]) for line in (without, with_rule)]
    assert shares[1] < shares[0]
    assert sure.endswith("Glorohaven")
    assert doubtful.endswith("I do not know.")


def test_its_links_resolve() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    links = [part.split(")")[0] for part in text.split("](")[1:]]
    assert links
    assert all((NOTEBOOK.parent / link).is_file() for link in links)
