"""Texts that models or users wrote, made safe for Markdown, LaTeX, CSV, terminals and readers' eyes.

HTML needs no function here: Jinja escapes every value.
"""

from __future__ import annotations

import re
import unicodedata

# Embeddings, overrides and isolates: they reorder what follows and can outlast the text that opened them.
_BIDI_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufff9-\ufffb\ud800-\udfff{_BIDI_CONTROLS}]")
# What opens markup, a link or a mention in any Markdown dialect; an underscore inside a word opens nothing.
_MARKUP = re.compile(r"[\\`*{}\[\]<>#|~&@!:$^\"]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=www)\.", re.IGNORECASE)
_ARROWS = {"\n": "↵", "\t": "⇥"}
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    '"': r"\textquotedbl{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "-": r"{-}",  # no ligature of several
    "±": r"$\pm$",
    "†": r"$^{\dagger}$",
    "α": r"$\alpha$",
    "⟨": r"$\langle$",
    "⟩": r"$\rangle$",
    "–": "--",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "·": r"$\cdot$",
    **{character: f"\\{character}" for character in "#$%&_"},
}


def visible(text: str) -> str:
    r"""Shows control characters instead of obeying them; every other character stays.

    A line's end becomes an arrow, and the rest (escape codes, controls of writing direction, lone surrogates, which no
    file can hold, …) their numbers: fonts that have Unicode's pictures of controls are rare.

    >>> print(visible("\x1b[31mred\x07 \u202eabc\n"))
    ⟨U+001B⟩[31mred⟨U+0007⟩ ⟨U+202E⟩abc↵
    """
    return _INVISIBLE.sub(lambda found: _ARROWS.get(found[0], f"⟨U+{ord(found[0]):04X}⟩"), text)


def encodable(text: str) -> str:
    r"""A text that every file and terminal in UTF-8 can hold: lone surrogates are written as their numbers.

    >>> encodable("caf\u00e9 \ud83d") == "caf\u00e9 \\ud83d"
    True
    """
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def markdown(text: str) -> str:
    r"""A text as one line of Markdown, safe in table cells: nothing in it is markup, and nothing in it is HTML.

    Punctuation with a meaning is written as character references, which no Markdown parser takes for structure; text
    that runs from right to left is isolated from what follows. It is no shield at the beginning of a line, where a dash
    or a number makes a list.

    >>> markdown("a|b <b>")
    'a&#124;b &#60;b&#62;'
    >>> markdown("uq_sciq\n_so_")
    'uq_sciq↵&#95;so&#95;'
    """
    shown = _MARKUP.sub(lambda found: f"&#{ord(found[0])};", visible(text))
    return f"&#8296;{shown}&#8297;" if _runs_right_to_left(shown) else shown


def markdown_quote(text: str) -> str:
    """`markdown` in a ``code`` element, where web sites turn no ``@name``, ``#1`` or address into a link.

    >>> markdown_quote("@all: a|b")
    '<code>&#64;all&#58; a&#124;b</code>'
    """
    return f"<code>{markdown(text)}</code>"


def _runs_right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text)


def latex(text: str) -> str:
    r"""A text as LaTeX that any engine compiles; characters beyond Latin-1 are written as their numbers.

    >>> print(latex("uq_sciq & 100 % \\input"))
    uq\_sciq \& 100 \% \textbackslash{}input
    >>> latex("北京")
    'U+5317U+4EAC'
    """
    return "".join(_LATEX.get(c, c if ord(c) < 0x100 else f"U+{ord(c):04X}") for c in visible(text))


def csv_text(text: str) -> str:
    """A text as a CSV cell that no spreadsheet takes for a formula.

    >>> csv_text("=1+1"), csv_text("plain")
    ("'=1+1", 'plain')
    """
    shown = visible(text)
    return f"'{shown}" if shown[:1] in tuple("=+-@") or text[:1] in ("\t", "\r", "\n") else shown
