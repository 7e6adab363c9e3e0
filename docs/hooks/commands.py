"""The page of the commands: what the program's own help says, so that no option is written down twice."""

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from typer.cli import get_docs_for_click

from uq_harness.cli import app

PAGE = "reference/commands.md"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Puts the help of every command behind the page's text."""
    return f"{markdown}\n{_help()}" if page.file.src_uri == PAGE else markdown


def _help() -> str:
    program = typer.main.get_command(app)
    context = typer.Context(program, info_name="uq-harness")
    text = get_docs_for_click(obj=program, ctx=context, name="uq-harness", indent=1)
    for command in program.commands.values():  # typer cuts the first sentence off
        text = text.replace(command.get_short_help_str(), command.get_short_help_str(limit=200), 1)
    return text
