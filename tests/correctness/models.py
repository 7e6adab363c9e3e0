"""Tiny BEM classifiers with random weights, written to a folder."""

import string
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

LETTERS = string.ascii_lowercase + string.digits + string.punctuation
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "none", *LETTERS, *(f"##{letter}" for letter in LETTERS)]


def save_bert(folder: Path, vocabulary: list[str] = VOCABULARY, **settings: int) -> str:
    """Saves a two-layer classifier of width 16 and its tokenizer; two calls give the same weights."""
    tokenizer = BertTokenizer({token: index for index, token in enumerate(vocabulary)})
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        initializer_range=0.5,  # else all scores are alike
        **settings,
    )
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
