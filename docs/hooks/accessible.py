"""What Material leaves out for screen readers and for those who have no mouse."""

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page

_DIALOG = '<div class="md-search" data-md-component="search" role="dialog"'
_FORMULA = 'display="block"'


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Names the search dialog; a formula, which scrolls sideways in a narrow window, can be reached by the keyboard."""
    if _DIALOG not in output:
        raise PluginError("Material's search is written in another way now: does docs/hooks/accessible.py need to go?")
    return output.replace(_DIALOG, f'{_DIALOG} aria-label="Search"').replace(_FORMULA, f'{_FORMULA} tabindex="0"')
