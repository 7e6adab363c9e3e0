"""Self-contained HTML pages: templates, the style and the script that they share, and the policy that shuts them in.

A page makes no request at all: style and script are in it, its content security policy allows nothing but these two
by their hashes, and every value is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from uq_harness.rendering.escape import visible

__all__ = ["render", "token_style"]


def render(template: str, **values: Any) -> str:
    """The page that a template makes of some values.

    Args:
        template: A file's name in ``templates/``.
        values: What the template shows. Texts are escaped, and their control characters made visible.
    """
    style, script = "\n".join([_asset("page.css"), _asset("report.css"), token_style()]), _asset("page.js")
    # default-src covers fetches, frames, fonts, images and workers alike; only these two inline texts run.
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template(template)
    return page.render(policy=policy, style=Markup(style), script=Markup(script), **values)  # our own files


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("uq_harness.rendering.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.finalize = _shown
    return environment


def _shown(value: Any) -> Any:
    """Control characters of every text that a template writes are made visible."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def token_style() -> str:
    """The style of coloured tokens, for pages that are not ours, such as notebooks."""
    return _asset("tokens.css")


@cache
def _asset(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
