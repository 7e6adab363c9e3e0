"""BEM on PyTorch: a BERT sequence classifier from the Hugging Face hub or a folder."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from uq_harness.correctness.bem.scoring import BemModel, Ids, Parts, Sequences, cannot_load, join
from uq_harness.hub import CannotLoad, check_vocabulary, fetch_classifier, to_device

MAX_LENGTH = 512
EQUIVALENT = 1


class TorchBem(BemModel):
    """A sequence classifier with two classes, the second of which means equivalent."""

    def __init__(self, model: Any, tokenizer: Any, device: Any) -> None:
        self.model, self.tokenizer, self.device = model, tokenizer, device
        self.max_length = min(MAX_LENGTH, model.config.max_position_embeddings)

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids as the hub's tokeniser makes them."""
        encoded = self.tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)
        return [tuple(ids) for ids in encoded["input_ids"]]

    def sequences(self, parts: Parts) -> Sequences:
        """The input in the port's layout: segment 0 is the candidate, segment 1 the rest."""
        return join(parts, self.tokenizer.cls_token_id, self.tokenizer.sep_token_id, segments=(0, 1, 1))

    def probabilities(self, batch: Sequence[Parts]) -> list[float]:
        """``softmax(logits)[1]``, each input padded to the longest of the batch and masked."""
        import torch

        rows = [self.sequences(parts) for parts in batch]
        longest = max(len(row.ids) for row in rows)

        def padded(values: list[list[int]], filler: int) -> torch.Tensor:
            return torch.tensor([row + [filler] * (longest - len(row)) for row in values], device=self.device)

        with torch.inference_mode():
            logits = self.model(
                input_ids=padded([row.ids for row in rows], self.tokenizer.pad_token_id),
                token_type_ids=padded([row.segments for row in rows], 0),
                # By length, not by id: an answer may contain the text "[PAD]".
                attention_mask=padded([[1] * len(row.ids) for row in rows], 0),
            ).logits
            values: list[float] = logits.float().softmax(-1)[:, EQUIVALENT].tolist()
        return values


@functools.cache
def load(model: str, device: str | None, dtype: str) -> TorchBem:
    """Loads a classifier and its tokeniser, once a process for the same settings.

    Args:
        model: Name on the hub, or a folder.
        device: A torch device; None means the GPU if there is one.
        dtype: ``float32``, ``bfloat16`` or ``float16``.

    Raises:
        UQHarnessError: Model or device cannot be had, or the model is not a classifier like BEM.
    """
    refuse = functools.partial(cannot_load, model)
    network, tokenizer = fetch_classifier(model, dtype, refuse)
    _check(network, tokenizer, refuse)
    place = to_device(network.eval(), device, "the BEM judge", "device")
    return TorchBem(network, tokenizer, place)


def _check(network: Any, tokenizer: Any, refuse: CannotLoad) -> None:
    if network.config.num_labels != 2:
        raise refuse(f"it tells {network.config.num_labels} classes apart, and BEM tells two")
    if getattr(network.config, "type_vocab_size", 0) < 2:
        raise refuse("it has no token types, and BEM marks the candidate with them")
    if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None or tokenizer.pad_token_id is None:
        raise refuse("its tokenizer does not have all of [CLS], [SEP] and [PAD]")
    check_vocabulary(tokenizer, network.config, refuse)
