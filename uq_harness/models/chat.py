"""A chat template that is asked for has to be there; lm_eval itself warns where one is not used."""

from __future__ import annotations

from uq_harness.errors import UQHarnessError


def check_template(wanted: bool | str, *, there: bool, name: str, remedy: str = "take a chat model") -> None:
    """Refuses a chat template that is not there.

    Args:
        wanted: What ``--apply_chat_template`` says.
        there: Whether the tokenizer has a template.
        name: The tokenizer's name.
        remedy: What to do other than leaving the option out.

    Raises:
        UQHarnessError: A template is wanted, and there is none.
    """
    if wanted and not there:
        raise UQHarnessError(f"{name} has no chat template: leave out --apply_chat_template, or {remedy}")
