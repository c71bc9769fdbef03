"""Texts of the site, written in Markdown. HTML in them is shown as text."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from lem.analysis.text import plain


def _block(renderer: RendererHTML, tokens: Sequence[Token], at: int, *rest: Any) -> str:
    """A block of code that takes the focus: whoever has no mouse scrolls a wide one by keys."""
    drawn: str = getattr(RendererHTML, tokens[at].type)(renderer, tokens, at, *rest)
    return drawn.replace("<pre>", '<pre tabindex="0">', 1)


@cache
def parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")
    for name in ("fence", "code_block"):
        made.add_render_rule(name, _block)
    return made


def html(markdown: str) -> Markup:
    """HTML of a text; safe also where the text is hostile: no HTML passes, and of addresses only
    those that markdown-it takes for harmless."""
    return Markup(parser().render(markdown))


def inline(markdown: str) -> Markup:
    """Of one line, without a paragraph around it."""
    return Markup(parser().renderInline(plain(markdown, limit=2000)))
