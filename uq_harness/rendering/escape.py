"""Texts that models or users wrote, made safe for Markdown, LaTeX, CSV, terminals and readers' eyes.

HTML needs no function here: Jinja escapes every value.
"""

from __future__ import annotations

import logging
import re
import unicodedata

# Embeddings, overrides and isolates: they reorder what follows and can outlast the text that opened them.
_BIDI_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_INVISIBLE = re.compile(f"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff{_BIDI_CONTROLS}]")
# What opens markup, a link or a mention in any Markdown dialect; an underscore inside a word opens nothing.
_MARKUP = re.compile(r"[\\`*{}\[\]<>#|~&@!:$^\"]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=www)\.", re.IGNORECASE)
_ARROWS = {"\n": "↵", "\t": "⇥"}
# What code hosts make links of in any text but code: names of commits, and of issues in one of its spellings.
_LINKED = re.compile(r"\b(?=[0-9a-f]*[a-f]|[0-9a-f]{40}\b)[0-9a-f]{7,40}\b|\bGH-\d+\b", re.IGNORECASE)
# A spreadsheet takes a cell for a formula that begins so; where it splits at semicolons, a cell begins behind each.
_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@＝＋－＠])")
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


def escaped_in_json(text: str) -> str:
    r"""JSON whose texts hold no control characters but as JSON's escapes; its lines stay.

    >>> print(escaped_in_json('"\u202eabc"'))
    "\u202eabc"
    """
    return _INVISIBLE.sub(lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


class VisibleRecord(logging.LogRecord):
    r"""A log record whose message shows control characters, whatever file its parts come from.

    Messages of this package are one line; those of others may have several.
    """

    def getMessage(self) -> str:
        """The message with its arguments, made visible."""
        lines = super().getMessage()
        if self.name.partition(".")[0] == "uq_harness":
            return visible(lines)
        return "\n".join(map(visible, lines.split("\n")))


def encodable(text: str) -> str:
    r"""A text that every file and terminal in UTF-8 can hold: lone surrogates are written as their numbers.

    >>> encodable("caf\u00e9 \ud83d") == "caf\u00e9 \\ud83d"
    True
    """
    return text.encode("utf-8", errors="backslashreplace").decode("utf-8")


def markdown(text: str) -> str:
    r"""A text as one line of Markdown, safe in table cells: nothing in it is markup, and nothing in it is HTML.

    Punctuation with a meaning is written as character references, which no Markdown parser takes for structure; text
    that runs from right to left is isolated from what follows. What a code host would link to a commit or an issue is
    code. It does not protect the beginning of a line, where a dash or a number makes a list.

    >>> markdown("a|b <b>")
    'a&#124;b &#60;b&#62;'
    >>> markdown("uq_sciq\n_so_")
    'uq_sciq↵&#95;so&#95;'
    >>> markdown("fixed in 5b1e1e0, see GH-1")
    'fixed in <code>5b1e1e0</code>, see <code>GH-1</code>'
    """
    return _LINKED.sub(lambda found: f"<code>{found[0]}</code>", _without_markup(text))


def markdown_quote(text: str) -> str:
    """`markdown` in a ``code`` element, where web sites turn no ``@name``, ``#1`` or address into a link.

    >>> markdown_quote("@all: a|b")
    '<code>&#64;all&#58; a&#124;b</code>'
    """
    return f"<code>{_without_markup(text)}</code>"


def _without_markup(text: str) -> str:
    shown = _MARKUP.sub(lambda found: f"&#{ord(found[0])};", visible(text))
    return f"&#8296;{shown}&#8297;" if _runs_right_to_left(shown) else shown


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
    """A text as a CSV cell that no spreadsheet takes for a formula, whether it splits at commas or at semicolons.

    >>> csv_text("=1+1"), csv_text("a;=1+1"), csv_text("plain; text")
    ("'=1+1", "a;'=1+1", 'plain; text')
    """
    shown = visible(text)
    return f"'{shown}" if text[:1] in ("\t", "\r", "\n") else _FORMULA.sub(r"\1'", shown)
