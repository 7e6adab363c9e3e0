"""Arguments of models: which belong to methods and auxiliary models, and whether the others fit the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lm_eval.models.utils import resolve_max_length
from transformers import PretrainedConfig, PreTrainedTokenizerBase

from uq_harness.errors import UQHarnessError, did_you_mean
from uq_harness.methods import all_options
from uq_harness.methods.arguments import read_whole
from uq_harness.similarity.build import build_nli, build_similarity
from uq_harness.similarity.services import NLI, Similarity

LARGEST_SEED = 2**63 - 1  # torch's
_AUXILIARY = ("model", "batch_size", "device", "dtype", "max_length", "cache_size")

# Set where a chat template is applied to messages; a second value ends in a traceback.
_OF_THE_CALL = ("conversation", "messages", "tokenize", "add_generation_prompt", "continue_final_message")


def take_options(arguments: dict[str, Any]) -> dict[str, Any]:
    """Takes the options of methods out of the arguments."""
    return {name: arguments.pop(name) for name in list(arguments) if name in all_options()}


def take_auxiliary_models(arguments: dict[str, Any]) -> tuple[NLI, Similarity]:
    """Takes the settings of the auxiliary models out of the arguments, and makes the services.

    ``nli_model`` and ``similarity_model``, with ``_batch_size``, ``_device``, ``_dtype``, ``_max_length`` and
    ``_cache_size`` in place of ``_model``; see `uq_harness.similarity.build_nli`.

    Raises:
        UQHarnessError: A name or a value is not allowed.
    """
    return build_nli(**_take("nli_", arguments)), build_similarity(**_take("similarity_", arguments))


def unknown_option(name: str, known: Iterable[str]) -> UQHarnessError:
    """The error about an unknown argument.

    Args:
        name: The argument.
        known: What else may be given, in addition to the options of methods.
    """
    names = [*known, *all_options()]
    hint = did_you_mean(name, [*names, "nli_model", "similarity_model"], f"known are {', '.join(names)}")
    return UQHarnessError(f"unknown option {name!r}: {hint} (see `uq-harness methods`)")


def read_context(max_length: Any, config: PretrainedConfig) -> int | None:
    """The context that a user asks for; ``None`` for the model's own.

    Args:
        max_length: The context in tokens; ``None`` for the model's own.
        config: The model's configuration.

    Raises:
        UQHarnessError: It is not a number of tokens, or larger than the model's.
    """
    context: int = resolve_max_length(config, default=0)  # 0 where the configuration does not say
    return None if max_length is None else read_whole("max_length", max_length, 1, context or 2**31 - 1)


def check_think_end(token: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuses an end of the thinking that no answer can have.

    Args:
        token: A text, the number of a token, or ``None``.
        tokenizer: The model's tokenizer.

    Raises:
        UQHarnessError: It is none of these, an empty text, or the tokenizer has no such token.
    """
    if token is None or (isinstance(token, str) and token):
        return
    if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < len(tokenizer):
        raise UQHarnessError(
            f"think_end_token={token!r} is not allowed: use a text such as </think>, or the number of a token from 0 "
            f"to {len(tokenizer) - 1}"
        )


def check_template_arguments(given: Any) -> None:
    """Refuses further arguments of a chat template that are none, or that the harness sets itself.

    Args:
        given: What the user gave as ``chat_template_args``, or ``None``.

    Raises:
        UQHarnessError: They are no mapping, or one of them is an argument of the call that applies the template.
    """
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise UQHarnessError(
            f'chat_template_args={given!r} is not allowed: use a mapping such as {{"enable_thinking": False}}'
        )
    taken = [name for name in _OF_THE_CALL if name in given]
    if taken:
        raise UQHarnessError(
            f"chat_template_args has {', '.join(taken)}, which uq-harness sets itself: leave it out, and give what the "
            'template itself reads, such as {"enable_thinking": False}'
        )


def _take(prefix: str, arguments: dict[str, Any]) -> dict[str, Any]:
    given = {name: arguments.pop(name) for name in list(arguments) if name.startswith(prefix)}
    for name in given:
        if name.removeprefix(prefix) not in _AUXILIARY:
            raise UQHarnessError(f"unknown option {name!r}: known are {', '.join(prefix + one for one in _AUXILIARY)}")
    return {name.removeprefix(prefix): value for name, value in given.items()}
