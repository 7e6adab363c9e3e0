"""Whether a run uses the chat template that a tokenizer has, or lacks."""

from __future__ import annotations

import logging

from uq_harness.errors import UQHarnessError

eval_logger = logging.getLogger("lm_eval.uq_harness")


def check_template(wanted: bool | str, *, there: bool, name: str, remedy: str = "take a chat model") -> None:
    """Refuses a chat template that is not there; says so where one is there and not used.

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
    if there and not wanted:
        eval_logger.warning(
            "%s has a chat template, and the questions are put without it: if it is a chat model, its answers are "
            "better with --apply_chat_template",
            name,
        )
