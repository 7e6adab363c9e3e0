"""What a chat model is asked for, and how its reply is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from uq_harness.endpoints.chat import Reply
from uq_harness.functional.text import normalize_answer

PROMPT = """\
Put this question in other words, in {n} different ways. Each must ask for exactly the same thing: whatever answers \
the question answers it too, and nothing else does. Keep names, numbers and technical terms; change words and sentence \
structure.

Question: {question}
{taken}
Reply with a numbered list of {n} questions, one a line, and nothing else."""
TAKEN = """
These are taken:
{listed}
"""
_NUMBER = re.compile(
    r"\s*(?:[-*•]\s*)?(?:\*\*)?(?:(?:re|para)phrase\s*)?\(?\d+\s*[.):]\)?(?:\*\*)?\s*(.*)", re.IGNORECASE
)
_BULLET = re.compile(r"\s*[-*•]\s+(.*)")
_AROUND = ("**", "**"), ('"', '"'), ("“", "”"), ("„", "“"), ("«", "»"), ("`", "`"), ("*", "*")


def prompt(question: str, n: int, taken: Sequence[str]) -> str:
    """The request for n paraphrases that are not among those taken."""
    listed = TAKEN.format(listed="\n".join(f"- {text}" for text in taken)) if taken else ""
    return PROMPT.format(n=n, question=question, taken=listed)


def read_reply(reply: Reply) -> list[str]:
    r"""The paraphrases in a reply: its numbered lines, else its bullets, else all its lines.

    A last line that was cut at the token limit is left out.

    >>> read_reply(Reply("Sure:\n1. Who is it?\n2) **Who may it be?**\n3. And who", cut=True))
    ['Who is it?', 'Who may it be?']
    """
    lines = reply.text.splitlines()
    if reply.cut:
        lines = lines[:-1]
    for marker in (_NUMBER, _BULLET):
        if marked := [match[1] for line in lines if (match := marker.fullmatch(line))]:
            lines = marked
            break
    return [text for line in lines if (text := _bare(line))]


def _bare(line: str) -> str:
    """The line without white space, emphasis or quotation marks around the whole of it."""
    text = line.strip()
    for opening, closing in _AROUND:
        inner = text.removeprefix(opening).removesuffix(closing)
        if len(inner) == len(text) - len(opening + closing) and opening not in inner and closing not in inner:
            text = inner.strip()
    return text


def further(question: str, taken: Sequence[str], candidates: Iterable[str]) -> list[str]:
    """Those candidates that are new: equal neither to the question nor to one taken, nor to one before.

    Texts that are equal after `normalize_answer` are equal: case, punctuation, articles, white space, variants of one
    character do not count.

    >>> further("Who is it?", ["Who may it be?"], ["who is it", "Who might it be?", "WHO might it be?", "?"])
    ['Who might it be?']
    """
    seen = {normalize_answer(text) for text in (question, *taken)} | {""}
    new = []
    for text in candidates:
        key = normalize_answer(text)
        if key not in seen:
            seen.add(key)
            new.append(text)
    return new
