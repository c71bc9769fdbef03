"""Texts of the site, written in Markdown. HTML in them is shown as text."""

from functools import cache

from markdown_it import MarkdownIt
from markupsafe import Markup

from lem.analysis.text import plain


@cache
def parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table")


def html(markdown: str) -> Markup:
    """HTML of a text; safe also where the text is hostile: no HTML passes, and of addresses only
    those that markdown-it takes for harmless."""
    return Markup(parser().render(markdown))


def inline(markdown: str) -> Markup:
    """Of one line, without a paragraph around it."""
    return Markup(parser().renderInline(plain(markdown, limit=2000)))
