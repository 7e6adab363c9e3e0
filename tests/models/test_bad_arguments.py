"""Every bad model argument ends with a sentence: no traceback, no hang, no value taken for something else."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from uq_harness.demo import MODEL_DIR
from uq_harness.errors import UQHarnessError
from uq_harness.models import UQHFLM


def load(**arguments: Any) -> UQHFLM:
    """The model as lm_eval's command line makes it."""
    given = {"pretrained": "demo", **arguments}
    return UQHFLM.create_from_arg_obj(given, {"batch_size": 1, "max_batch_size": None, "device": "cpu"})


WHOLE, FLAG = "use a whole number from", "use true or false"
NOT_LOADED = "could not be loaded"
BAD = [
    *({"methods": value} for value in (1, None, [], "", 2.5, {})),
    *({"seed": value} for value in ("abc", math.nan, math.inf, [1], 1.5, True, -1, 1e30, "", 2**63)),
    *({"max_length": value} for value in ("abc", 0, -5, 1.5, True, 10**9, [3])),
    *({"dtype": value} for value in ("foo", "int8", "", 16, "float8_e4m3fn")),
    *({"mixed_precision_dtype": value} for value in ("foo", "int8", "auto", 16)),
    *({"softmax_dtype": value} for value in ("foo", "int8")),
    *({"pretrained": value} for value in ("/nonexistent", "", "..", ".", "no/such/name", "a b", "~nouser/x", 5, None)),
    *({"peft": value} for value in ("nope", "", 5)),
    *({"delta": value} for value in ("/nope", 5)),
    *({"tokenizer": value} for value in ("/nope", "no/such/tokenizer")),
    *({"gguf_file": value} for value in ("nope.gguf",)),
    *({"backend": value} for value in ("seq2seq", "causaal", 3)),
    *({"batch_size": value} for value in (4, "auto")),
    {"device": "cpu"},
    *({flag: "maybe"} for flag in ("enable_thinking", "batch_invariant", "trust_remote_code", "add_bos_token")),
    {"enable_thinking": True},
    *({"chat_template_args": value} for value in (5, "x", [1])),
    *({"think_end_token": value} for value in (5.5, -1, 999999, 10**9, True, "")),
    *({"load_in_8bit": value} for value in (True,)),
    {"load_in_4bit": True},
    *({"entropy_samples": value, "methods": "ln_pe"} for value in (1e9, 0, -1, 2.5, "many", True, math.nan)),
    *({"eigenscore_samples": value, "methods": "eigenscore"} for value in (10**9,)),
    *({"nli_model": value, "methods": "semantic_entropy"} for value in ("~nouser/x", "/nope", "", 5)),
    *({"similarity_model": value, "methods": "sar"} for value in ("~nouser/x", "/nope")),
    *({"sp_token": value} for value in ("first", 1.5, None, [], "~nouser/x", "x" * 5000)),
    *({"pretrianed": "demo"}, {"unheard_of": 1}, {"semgrad_layer": "all"}),
]


@pytest.mark.parametrize("arguments", BAD, ids=lambda arguments: repr(arguments)[:60])
def test_a_bad_argument_ends_with_a_sentence(arguments: dict[str, Any]) -> None:
    with pytest.raises(UQHarnessError) as refusal:
        load(**arguments)
    told = str(refusal.value)
    assert any(name in told or repr(value) in told for name, value in arguments.items())
    assert "Traceback" not in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seed": 1.5}, rf"seed=1\.5 is not allowed: {WHOLE} 0 to {2**63 - 1}"),
        ({"entropy_samples": 1e9, "methods": "ln_pe"}, "use a whole number from 1 to 10000"),
        ({"max_length": 0}, f"max_length=0 is not allowed: {WHOLE} 1 to "),
        ({"think_end_token": 999999}, "or the number of a token from 0 to "),
        ({"dtype": "int8"}, "use auto, bfloat16, float16, float32 or float64"),
        ({"enable_thinking": "maybe"}, FLAG),
        ({"pretrained": "/nonexistent"}, f"'/nonexistent' {NOT_LOADED}"),
        ({"peft": "nope"}, f"peft='nope' {NOT_LOADED}"),
        ({"batch_size": 4}, "batch_size=4 stands among the model arguments.*use --batch_size"),
        ({"load_in_8bit": True}, "refused by the model's class.*save the model quantised"),
        ({"methods": 1}, "methods=1 is not allowed: use .*joined by [+]"),
        ({"backend": "seq2seq"}, "backend='seq2seq' is not allowed: use default or causal"),
        ({"semgrad_layer": "all"}, "did you mean semgrad_layers"),
    ],
)
def test_the_sentence_says_what_is_allowed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UQHarnessError, match=message):
        load(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"seed": "7"},
        {"seed": 7.0},
        {"max_length": 64},
        {"dtype": "float64"},
        {"batch_invariant": "yes"},
        {"methods": ["g_nll", "semgrad"]},
        {"think_end_token": 5},
        {"softmax_dtype": None},
    ],
    ids=repr,
)
def test_a_good_argument_is_taken(arguments: dict[str, Any]) -> None:
    load(**arguments)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"rubbish"),
        ("model.safetensors", b""),
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.json", b'{"model_type": "no such type"}'),
        ("tokenizer.json", b"rubbish"),
    ],
)
def test_a_damaged_model_ends_with_a_sentence(file: str, content: bytes, tmp_path: Path) -> None:
    shutil.copytree(MODEL_DIR, tmp_path / "model")
    (tmp_path / "model" / file).write_bytes(content)
    with pytest.raises(UQHarnessError, match="could not be loaded"):
        load(pretrained=str(tmp_path / "model"))
