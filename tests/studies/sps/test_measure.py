"""The scores of a real model: the plain definition, any batch size, and what is said where they cannot be had."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.studies.sps.data import demo_model, demo_rows, write_rows
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.functional import semantic_preservation_score
from uq_harness.models import UQHFLM
from uq_harness.studies.sps.measure import measure
from uq_harness.studies.sps.prompts import read_sources
from uq_harness.studies.sps.result import SpsResult


def plain_states(lm: UQHFLM, prompt: str, count: int) -> np.ndarray:
    """States of the last positions, ``[layers, positions, width]``, by transformers' own means and without a batch."""
    left: list[torch.Tensor] = []
    handle = lm.model.model.layers[-1].register_forward_hook(
        lambda module, args, output: left.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.no_grad():
        ids = lm.tokenizer(prompt, return_tensors="pt")["input_ids"]
        states = lm.model(ids, output_hidden_states=True).hidden_states[:-1]
    handle.remove()
    return np.stack([state[0, -count:].double().numpy() for state in (*states, left[0])])


def test_equals_the_plain_definition(lm: UQHFLM, result: SpsResult) -> None:
    count = len(result.positions)
    for one, rows in zip(result.data_sets, (demo_rows(7), demo_rows(5, start=40)), strict=True):
        states = []
        for row in rows:
            prompts = [
                f"<|im_start|>user\nPlease directly answer the following question with one or few words:\n{text}"
                "<|im_end|>\n<|im_start|>assistant\n"
                for text in (row["question"], *row["paraphrases"])
            ]
            states.append(np.stack([plain_states(lm, prompt, count) for prompt in prompts]))
        plain = [
            [semantic_preservation_score([state[:, layer, place] for state in states]) for place in range(count)]
            for layer in range(lm.model.config.num_hidden_layers + 1)
        ]
        np.testing.assert_allclose(one.sps, plain, atol=2e-6)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batch_size_changes_nothing(
    lm: UQHFLM, paraphrase_files: list[str], result: SpsResult, batch_size: int
) -> None:
    found = measure(lm, read_sources(paraphrase_files), batch_size=batch_size)
    for one, other in zip(found.data_sets, result.data_sets, strict=True):
        np.testing.assert_allclose(one.sps, other.sps, atol=2e-6)
    assert found.recommended.position == result.recommended.position


def test_columns_bear_the_tokens_of_the_template_and_some_of_the_users(result: SpsResult) -> None:
    texts = [position.text for position in result.positions]
    assert "".join(texts).endswith("<|im_end|>\n<|im_start|>assistant\n")
    header = texts.index("<|im_start|>") - len(texts)
    assert result.template_choice.position == header
    assert [position.position for position in result.positions] == list(range(-len(texts), 0))
    assert all(position.share == 1 for position in result.positions[texts.index("<|im_end|>") :])
    assert texts.index("<|im_end|>") == 8
    assert result.positions[0].share < 1


def test_candidates_are_the_users_last_token_and_what_the_template_puts_behind_it(result: SpsResult) -> None:
    texts = [position.text for position in result.positions]
    assert texts[-result.candidates :] == ["?", "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n"]
    assert result.recommended.position >= -result.candidates


def test_the_template_s_tokens_have_equal_embeddings_whatever_the_question(result: SpsResult) -> None:
    np.testing.assert_allclose(result.data_sets[0].sps[0, -4:], 0, atol=1e-12)


def test_fewer_layers_and_positions_are_a_part_of_all(
    lm: UQHFLM, paraphrase_files: list[str], result: SpsResult
) -> None:
    blocks = result.blocks
    part = measure(lm, read_sources(paraphrase_files), layers="top_half", positions=3)
    rows = list(range(blocks - blocks // 2, blocks))
    assert list(part.layers) == rows
    np.testing.assert_allclose(part.average, result.average[rows, -3:], atol=2e-6)
    last = measure(lm, read_sources(paraphrase_files), layers=f"{blocks}-{blocks}", positions=3)
    np.testing.assert_allclose(last.average, result.average[-1:, -3:], atol=2e-6)
    assert last.recommended is None
    assert "not all measured" in last.no_recommendation


def test_only_the_first_distinct_paraphrases_count(lm: UQHFLM, tmp_path: Path) -> None:
    rows = demo_rows(4)
    more = [{**row, "paraphrases": [row["paraphrases"][0], *row["paraphrases"], "Another one?"]} for row in rows]
    few = [{**row, "paraphrases": row["paraphrases"][:2]} for row in rows]
    found, expected = (
        measure(lm, read_sources([str(write_rows(tmp_path / name, given))]), max_paraphrases=2)
        for name, given in (("more.jsonl", more), ("few.jsonl", few))
    )
    np.testing.assert_allclose(found.average, expected.average, atol=1e-12)
    assert found.data_sets[0].paraphrases == 8


def test_a_single_paraphrase_is_enough(lm: UQHFLM, tmp_path: Path) -> None:
    rows = [{**row, "paraphrases": row["paraphrases"][:1]} for row in demo_rows(3)]
    found = measure(lm, read_sources([str(write_rows(tmp_path / "single.jsonl", rows))]))
    assert np.isfinite(found.average).all()
    assert found.data_sets[0].paraphrases == 3


def test_without_a_chat_template_the_last_token_is_the_models_choice(
    paraphrase_files: list[str], tmp_path: Path
) -> None:
    folder = shutil.copytree(MODEL_DIR, tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    base = measure(demo_model(pretrained=str(folder)), read_sources(paraphrase_files))
    assert base.template_choice.position == -1
    assert base.model.template is None
    assert base.example.startswith("Please directly answer")
    assert len(base.positions) == 8
    assert base.candidates == 1
    assert base.recommended.position == -1


def test_a_chat_model_can_be_read_without_its_template(lm: UQHFLM, paraphrase_files: list[str]) -> None:
    bare = measure(lm, read_sources(paraphrase_files), chat_template=False)
    assert bare.template_choice.position == -1
    assert bare.model.template is None
    assert bare.model.weights == lm.identity.weights


def test_a_position_beyond_the_shortest_prompt_is_refused_before_any_pass(
    lm: UQHFLM, paraphrase_files: list[str]
) -> None:
    with pytest.raises(UQHarnessError, match=r"--positions 500 .* shortest prompt, which has \d+ tokens .*1 to \d+"):
        measure(lm, read_sources(paraphrase_files), positions=500)


@pytest.mark.parametrize("layers", ["0-99", "3-1", "upper"])
def test_layers_that_do_not_exist_are_refused(lm: UQHFLM, paraphrase_files: list[str], layers: str) -> None:
    with pytest.raises(UQHarnessError, match=r"(--layers|layer span).*is not allowed: use"):
        measure(lm, read_sources(paraphrase_files), layers=layers)


def test_states_that_are_not_finite_are_undefined_and_reported(
    paraphrase_files: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    broken = demo_model()
    with torch.no_grad():
        broken.model.model.layers[-1].mlp.down_proj.weight.fill_(float("inf"))
    found = measure(broken, read_sources(paraphrase_files[:1]))
    assert np.isnan(found.average[-1]).all()
    assert np.isfinite(found.average[:-1]).all()
    assert found.recommended is not None
    assert "the score is undefined for" in caplog.text
