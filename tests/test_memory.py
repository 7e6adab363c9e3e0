"""Running out of memory shrinks the batches, and loses nothing."""

from collections.abc import Iterator

import pytest
import torch

from uq_harness.batching import Room, in_shrinking_batches, in_shrinking_streams, is_out_of_memory


def test_halves_until_it_fits_remembers_it_and_yields_each_batch_at_once() -> None:
    sizes, done = [], []

    def work(batch: list[int]) -> list[int]:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if 6 in batch:
            raise RuntimeError("something else")
        return [10 * item for item in batch]

    batches = in_shrinking_batches(work, [1, 2, 3, 4, 5, 6], 5)
    done += next(batches)[1] + next(batches)[1]
    with pytest.raises(RuntimeError, match="something else"):
        next(batches)
    assert done == [10, 20, 30, 40]
    assert sizes == [5, 2, 2, 2]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_single_example_that_does_not_fit_is_an_error(error: Exception) -> None:
    def work(batch: list[int]) -> list[int]:
        raise error

    with pytest.raises(type(error)):
        list(in_shrinking_batches(work, [1, 2], 2))


def test_other_errors_pass_through_at_once() -> None:
    calls = []

    def work(batch: list[int]) -> list[int]:
        calls.append(batch)
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(in_shrinking_batches(work, [1, 2, 3], 3))
    assert len(calls) == 1


def test_a_stream_that_runs_out_of_memory_begins_again_with_what_is_not_done() -> None:
    begun = []

    def work(items: list[str], size: int) -> Iterator[tuple[list[int], str]]:
        begun.append(("".join(items), size))
        yield [1, 0], items[1] + items[0]
        if size > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield list(range(2, len(items))), "".join(items[2:])

    found = list(in_shrinking_streams(work, "abcdefg", 4))
    assert begun == [("abcdefg", 4), ("cdefg", 2), ("efg", 1)]
    assert found == [(["b", "a"], "ba"), (["d", "c"], "dc"), (["f", "e"], "fe"), (["g"], "g")]


def test_an_item_that_does_not_fit_alone_has_a_result_of_its_own_and_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def work(batch: list[int]) -> list[int]:
        if sum(batch) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch

    room = Room(4, "it is -1")
    found = [one for _, done in in_shrinking_batches(work, [1, 9, 2, 8], room, lambda _: [-1]) for one in done]
    assert found == [1, -1, 2, -1]
    assert caplog.text.count("it is -1") == 1
    assert room.size == 1


def test_what_fits_is_remembered_for_the_next_call() -> None:
    sizes = []

    def work(batch: list[int]) -> None:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    room = Room(4)
    for _ in range(2):
        list(in_shrinking_batches(work, [1, 2, 3, 4], room))
    assert sizes == [4, 2, 2, 2, 2]


def test_a_lack_of_memory_in_tensorflow_counts_and_another_of_its_errors_does_not() -> None:
    raised = [
        type(name, (Exception,), {"__module__": "tensorflow.python.framework.errors_impl"})()
        for name in ("ResourceExhaustedError", "InvalidArgumentError")
    ]
    assert [is_out_of_memory(error) for error in raised] == [True, False]


def test_a_room_decides_how_many_go_together_and_what_to_do_after_a_failure() -> None:
    class Weights(Room):
        def fits(self, waiting: list[int], start: int = 0) -> int:
            return min(max(1, self.size // waiting[start]), len(waiting) - start)

        def too_large(self, size: int, waiting: list[int]) -> int:
            return self.fits(waiting)

        def shrink(self, size: int, waiting: list[int]) -> None:
            self.size = size // 2 * waiting[0]

    batches = []

    def work(batch: list[int]) -> list[int]:
        batches.append(batch)
        if sum(batch) > 6:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch

    room = Weights(16, otherwise="")
    found = [one for _, done in in_shrinking_batches(work, [4, 3, 3, 1, 1, 1, 1], room) for one in done]
    assert found == [4, 3, 3, 1, 1, 1, 1]
    assert batches == [[4, 3, 3, 1], [4, 3], [4], [3], [3], [1, 1, 1, 1]]
