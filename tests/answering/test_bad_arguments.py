"""Every bad argument of `UncertaintyModel` ends with a sentence: no other error, no value taken for something else."""

import copy
import math
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from uq_harness import UncertaintyModel
from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError


@pytest.fixture(scope="module")
def demo() -> tuple:
    return AutoModelForCausalLM.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)


BAD = [
    *({"methods": value} for value in (1, None, [], b"g_nll")),
    *({"stop": value} for value in (None, 5, ["a", 5], [None], {"a": 1}, b"x")),
    *({"chat_template_args": value} for value in (5, "x", [1])),
    *({"think_end_token": value} for value in (5.5, -1, 10**9, True, "", ["a"])),
    *({"add_bos_token": value} for value in ("x", 2, [])),
    *({"seed": value} for value in ("a", 1.5, True, -1, 1e30, None, math.nan, [1])),
    *({"max_length": value} for value in ("a", 0, -1, 1.5, True, 10**9, math.inf)),
    *({"max_new_tokens": value} for value in ("a", 0, 1.5, True, None, 10**9)),
    *({"batch_size": value} for value in ("auto", 0, 1.5, True, None)),
    *({"batch_invariant": value} for value in ("x", None, 2)),
    *({"apply_chat_template": value} for value in ("maybe", None, 3)),
    *({"prompt": value} for value in (5, None, "no place")),
    *({"sp_token": value} for value in ("first", 1.5, None, "~nouser/x", "x" * 5000)),
    *({"entropy_samples": value, "methods": "ln_pe"} for value in (1e9, "many", 0)),
    {"nli_model": "~nouser/x", "methods": "semantic_entropy"},
]


@pytest.mark.parametrize("arguments", BAD, ids=lambda arguments: repr(arguments)[:60])
def test_a_bad_argument_ends_with_a_sentence(demo: tuple, arguments: dict[str, Any]) -> None:
    with pytest.raises(UQHarnessError) as refusal:
        UncertaintyModel(*demo, **{"methods": "g_nll", **arguments})
    assert any(name in str(refusal.value) or repr(value) in str(refusal.value) for name, value in arguments.items())
    assert "\n" not in str(refusal.value)


def test_no_means_no(demo: tuple) -> None:
    """The text ``no`` is not true."""
    (with_words,) = UncertaintyModel(*demo, methods="g_nll", apply_chat_template="no").answer(["Who?"])
    (plain,) = UncertaintyModel(*demo, methods="g_nll", apply_chat_template=False).answer(["Who?"])
    assert with_words == plain


def test_a_tokenizer_with_more_tokens_than_the_model(demo: tuple) -> None:
    """It is refused where such a token occurs; tokenizers often have more that never do."""
    tokenizer = copy.deepcopy(demo[1])
    tokenizer.add_tokens([f"<extra_{number}>" for number in range(100)])
    model = UncertaintyModel(demo[0], tokenizer, methods="g_nll")
    assert model.answer(["Who?"])[0].token_ids
    with pytest.raises(
        UQHarnessError, match=r"the tokenizer gives the token '<extra_99>'.*take the model's own tokenizer"
    ):
        model.answer(["Who is <extra_99>?"])
