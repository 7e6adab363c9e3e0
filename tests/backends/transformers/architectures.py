"""Tiny random models of many architectures, built as transformers ships them."""

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

VOCABULARY = 96
_LLAMA_LIKE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 5,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
_GPT2_LIKE = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 5, "n_head": 4, "n_positions": 128}

# Name, model type, settings.
ARCHITECTURES = {
    "llama": ("llama", _LLAMA_LIKE),
    "llama_tied": ("llama", {**_LLAMA_LIKE, "tie_word_embeddings": True}),
    "qwen2": ("qwen2", _LLAMA_LIKE),
    "qwen3": ("qwen3", {**_LLAMA_LIKE, "head_dim": 8}),
    "qwen3_moe": (
        "qwen3_moe",
        {**_LLAMA_LIKE, "head_dim": 8, "num_experts": 4, "moe_intermediate_size": 16, "num_experts_per_tok": 2},
    ),
    "mistral_window": ("mistral", {**_LLAMA_LIKE, "sliding_window": 6}),
    "mistral_wide_window": ("mistral", {**_LLAMA_LIKE, "sliding_window": 64}),
    "gemma": ("gemma", {**_LLAMA_LIKE, "head_dim": 8}),
    "gemma2_softcap": ("gemma2", {**_LLAMA_LIKE, "head_dim": 8, "sliding_window": 6, "final_logit_softcapping": 0.5}),
    "gemma3": ("gemma3_text", {**_LLAMA_LIKE, "head_dim": 8, "sliding_window": 6}),
    "phi": ("phi", _LLAMA_LIKE),
    "phi3": ("phi3", {**_LLAMA_LIKE, "pad_token_id": 0}),
    "gpt2": ("gpt2", _GPT2_LIKE),
    "gptj": ("gptj", {**_GPT2_LIKE, "rotary_dim": 4}),
    "gpt_neox": ("gpt_neox", {**_LLAMA_LIKE, "tie_word_embeddings": False}),
    "opt": (
        "opt",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "ffn_dim": 48,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "word_embed_proj_dim": 32,
            "max_position_embeddings": 128,
        },
    ),
    "bloom": ("bloom", {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 5, "n_head": 4}),
    "granite_scaled": ("granite", {**_LLAMA_LIKE, "logits_scaling": 2.0}),
    "cohere_scaled": ("cohere", {**_LLAMA_LIKE, "logit_scale": 0.25}),
    "olmo2": ("olmo2", _LLAMA_LIKE),
}
# Models whose cache is more than keys and values.
RECURRENT = {
    "lfm2": ("lfm2", {**_LLAMA_LIKE, "layer_types": ["conv", "full_attention", "conv", "full_attention", "conv"]}),
}
# Their attention makes NaNs of padding in float64, here as in `generate`.
FLOAT32_ONLY = ("gemma2_softcap", "bloom")


def tiny_model(name: str, dtype: torch.dtype = torch.float64) -> PreTrainedModel:
    """A random model of five blocks; weights are spread wide enough to give entropies far from uniform."""
    kind, settings = {**ARCHITECTURES, **RECURRENT}[name]
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, bos_token_id=1, eos_token_id=2, **settings)
    experts = {"experts_implementation": "eager"} if "num_experts" in settings else {}  # the others know no float64
    model = AutoModelForCausalLM.from_config(config, **experts)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return model.to(dtype).eval()
