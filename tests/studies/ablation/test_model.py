"""What an ablation records about each answer."""

import numpy as np

from uq_harness.evidence import Answer, Evidence
from uq_harness.studies.ablation.model import FIELD, SizesRecorder


def test_gradients_that_memory_did_not_hold_are_nan() -> None:
    recorder = SizesRecorder((-2, -1), n_blocks=3)
    answer = Answer("", (), np.empty(0), np.empty(0), complete=False)
    sizes = recorder.record(Evidence("Which city?", answer, undefined=frozenset(recorder.needs())))[FIELD]
    assert (sizes.head.shape, sizes.absolute.shape, sizes.squared.shape) == ((2,), (2, 3, 2), (2, 3, 2))
    assert all(np.isnan(found).all() for found in (sizes.head, sizes.absolute, sizes.squared))
