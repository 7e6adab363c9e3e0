"""Greedy decoding gives what `generate` gives, and the log-probabilities of a teacher-forced pass."""

import pytest
import torch

from tests.backends.transformers.architectures import ARCHITECTURES, FLOAT32_ONLY, RECURRENT, tiny_model
from tests.backends.transformers.test_gradients import prompts
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode
from uq_harness.backends.transformers.forward import left_pad

STEPS = 8


@pytest.mark.parametrize("name", [*ARCHITECTURES, *RECURRENT])
def test_equals_generate_token_for_token(name: str) -> None:
    model = tiny_model(name, torch.float32 if name in FLOAT32_ONLY else torch.float64)
    # padding is no business of a recurrent state
    texts = prompts()[:1] if name in RECURRENT else prompts()
    ids, mask = left_pad(texts, 0, model.device)
    expected = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=STEPS, do_sample=False, eos_token_id=2, pad_token_id=0
    )[:, ids.shape[1] :]
    found = decode(Architecture.of(model), texts, end_ids=frozenset({2}), pad_id=0, max_new_tokens=STEPS)
    for row, length in enumerate(found.lengths):
        assert found.token_ids[row, :length].tolist() == expected[row, :length].tolist()


@pytest.mark.parametrize("name", ["llama", "mistral_window", "gpt2", "granite_scaled"])
def test_logprobs_and_entropies_are_those_of_a_teacher_forced_pass(name: str) -> None:
    model = tiny_model(name)
    found = decode(Architecture.of(model), prompts(), end_ids=frozenset({2}), pad_id=0, max_new_tokens=STEPS)
    for row, (text, length) in enumerate(zip(prompts(), found.lengths, strict=True)):
        answer = found.token_ids[row, :length].tolist()
        with torch.no_grad():
            logits = model(torch.tensor([text + answer])).logits[0, len(text) - 1 : -1]
        logprobs = logits.double().log_softmax(-1)
        torch.testing.assert_close(
            found.logprobs[row, :length], logprobs[torch.arange(length), answer], rtol=0, atol=1e-5
        )
        torch.testing.assert_close(
            found.entropies[row, :length], -(logprobs.exp() * logprobs).sum(-1), rtol=0, atol=1e-5
        )


def test_stops_at_each_rows_own_end_and_says_which_were_cut() -> None:
    architecture = Architecture.of(tiny_model("llama"))
    free = decode(architecture, prompts(), end_ids=frozenset(), pad_id=0, max_new_tokens=STEPS)
    end = int(free.token_ids[0, 2])
    found = decode(architecture, prompts(), end_ids=frozenset({end}), pad_id=0, max_new_tokens=STEPS)
    assert found.lengths[0] == free.token_ids[0].tolist().index(end) + 1
    assert found.ended[0]
    assert found.ended == [end in row[:STEPS] for row in free.token_ids.tolist()]


def test_nan_logits_end_the_answer() -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    architecture = Architecture.of(tiny_model("llama"))
    broken = type(architecture)(**{**vars(architecture), "model": model, "decoder": model.model, "head": model.lm_head})
    found = decode(broken, prompts(2), end_ids=frozenset({2}), pad_id=0, max_new_tokens=STEPS)
    assert found.lengths == [1, 1]
    assert bool(found.logprobs.isnan().all())
