"""Running out of memory halves the batch and loses nothing."""

import pytest
import torch

from uq_harness.memory import in_halves


def test_halves_until_it_fits_and_keeps_the_order() -> None:
    sizes = []

    def work(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [10 * item for item in batch]

    assert in_halves(work, [1, 2, 3, 4, 5]) == [10, 20, 30, 40, 50]
    assert sizes == [5, 2, 3, 1, 2]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_single_example_that_does_not_fit_is_an_error(error: Exception) -> None:
    def work(batch: list[int]) -> list[int]:
        raise error

    with pytest.raises(type(error)):
        in_halves(work, [1, 2])


def test_other_errors_pass_through_at_once() -> None:
    calls = []

    def work(batch: list[int]) -> list[int]:
        calls.append(batch)
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        in_halves(work, [1, 2, 3])
    assert len(calls) == 1
