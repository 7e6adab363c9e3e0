"""Settings of the tests of networks."""

import pytest

from uq_harness.similarity import neural


@pytest.fixture
def any_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches as they are on a GPU: as large as the room, however much of them is padding."""
    monkeypatch.setattr(neural, "_PADDING_ON_CPU", None)
