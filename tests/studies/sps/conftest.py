import pytest

from tests.studies.sps.data import demo_model, demo_rows, write_rows
from uq_harness.models import UQHFLM
from uq_harness.studies.sps.measure import measure
from uq_harness.studies.sps.prompts import read_sources
from uq_harness.studies.sps.result import SpsResult


@pytest.fixture(scope="session")
def lm() -> UQHFLM:
    return demo_model()


@pytest.fixture(scope="session")
def paraphrase_files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("paraphrases")
    first = write_rows(folder / "first.jsonl", demo_rows(7))
    second = write_rows(folder / "second.jsonl", demo_rows(5, start=40))
    return [str(first), str(second)]


@pytest.fixture(scope="session")
def result(lm: UQHFLM, paraphrase_files: list[str]) -> SpsResult:
    return measure(lm, read_sources(paraphrase_files), batch_size=32)
