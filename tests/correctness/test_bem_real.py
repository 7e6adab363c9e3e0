"""BEM with its real weights, where the environment names their folders."""

import os

import pytest

from uq_harness.correctness.base import build_judge

EXAMPLE = (["why is the sky blue"], ["scattering of light"], [["light scattering"]])


@pytest.mark.skipif("UQ_HARNESS_BEM_TFHUB" not in os.environ, reason="needs $UQ_HARNESS_BEM_TFHUB, the SavedModel")
def test_the_original_gives_the_probability_of_its_published_example():
    options = {"name": "bem", "backend": "tfhub", "model": os.environ["UQ_HARNESS_BEM_TFHUB"]}
    if "UQ_HARNESS_BEM_VOCAB" in os.environ:
        options["vocab"] = os.environ["UQ_HARNESS_BEM_VOCAB"]
    assert build_judge(options).score(*EXAMPLE) == pytest.approx([0.98918], abs=1e-4)


@pytest.mark.skipif("UQ_HARNESS_BEM" not in os.environ, reason="needs $UQ_HARNESS_BEM, the folder of the PyTorch port")
def test_the_port_agrees_on_the_published_examples():
    judge = build_judge({"name": "bem", "model": os.environ["UQ_HARNESS_BEM"]})
    assert judge.correct(judge.score(*EXAMPLE)[0])
    wrong = judge.score(["how is the weather in california"], ["rain"], [["infrequent rain"]])[0]
    assert not judge.correct(wrong)
