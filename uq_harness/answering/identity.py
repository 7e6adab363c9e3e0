"""What a model is known by: short names of its weights and of its chat template, whatever folder they came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class ModelIdentity:
    """A model as a run used it.

    Attributes:
        name: What the user called it; for messages.
        dtype: The type of its weights; for messages.
        weights: See `weights_fingerprint`.
        template: See `template_fingerprint`; ``None`` where prompts go through no chat template.
    """

    name: str
    dtype: str
    weights: str
    template: str | None

    @classmethod
    def of(
        cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, template_arguments: Mapping[str, Any]
    ) -> ModelIdentity:
        """The identity of a loaded model, with the chat template that its tokenizer has."""
        return cls(
            name=model.name_or_path,
            dtype=str(model.dtype),
            weights=weights_fingerprint(model),
            template=template_fingerprint(tokenizer.chat_template, template_arguments),
        )


def weights_fingerprint(model: nn.Module) -> str:
    """A short name of a model's weights: a hash over a few values from all parts of each of them."""
    digest = hashlib.sha256()
    for name, weight in model.named_parameters():
        digest.update(name.encode())
        if weight.device.type != "meta":  # offloaded
            values = weight.detach().flatten()
            digest.update(values[:: max(1, len(values) // 64)].float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def template_fingerprint(template: Any, arguments: Mapping[str, Any]) -> str | None:
    """A short name of a chat template with its further arguments; ``None`` where there is no template.

    The template's source counts, not what it renders to: some templates write today's date.

    Args:
        template: The tokenizer's chat template: its source, or several of them by name.
        arguments: Further arguments that the template is rendered with, such as ``enable_thinking``.
    """
    if template is None:
        return None
    content = json.dumps([template, dict(arguments)], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
