"""Ordinary layers pass gradients, in every architecture and type of floats."""

import pytest
import torch

from tests.backends.transformers.architectures import ARCHITECTURES, RECURRENT, tiny_model
from tests.backends.transformers.test_gradients import prompts
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.gradient_flow import what_blocks_gradients


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [*ARCHITECTURES, *RECURRENT])
def test_nothing_blocks_the_gradients_of_ordinary_layers(name: str, dtype: torch.dtype) -> None:
    architecture = Architecture.of(tiny_model(name, dtype))
    assert what_blocks_gradients(architecture, prompts(1)[0], pad_id=0, first_block=0) is None
