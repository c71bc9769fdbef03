"""Texts of the site, written in Markdown by whoever writes for it.

HTML in them is shown as text, pictures are refused (a page loads nothing that was not made for it),
and an address is ``https://…``, ``#place`` or ``page:NAME`` (``page:story/NAME``), which becomes
the page's address in the outlet that it is shown in.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from markdown_it.token import Token
from markupsafe import Markup

from lem.charts.model import Target
from lem.errors import BadInput, Problem
from lem.web.addresses import PATHS
from lem.web.markdown import parser

Address = Callable[[Target], str]

_PAGE = re.compile(r"page:([a-z]+)(?:/([a-z0-9-]+))?(#[a-z0-9-]+)?")
_PARAMETER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Text:
    """A page of text. ``headings``: the parts of the page, second level."""

    name: str
    title: str
    description: str
    """Its first paragraph as plain text."""
    lead: str
    """The first paragraph."""
    body: str
    """All that follows."""
    headings: tuple["Heading", ...]


@dataclass(frozen=True)
class Heading:
    id: str
    words: str


@cache
def text(name: str) -> Text:
    """``texts/NAME.md``. Raises :class:`BadInput` where it is not what a text should be."""
    file = f"texts/{name}.md"
    source = (files("lem.web") / "texts" / f"{name}.md").read_text("utf-8")
    first, _, body = source.partition("\n")
    problems = list(problems_of(body, file, first_line=2))
    if not first.startswith("# "):
        problems.insert(0, Problem("must begin with '# ' and the title", file, 1))
    tokens = parser().parse(body)
    if not tokens or tokens[0].type != "paragraph_open" or tokens[0].map is None:
        problems.append(Problem("must begin with a paragraph that says what it is about", file, 3))
    if problems or tokens[0].map is None:
        raise BadInput(problems)
    lines, (start, end) = body.split("\n"), tokens[0].map
    return Text(
        name=name,
        title=first[2:].strip(),
        description=_words(tokens[1]),
        lead="\n".join(lines[start:end]),
        body="\n".join(lines[end:]),
        headings=tuple(_headings(tokens, "h2")),
    )


def html(markdown: str, address: Address) -> Markup:
    """``markdown`` as HTML; headings can be linked to by their words (``#rank-group``). Everything
    of it was escaped by the parser, which lets no HTML through."""
    tokens = parser().parse(markdown)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", slug(_words(tokens[index + 1])))
    for link in _links(tokens):
        link.attrSet("href", resolved(str(link.attrGet("href")), address))
    return Markup(parser().renderer.render(tokens, parser().options, {}))


def resolved(href: str, address: Address) -> str:
    """The address that ``href`` of a text stands for."""
    found = _PAGE.fullmatch(href)
    if found is None:
        return href
    page, which, place = found.groups()
    of = _PARAMETER.search(PATHS[page])
    return address(Target(page, {of[1]: which} if of else {})) + (place or "")


def problems_of(markdown: str, file: str, first_line: int = 1) -> Iterator[Problem]:
    """What may not be in a text: pictures, and links that lead nowhere or are no https."""
    for token in parser().parse(markdown):
        line = None if token.map is None else token.map[0] + first_line
        for inner in token.children or ():
            if inner.type == "image":
                yield Problem("has a picture; use a chart", file, line)
            if inner.type == "link_open" and (why := _wrong(str(inner.attrGet("href")))):
                yield Problem(why, file, line)


def _wrong(href: str) -> str | None:
    if href.startswith(("https://", "#")):
        return None
    found = _PAGE.fullmatch(href)
    if found is None:
        return f"'{href}': an address is https://…, #place or page:NAME"
    page, which, _ = found.groups()
    if page not in PATHS or (_PARAMETER.search(PATHS[page]) is None) != (which is None):
        return f"'{href}': there is no such page"
    return None


def slug(words: str) -> str:
    """``Energy per token`` → ``energy-per-token``."""
    return re.sub(r"[^a-z0-9]+", "-", words.replace("₂", "2").lower()).strip("-")


def _headings(tokens: Sequence[Token], tag: str) -> Iterator[Heading]:
    for index, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == tag:
            words = _words(tokens[index + 1])
            yield Heading(slug(words), words)


def _links(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield from (one for one in token.children or () if one.type == "link_open")


def _words(inline: Token) -> str:
    return "".join(" " if one.type == "softbreak" else one.content for one in inline.children or ())
