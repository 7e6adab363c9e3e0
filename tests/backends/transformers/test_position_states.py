"""States at the last positions are those that transformers itself reports, whatever the architecture."""

import pytest
import torch

from tests.backends.transformers.architectures import ARCHITECTURES, tiny_model
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.forward import left_pad
from uq_harness.backends.transformers.position_states import visit_last_positions

PROMPTS = [[5, 9, 17, 4, 8], [11, 3, 7], [6, 2, 9, 9, 1, 30, 12, 13]]


def last_states(name: str, prompts: list[list[int]], layers: range, count: int) -> torch.Tensor:
    architecture = Architecture.of(tiny_model(name, torch.float32))
    ids, mask = left_pad(prompts, 0, torch.device("cpu"))
    seen: list[torch.Tensor] = []
    order: list[int] = []

    def visit(layer: int, states: torch.Tensor) -> None:
        order.append(layer)
        seen.append(states.clone())

    visit_last_positions(architecture, ids, mask, layers, count, visit)
    assert order == list(layers)
    return torch.stack(seen, 1)


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_every_architecture(name: str) -> None:
    found = last_states(name, PROMPTS, range(6), 3)
    model = tiny_model(name, torch.float32)
    for row, prompt in enumerate(PROMPTS):
        with torch.no_grad():
            states = model(torch.tensor([prompt]), output_hidden_states=True).hidden_states
        for layer in range(5):
            torch.testing.assert_close(found[row, layer], states[layer][0, -3:], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma2_softcap", "phi3"])
def test_the_last_layer_is_what_the_final_norm_reads(name: str) -> None:
    found = last_states(name, PROMPTS[:1], range(5, 6), 2)
    model = tiny_model(name, torch.float32)
    with torch.no_grad():
        normed = model.model.norm(found[0, 0])
        states = model(torch.tensor(PROMPTS[:1]), output_hidden_states=True).hidden_states
    torch.testing.assert_close(normed, states[-1][0, -2:], rtol=1e-4, atol=1e-4)
