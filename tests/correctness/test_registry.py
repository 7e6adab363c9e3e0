"""How judges are found and built."""

import dataclasses
import json
import math
import subprocess
import sys

import pytest

from uq_harness.correctness.base import Judge, build_judge, judge_names, register_judge
from uq_harness.errors import UQHarnessError


def test_every_judge_is_found():
    assert judge_names() == ["bem", "exact_match", "f1", "llm_judge", "rouge_l", "token_recall"]


@pytest.mark.parametrize(
    ("name", "threshold"), [("bem", 0.7), ("exact_match", 1), ("f1", 0.5), ("rouge_l", 0.5), ("token_recall", 0.5)]
)
def test_thresholds_by_default(name, threshold):
    judge = build_judge(name)
    assert judge.name == name
    assert judge.threshold == threshold
    assert json.loads(json.dumps(judge.describe()))["threshold"] == threshold


def test_options_are_set_and_described():
    judge = build_judge({"name": "bem", "model": "/models/bem", "threshold": 0.8, "batch_size": 8, "device": "cpu"})
    assert judge.describe() == {
        "name": "bem",
        "threshold": 0.8,
        "model": "/models/bem",
        "backend": "torch",
        "batch_size": 8,
        "device": "cpu",
        "dtype": "float32",
    }


def test_description_names_the_model_used_by_default():
    assert build_judge("bem").describe()["model"] == "kortukov/answer-equivalence-bem"
    assert build_judge({"name": "bem", "backend": "tfhub"}).describe()["model"].startswith("https://tfhub.dev/")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("bmm", "'bmm'.*did you mean bem"),
        ("", "known: bem, exact_match"),
        (None, "names no judge"),
        (["bem"], "names no judge"),
        ({"model": "/models/bem"}, "names no judge"),
        ({"name": ["bem"]}, "names no judge"),
        ({"name": "bem", "treshold": 0.7}, "'treshold'.*did you mean threshold"),
        ({"name": "f1", "model": "/models/bem"}, "'model'.*known: threshold"),
        ({"name": "f1", "threshold": 1.5}, "threshold=1.5.*from 0 to 1"),
        ({"name": "f1", "threshold": -0.1}, "threshold=-0.1"),
        ({"name": "f1", "threshold": math.nan}, "threshold=nan"),
        ({"name": "f1", "threshold": True}, "threshold=True"),
        ({"name": "f1", "threshold": "0.5"}, "threshold='0.5'"),
        ({"name": "bem", "backend": "jax"}, "backend='jax'.*torch or tfhub"),
        ({"name": "bem", "dtype": "int8"}, "dtype='int8'.*float32, bfloat16 or float16"),
        ({"name": "bem", "batch_size": 0}, "batch_size=0"),
        ({"name": "bem", "batch_size": 2.0}, "batch_size=2.0"),
        ({"name": "bem", "model": 3}, "model=3"),
        ({"name": "bem", "device": ""}, "device=''"),
        ({"name": "bem", "backend": "tfhub", "dtype": "bfloat16"}, "dtype='bfloat16'"),
        ({"name": "bem", "vocab": "vocab.txt"}, "vocab='vocab.txt'.*tfhub"),
    ],
)
def test_bad_settings_are_refused_with_the_allowed_ones(spec, words):
    with pytest.raises(UQHarnessError, match=words):
        build_judge(spec)


def test_a_judge_is_correct_from_its_threshold_on():
    judge = build_judge({"name": "f1", "threshold": 0.5})
    assert [judge.correct(score) for score in (0.5, 0.49, 1, math.nan)] == [True, False, True, False]


def test_a_name_belongs_to_one_judge():
    with pytest.raises(UQHarnessError, match="two judges are named 'f1'"):

        @register_judge
        @dataclasses.dataclass(frozen=True)
        class Other(Judge):
            name = "f1"


def test_a_judge_must_be_a_dataclass():
    with pytest.raises(UQHarnessError, match="@dataclass"):

        @register_judge
        class Plain(Judge):
            name = "plain"


def test_nothing_heavy_is_imported_to_build_a_judge():
    code = (
        "import sys; from uq_harness.correctness.base import build_judge, judge_names; judge_names();"
        "build_judge('bem');"
        "print(sorted({'torch', 'transformers', 'tensorflow', 'huggingface_hub', 'rouge_score'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
