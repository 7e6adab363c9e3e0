"""Tiny NLI classifiers, cross-encoders and bi-encoders with random weights, written to a folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, BertTokenizer

from tests.correctness.models import VOCABULARY

LABELS = ("contradiction", "neutral", "entailment")
KINDS = ("bert", "roberta", "deberta", "deberta-v2")
_RELATIVE: dict[str, Any] = {
    "relative_attention": True,
    "position_biased_input": False,
    "pos_att_type": ["c2p", "p2c"],
    "type_vocab_size": 0,
}


def save_classifier(
    folder: Path,
    kind: str = "bert",
    labels: Sequence[str] | None = LABELS,
    order: Sequence[int] = (),
    vocabulary: Sequence[str] = VOCABULARY,
    **settings: Any,
) -> str:
    """Saves a two-layer classifier of width 16; two calls give the same weights.

    ``order`` moves the outputs: output i is what output ``order[i]`` would have been. The vocabulary's pieces are
    single letters unless it is given.
    """
    if labels is not None:
        settings["id2label"] = dict(enumerate(labels))
        settings["label2id"] = {label: place for place, label in enumerate(labels)}
    config = AutoConfig.for_model(
        kind,
        **{
            "vocab_size": len(vocabulary),
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "initializer_range": 0.5,  # else all pairs are alike
            "pad_token_id": 0,
            **(_RELATIVE if kind.startswith("deberta") else {}),
            **settings,
        },
    )
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    if order:
        head = model.classifier if isinstance(model.classifier, torch.nn.Linear) else model.classifier.out_proj
        head.weight.data, head.bias.data = head.weight.data[list(order)], head.bias.data[list(order)]
    model.save_pretrained(folder)
    BertTokenizer({token: index for index, token in enumerate(vocabulary)}).save_pretrained(folder)
    return str(folder)


def save_cross_encoder(folder: Path, kind: str = "roberta", **settings: Any) -> str:
    """Saves a cross-encoder through sentence-transformers, one output and a sigmoid unless settings say otherwise."""
    from sentence_transformers import CrossEncoder

    plain = save_classifier(folder / "plain", kind, None, **{"num_labels": 1, **settings})
    CrossEncoder(plain, device="cpu").save_pretrained(str(folder / "encoder"))
    return str(folder / "encoder")


def save_bi_encoder(folder: Path, kind: str = "bert", **settings: Any) -> str:
    """Saves a sentence encoder with mean pooling through sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    plain = save_classifier(folder / "plain", kind, None, **settings)
    SentenceTransformer(plain, device="cpu").save_pretrained(str(folder / "encoder"))
    return str(folder / "encoder")
