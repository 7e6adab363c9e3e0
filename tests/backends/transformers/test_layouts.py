"""Long prompts share their keys and values where the model's attention allows it, and only there."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.integrations import sdpa_attention

from tests.backends.transformers.architectures import tiny_model
from uq_harness.backends.transformers import forward
from uq_harness.backends.transformers import prefixes as layouts
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.backends.transformers.forward import Prefill
from uq_harness.backends.transformers.prefixes import (
    LONG_PROMPT,
    MANY_ANSWERS,
    CopiedPrefixes,
    ReadAgainPrefixes,
    TreePrefixes,
    begin,
)
from uq_harness.demo import MODEL_DIR
from uq_harness.evidence import Samples
from uq_harness.evidence.backend import gather_all
from uq_harness.evidence.prompt import Prompt, StopCriteria


def kind(architecture: Architecture, length: int, answers: int, layout: str = "auto") -> type:
    prefill = Prefill.read(architecture, [[7] * length], 0)
    return type(begin(architecture, prefill, (), answers, layout))


def test_prompts_share_where_they_are_long_and_their_answers_many(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = Architecture.of(tiny_model("gpt_neox"))
    monkeypatch.setattr(layouts, "LONG_PROMPT", 32)
    assert kind(architecture, 32, MANY_ANSWERS) is TreePrefixes
    assert kind(architecture, 31, MANY_ANSWERS) is CopiedPrefixes
    assert kind(architecture, 32, MANY_ANSWERS - 1) is CopiedPrefixes
    assert kind(architecture, 32, MANY_ANSWERS, "copied") is CopiedPrefixes
    assert kind(architecture, 5, 1, "tree") is TreePrefixes
    assert LONG_PROMPT > 32


@pytest.mark.parametrize("name", ["mistral_window", "gemma3", "bloom"])
def test_windows_and_positions_from_masks_keep_copies(name: str) -> None:
    architecture = Architecture.of(tiny_model(name, torch.float32))
    assert kind(architecture, 5, 1, "tree") is CopiedPrefixes


def test_a_cache_that_cannot_be_shared_is_read_again() -> None:
    architecture = Architecture.of(tiny_model("lfm2"))
    assert kind(architecture, 5, 1, "tree") is ReadAgainPrefixes


def test_a_model_that_takes_no_mask_for_every_answer_keeps_copies(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Found out when the model is loaded, by comparing; here the answers would see each other."""
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)

    def layout() -> str:
        backend = TransformersBackend(model, tokenizer, max_length=256, pad_id=0)
        backend.prepare([Samples(10, 1.0)])
        return backend._layout

    assert layout() == "auto"
    read = forward.states

    def careless(architecture, ids, mask, cache=None, use_cache=True, position_ids=None):
        return read(
            architecture, ids, torch.ones_like(mask) if mask.ndim == 4 else mask, cache, use_cache, position_ids
        )

    monkeypatch.setattr(forward, "states", careless)
    assert layout() == "copied"
    assert "long prompts get copies" in caplog.text


def test_long_prompts_give_the_evidence_of_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    model = AutoModelForCausalLM.from_pretrained(MODEL_DIR, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    samples = Samples(10, 1.0)
    texts = ["What is the capital of Foloria? " * n for n in (9, 12, 7, 10)]
    prompts = [Prompt(text, text, tokenizer(text)["input_ids"], -1) for text in texts]
    stop = StopCriteria(frozenset({2}), 12, read=lambda tokens: (repr(tokens), range(len(tokens))))
    backend = TransformersBackend(model, tokenizer, max_length=256, pad_id=0)
    backend.prepare([samples])
    monkeypatch.setattr(layouts, "LONG_PROMPT", 10**6)
    copied = gather_all(backend, prompts, stop)
    monkeypatch.setattr(layouts, "LONG_PROMPT", 1)
    shared = gather_all(backend, prompts, stop)
    for one, other in zip(copied, shared, strict=True):
        assert one.answer.text == other.answer.text
        assert [s.text for s in one[samples]] == [s.text for s in other[samples]]
        assert other.cost["row_steps"] == one.cost["row_steps"]


def test_eager_attention_takes_the_mask_as_summands() -> None:
    model = tiny_model("llama", torch.float32)
    model.set_attn_implementation("eager")
    architecture = Architecture.of(model)
    found = {}
    for layout in ("copied", "tree"):
        prefixes = begin(architecture, Prefill.read(architecture, [[7, 8, 9], [4, 5]], 0), (), 1, layout)
        prefixes.grow(np.array([0, 0, 1]), np.array([11, 12, 13]))
        prefixes.grow(np.array([0, 1, 1, 2]), np.array([21, 22, 23, 24]))
        found[type(prefixes)] = prefixes.head_states
    torch.testing.assert_close(found[TreePrefixes], found[CopiedPrefixes], rtol=0, atol=1e-4)


def test_on_a_cpu_keys_that_heads_share_are_not_copied_for_every_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRANSFORMERS_SDPA_FORCE_GQA", raising=False)
    model = tiny_model("llama", torch.float32)
    assert model.config.num_key_value_heads < model.config.num_attention_heads
    copied = []
    repeat = sdpa_attention.repeat_kv
    monkeypatch.setattr(sdpa_attention, "repeat_kv", lambda keys, times: copied.append(times) or repeat(keys, times))
    ids = torch.tensor([[7, 8, 9], [0, 4, 5]])
    mask = torch.tensor([[1, 1, 1], [0, 1, 1]])
    expected = model(input_ids=ids, attention_mask=mask).logits
    assert copied
    copied.clear()
    architecture = Architecture.of(model)
    prefixes = begin(architecture, Prefill.read(architecture, [[7, 8, 9], [4, 5]], 0), (), 1, "tree")
    prefixes.grow(np.array([0, 0, 1]), np.array([11, 12, 13]))
    assert not copied
    torch.testing.assert_close(model(input_ids=ids, attention_mask=mask).logits[mask.bool()], expected[mask.bool()])
