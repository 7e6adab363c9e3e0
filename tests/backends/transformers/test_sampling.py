"""Samples cost the rows of a tree, are reproducible, and do not depend on what shares their batch."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import DynamicCache

from tests.backends.transformers.architectures import RECURRENT, tiny_model
from tests.backends.transformers.test_gradients import prompts
from uq_harness.backends.transformers.architecture import Architecture
from uq_harness.backends.transformers.decode import decode
from uq_harness.backends.transformers.decoded import Decoded, DecodedAnswer
from uq_harness.backends.transformers.next_token import logprobs_and_entropies
from uq_harness.evidence import DiverseBeams, Samples
from uq_harness.evidence import SampleSet as Sampler

SAMPLERS: list[Sampler] = [
    Samples(6, 1.0),
    Samples(4, 0.5, top_p=0.99, top_k=5),
    Samples(3, 1.2, top_p=0.8),
    DiverseBeams(4, 1.0),
]
STEPS = 8


def run(
    architecture: Architecture, texts: list[list[int]], samplers: list[Sampler] = SAMPLERS, **settings: object
) -> Decoded:
    defaults = {"end_ids": frozenset({2, 5, 9}), "pad_id": 0, "max_new_tokens": STEPS}
    return decode(architecture, texts, samplers=samplers, **(defaults | settings))


def tokens(samples: dict[Sampler, list[DecodedAnswer]]) -> dict[Sampler, list[tuple[int, ...]]]:
    return {sampler: [answer.token_ids for answer in answers] for sampler, answers in samples.items()}


def assert_same(one: dict[Sampler, list[DecodedAnswer]], other: dict[Sampler, list[DecodedAnswer]]) -> None:
    assert tokens(one) == tokens(other)
    for sampler, answers in one.items():
        for ours, theirs in zip(answers, other[sampler], strict=True):
            np.testing.assert_allclose(ours.logprobs, theirs.logprobs, rtol=0, atol=1e-5)
            np.testing.assert_allclose(ours.entropies, theirs.entropies, rtol=0, atol=1e-5)
            torch.testing.assert_close(ours.state, theirs.state, rtol=0, atol=1e-5)
            assert ours.ended == theirs.ended


class Opaque(DynamicCache):
    """A cache of an unknown kind."""


class OpaqueDecoder(nn.Module):
    """A decoder that returns such caches."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, use_cache: bool = True
    ) -> object:
        return self.decoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=Opaque() if use_cache else None,
            use_cache=use_cache,
        )


@pytest.mark.parametrize("name", ["llama", "mistral_window", "gemma3", "gpt2", "qwen3_moe", *RECURRENT])
def test_logprobs_entropies_and_states_are_those_of_a_teacher_forced_pass(name: str) -> None:
    model = tiny_model(name)
    found = run(Architecture.of(model), prompts(3))
    for text, samples in zip(prompts(3), found.samples, strict=True):
        for answer in (answer for answers in samples.values() for answer in answers):
            with torch.no_grad():
                whole = model(torch.tensor([[*text, *answer.token_ids]]), output_hidden_states=True, use_cache=False)
            logprobs = whole.logits[0, len(text) - 1 : -1].double().log_softmax(-1)
            chosen = logprobs[torch.arange(len(answer.token_ids)), list(answer.token_ids)]
            entropies = -(logprobs.exp() * logprobs).sum(-1)
            np.testing.assert_allclose(answer.logprobs, chosen, rtol=0, atol=1e-4)
            np.testing.assert_allclose(answer.entropies, entropies, rtol=0, atol=1e-4)
            last_fed = whole.hidden_states[model.config.num_hidden_layers // 2][0, -2]
            torch.testing.assert_close(answer.state, last_fed, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["llama", "mistral_window", "gemma3", "gpt2", "opt", "qwen3", "lfm2"])
def test_batch_mates_order_and_padding_change_nothing(name: str) -> None:
    architecture, texts = Architecture.of(tiny_model(name)), prompts()
    together = run(architecture, texts)
    backwards = run(architecture, texts[::-1]).samples[::-1]
    pairs = run(architecture, texts[:2]).samples + run(architecture, texts[2:]).samples
    for i, text in enumerate(texts):
        alone = run(architecture, [text])
        for other in (together.samples[i], backwards[i], pairs[i]):
            assert_same(alone.samples[0], other)
        assert alone.token_ids[0].tolist() == together.token_ids[i, : together.lengths[i]].tolist()


@pytest.mark.parametrize("name", ["llama", "mistral_window", "gpt2"])
def test_greedy_answers_and_their_states_are_the_same_with_and_without_samples(name: str) -> None:
    architecture = Architecture.of(tiny_model(name))
    plain = run(architecture, prompts(), [], captured_block=3, captured_from=-4)
    found = run(architecture, prompts(), captured_block=3, captured_from=-4)
    assert found.lengths == plain.lengths
    assert found.ended == plain.ended
    assert torch.equal(found.token_ids, plain.token_ids)
    for field in ("logprobs", "entropies", "head_states", "middle_states"):
        torch.testing.assert_close(getattr(found, field), getattr(plain, field), rtol=0, atol=1e-5)
    for ours, theirs in zip(found.prompt_cache.layers, plain.prompt_cache.layers, strict=True):
        assert torch.equal(ours.keys, theirs.keys)
    assert plain.samples == [{} for _ in prompts()]


@pytest.mark.parametrize("name", ["llama", "mistral_window", "gpt2"])
def test_a_cache_that_cannot_be_shared_changes_nothing(name: str) -> None:
    architecture = Architecture.of(tiny_model(name))
    opaque = replace(architecture, decoder=OpaqueDecoder(architecture.decoder))
    tree, plain = run(architecture, prompts(3), captured_block=3), run(opaque, prompts(3), captured_block=3)
    assert tree.prompt_cache is not None
    assert plain.prompt_cache is None
    assert plain.row_steps == tree.row_steps
    torch.testing.assert_close(plain.middle_states, tree.middle_states, rtol=0, atol=1e-5)
    for ours, theirs in zip(tree.samples, plain.samples, strict=True):
        assert_same(ours, theirs)


def test_the_first_samples_do_not_depend_on_the_count() -> None:
    architecture = Architecture.of(tiny_model("llama"))
    five, ten = Samples(5, 1.0), Samples(10, 1.0)
    apart = [run(architecture, prompts(2), [one]) for one in (five, ten)]
    both = run(architecture, prompts(2), [five, ten])
    for row in range(2):
        drawn = tokens(apart[1].samples[row])[ten]
        assert tokens(apart[0].samples[row])[five] == drawn[:5]
        assert tokens(both.samples[row]) == {five: drawn[:5], ten: drawn}


def test_prompts_and_seeds_tell_samples_apart_and_equal_prompts_share_them() -> None:
    architecture, (text, another) = Architecture.of(tiny_model("llama")), prompts(2)
    sampler = Samples(10, 1.0)

    def drawn(**settings: object) -> list[list[tuple[int, ...]]]:
        return [tokens(s)[sampler] for s in run(architecture, [text, another, text], [sampler], **settings).samples]

    one, other, same = drawn()
    assert one == same
    assert one != other
    assert drawn(seed=1)[0] != one
    assert drawn() == [one, other, one]


def test_samplers_draw_independently_of_each_other() -> None:
    architecture = Architecture.of(tiny_model("llama"))
    cool, warm = Samples(10, 1.0), Samples(10, 1.0 + 1e-6)
    found = tokens(run(architecture, prompts(1), [cool, warm]).samples[0])
    assert found[cool] != found[warm]


@pytest.mark.parametrize("texts", [prompts(1), prompts(4)])
def test_the_model_reads_every_distinct_prefix_once(texts: list[list[int]]) -> None:
    found = run(Architecture.of(tiny_model("llama")), texts)
    expected = 0
    for row, samples in enumerate(found.samples):
        answers = {answer for drawn in tokens(samples).values() for answer in drawn}
        answers.add(tuple(found.token_ids[row, : found.lengths[row]].tolist()))
        expected += len({answer[:n] for answer in answers for n in range(len(answer))})
    assert found.row_steps == expected


def test_finished_greedy_answers_cost_nothing() -> None:
    found = run(Architecture.of(tiny_model("llama")), prompts(), [], end_ids=frozenset(range(0, 96, 3)))
    assert len(set(found.lengths)) > 1
    assert found.row_steps == sum(found.lengths)


def test_empty_and_one_token_answers() -> None:
    """All tokens end: the state is the one at the prompt's last token."""
    model = tiny_model("llama")
    found = run(Architecture.of(model), prompts(3), end_ids=frozenset(range(96)))
    assert found.row_steps == 3
    for text, samples in zip(prompts(3), found.samples, strict=True):
        with torch.no_grad():
            state = model(torch.tensor([text]), output_hidden_states=True).hidden_states[2][0, -1]
        for answer in (answer for answers in samples.values() for answer in answers):
            assert answer.ended
            assert len(answer.token_ids) == len(answer.logprobs) == len(answer.entropies) == 1
            torch.testing.assert_close(answer.state, state, rtol=0, atol=1e-5)


def test_the_limit_cuts_answers() -> None:
    found = run(Architecture.of(tiny_model("llama")), prompts(2), end_ids=frozenset(), max_new_tokens=1)
    for answer in (answer for samples in found.samples for answers in samples.values() for answer in answers):
        assert len(answer.token_ids) == 1
        assert not answer.ended


def test_long_answers_keep_their_distributions() -> None:
    model = tiny_model("qwen3")
    texts = [text[:5] for text in prompts(2)]
    found = run(Architecture.of(model), texts, [Samples(3, 1.0)], end_ids=frozenset(), max_new_tokens=150)
    for text, samples in zip(texts, found.samples, strict=True):
        for answer in samples[Samples(3, 1.0)]:
            assert len(answer.token_ids) == 150
            with torch.no_grad():
                scores = model(torch.tensor([[*text, *answer.token_ids]])).logits[0, len(text) - 1 : -1]
            chosen = scores.double().log_softmax(-1)[torch.arange(150), list(answer.token_ids)]
            np.testing.assert_allclose(answer.logprobs, chosen, rtol=0, atol=1e-4)


def test_stop_strings_end_every_answer() -> None:
    architecture = Architecture.of(tiny_model("llama"))
    free = run(architecture, prompts(3), end_ids=frozenset())
    stop = tokens(free.samples[0])[SAMPLERS[0]][0][2]
    found = run(architecture, prompts(3), end_ids=frozenset(), stops=lambda written: stop in written)
    for before, after in zip(free.samples, found.samples, strict=True):
        for sampler in SAMPLERS[:3]:  # beams of one prompt influence each other
            for one, other in zip(before[sampler], after[sampler], strict=True):
                n = one.token_ids.index(stop) + 1 if stop in one.token_ids else STEPS
                assert other.token_ids == one.token_ids[:n]
                assert other.ended == (stop in one.token_ids)
        assert all(stop not in answer.token_ids[:-1] for answers in after.values() for answer in answers)


def test_nan_logits_end_every_answer() -> None:
    model = tiny_model("llama")
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    broken = replace(
        Architecture.of(tiny_model("llama")),
        model=model,
        decoder=model.model,
        blocks=model.model.layers,
        head=model.lm_head,
    )
    found = run(broken, prompts(2))
    for answer in (answer for samples in found.samples for answers in samples.values() for answer in answers):
        assert len(answer.token_ids) == 1
        assert np.isnan(answer.logprobs).all()


def test_logits_of_minus_infinity_are_never_drawn_and_have_no_entropy() -> None:
    model = tiny_model("llama", torch.float32)
    model.lm_head.bias = nn.Parameter(torch.full((96,), -torch.inf))
    with torch.no_grad():
        model.lm_head.bias[[20, 30]] = 0
    found = run(Architecture.of(model), prompts(2))
    for answer in (answer for samples in found.samples for answers in samples.values() for answer in answers):
        assert np.isfinite(answer.logprobs[0])
        assert answer.token_ids[0] in (20, 30)
        assert np.isfinite(answer.entropies).all()
    assert bool(torch.isfinite(found.entropies).all())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_a_sure_token_keeps_the_digits_of_its_improbability(dtype: torch.dtype, tolerance: float) -> None:
    """Near a probability of 1 a plain float32 log-softmax gives 0."""
    scores = torch.tensor([[0.0, -25.0, -30.0, -torch.inf]], dtype=dtype)
    expected = scores.double().exp()[0, 1:].sum().log1p()
    at = torch.zeros(1, dtype=torch.long)
    for precisely in (True, False):
        logprob, entropy, _ = logprobs_and_entropies(scores, at, at, at, np.array([precisely]))
        assert float(-logprob[0] / expected) == pytest.approx(1, rel=tolerance)
        assert 0 < float(entropy[0]) < 1e-9
