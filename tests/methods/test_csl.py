"""CSL of the demo model's answers: the weights are those of the grading prompt, whatever is asked beside it."""

import copy
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.backends.served.demo import demo, engine, gathered, prompts, stop
from uq_harness.backends.saved.backend import SavedBackend
from uq_harness.backends.saved.read import read_saved
from uq_harness.backends.served.backend import ServedBackend
from uq_harness.backends.transformers.backend import TransformersBackend
from uq_harness.evidence import Answer, Evidence
from uq_harness.methods import build_methods, scores, select_methods
from uq_harness.methods.csl import GRADING

METHODS = build_methods("csl", {})


def backend(methods: str = "csl") -> TransformersBackend:
    own = TransformersBackend(*demo(), max_length=1024, pad_id=0)
    own.prepare(list(dict.fromkeys(need for method in build_methods(methods, {}) for need in method.needs())))
    return own


def test_the_score_is_that_of_a_plain_pass_over_the_grading_prompt() -> None:
    model, tokenizer = demo()
    model = copy.deepcopy(model)
    model.set_attn_implementation("eager")
    asked = prompts(6)
    for prompt, found in zip(asked, gathered(backend(), asked, stop()), strict=True):
        assert found.answer.token_ids is not None
        assert found.answer.logprobs is not None
        answer = list(found.answer.token_ids)
        *words, end = answer
        assert end == tokenizer.eos_token_id  # which does not stand in the prompt
        before = tokenizer(f"Question: {prompt.question}\nPossible answer:\n")["input_ids"]
        after = tokenizer("\nIs the possible answer:\nA) True\nB) False\nThe possible answer is:")["input_ids"]
        with torch.no_grad():
            maps = model(torch.tensor([before + words + after]), output_attentions=True).attentions
        weights = torch.cat(maps).double().mean((0, 1))[-1, len(before) : len(before) + len(words)].numpy()
        expected = -(weights / weights.sum() * found.answer.logprobs[:-1]).sum()
        assert scores(METHODS, found)["csl"] == pytest.approx(expected, abs=1e-5)
        assert found[GRADING].mean(0) == pytest.approx([*weights, 0.0], abs=1e-5)
        assert found.cost["scored_texts"] == 1


@pytest.mark.parametrize("size", [1, 8, 64])
def test_the_batch_and_the_order_change_nothing(size: int) -> None:
    asked = prompts(24, every=4)
    whole = [scores(METHODS, one) for one in gathered(backend(), asked, stop(), 24)]
    order = np.random.default_rng(size).permutation(len(asked)).tolist()
    other = gathered(backend(), [asked[number] for number in order], stop(), size)
    assert len({len(one.answer.token_ids or ()) for one in other}) > 1
    for number, same in zip(order, other, strict=True):
        assert scores(METHODS, same) == pytest.approx(whole[number], abs=1e-5)
        assert math.isfinite(whole[number]["csl"])


def test_other_methods_of_attention_beside_it_change_nothing() -> None:
    asked = prompts(4)
    beside = build_methods("csl+rauq+attention_score+p_true", {})
    alone = [scores([method], one) for method in beside for one in gathered(backend(method.name), asked, stop())]
    together = gathered(backend("csl+rauq+attention_score+p_true"), asked, stop())
    assert alone == [pytest.approx(scores([method], one), abs=1e-5) for method in beside for one in together]


def test_it_joins_the_sets_of_methods_with_a_pass_of_their_own() -> None:
    of_sets = {name: "csl" in {one.name for one in select_methods(name)} for name in ("cheap", "default", "sampling")}
    assert not any(of_sets.values())
    assert all("csl" in {one.name for one in select_methods(name)} for name in ("sampling_free", "all"))


def test_answers_without_tokens_to_look_at_have_no_score() -> None:
    for count in (0, 1):
        answer = Answer("", (2,) * count, np.full(count, -0.5), np.zeros(count), complete=True)
        assert math.isnan(scores(METHODS, Evidence("x", answer, {GRADING: np.zeros((6, count))}))["csl"])


def test_engines_and_files_say_what_they_lack(tmp_path: Path) -> None:
    served = ServedBackend(engine(), demo()[1], max_length=1024)
    assert (served.missing(GRADING) or "").startswith("attention weights, which an engine does not give: add it after")
    file = tmp_path / "saved.jsonl"
    row = {"question": "x", "answers": ["y"], "answer": "y", "token_logprobs": [-1.0]}
    file.write_text(json.dumps(row), encoding="utf-8")
    assert SavedBackend(read_saved(file).answers[0]).missing(GRADING) == "attention weights, which take the model"
