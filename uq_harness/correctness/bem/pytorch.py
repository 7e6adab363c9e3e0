"""BEM on PyTorch: a BERT sequence classifier from the Hugging Face hub or a folder."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from uq_harness.correctness.bem.loading import cannot_load, local_folder
from uq_harness.correctness.bem.scoring import BemModel, Ids, Parts, Sequences, join
from uq_harness.errors import UQHarnessError
from uq_harness.hub import brief, not_cached, why_unreachable

MAX_LENGTH = 512
EQUIVALENT = 1


class TorchBem(BemModel):
    """A sequence classifier with two classes, the second of which means equivalent."""

    def __init__(self, model: Any, tokenizer: Any, device: Any) -> None:
        import torch

        self.model, self.tokenizer, self.device = model, tokenizer, device
        self.max_length = min(MAX_LENGTH, model.config.max_position_embeddings)
        self.out_of_memory = torch.OutOfMemoryError

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

    def release_memory(self) -> None:
        """Empties the CUDA cache."""
        import torch

        torch.cuda.empty_cache()


@functools.cache
def load(model: str, device: str | None, dtype: str) -> TorchBem:
    """Loads a classifier and its tokeniser, once a process for the same settings.

    Args:
        model: Name on the hub, or a folder.
        device: A torch device; None means the GPU if there is one.
        dtype: ``float32``, ``bfloat16`` or ``float16``.

    Raises:
        UQHarnessError: Model or device cannot be had, or the model is no classifier like BEM.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = local_folder(model)
    unreachable = None if folder else why_unreachable(model)
    source, only_cached = folder or model, unreachable is not None
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, local_files_only=only_cached)
        network, report = AutoModelForSequenceClassification.from_pretrained(
            source, local_files_only=only_cached, dtype=getattr(torch, dtype), output_loading_info=True
        )
    except Exception as error:  # broken and missing files raise all sorts of errors, and the ways out are the same
        raise cannot_load(model, error if unreachable is None else not_cached(unreachable)) from error
    _check(model, network, tokenizer, report["missing_keys"])
    place = _device(device)
    return TorchBem(_move(network.eval(), place), tokenizer, place)


def _check(model: str, network: Any, tokenizer: Any, missing: Sequence[str]) -> None:
    if missing:
        raise cannot_load(model, f"it has no trained weights for {', '.join(sorted(missing)[:3])}")
    if network.config.num_labels != 2:
        raise cannot_load(model, f"it tells {network.config.num_labels} classes apart, and BEM tells two")
    if getattr(network.config, "type_vocab_size", 0) < 2:
        raise cannot_load(model, "it has no token types, and BEM marks the candidate with them")
    if tokenizer.cls_token_id is None or tokenizer.sep_token_id is None or tokenizer.pad_token_id is None:
        raise cannot_load(model, "its tokenizer lacks one of [CLS], [SEP] and [PAD]")
    if len(tokenizer) > network.config.vocab_size:
        raise cannot_load(model, f"its tokenizer has {len(tokenizer)} tokens, the model {network.config.vocab_size}")


def _device(name: str | None) -> Any:
    import torch

    try:
        return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise _bad_device(name, error) from error


def _move(network: Any, device: Any) -> Any:
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # no such device, no CUDA in this torch, or no memory left
        raise _bad_device(str(device), error) from error


def _bad_device(name: str | None, error: BaseException) -> UQHarnessError:
    return UQHarnessError(
        f'the BEM judge cannot use device={name!r}: {brief(error)}. Use "cpu", "cuda" or "cuda:1", or '
        "leave it out for the GPU where there is one"
    )
