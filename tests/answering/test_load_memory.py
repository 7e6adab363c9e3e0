"""Loading takes no memory to speak of beyond the weights, whatever the methods."""

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from uq_harness import UncertaintyModel
from uq_harness.demo import MODEL_DIR
from uq_harness.studies.bench.interleaved import peak_megabytes

SHAPE = {
    "vocab_size": 200_000,
    "hidden_size": 256,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "tie_word_embeddings": True,
}


def test_the_self_check_makes_nothing_of_the_heads_size() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", bos_token_id=1, eos_token_id=2, **SHAPE))
    model.eval()
    weights = sum(weight.nbytes for weight in model.parameters()) / 1e6
    UncertaintyModel(model, tokenizer, methods="g_nll")  # what is loaded on first use
    few, more = (
        peak_megabytes(lambda m=methods: UncertaintyModel(model, tokenizer, methods=m), torch.device("cpu"))
        for methods in ("g_nll", "default")
    )
    if few is None or more is None:
        pytest.skip("this system does not tell a process's highest use of memory")
    assert weights + more <= 1.3 * (weights + few)
