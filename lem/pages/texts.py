"""Pages of text: what lies in ``lem/web/texts``, each at its own name."""

from dataclasses import replace
from functools import partial

from lem.pages.assumed import DEFAULT, numbers
from lem.pages.page import Kind, Page, Params, Query, Reader, nothing_asked
from lem.web.prose import Text, text

NAMES = ("method", "glossary", "data", "api", "privacy", "terms", "changelog")
WITH_CONTENTS = 4
"""Parts from which on a page begins with a list of them."""


def page(name: str, reader: Reader, params: Params, query: Query) -> Page:
    nothing_asked(query)
    found = filled(text(name))
    return Page(
        template="text.html",
        title=found.title,
        description=found.description,
        context={
            "text": found,
            "contents": found.headings if len(found.headings) >= WITH_CONTENTS else (),
        },
    )


def filled(found: Text) -> Text:
    """With the numbers of estimates for ``{{ estimate.watts }}`` and ``{{ estimate.percent }}``."""
    body = found.body
    for name, number in numbers(DEFAULT).items():
        body = body.replace(f"{{{{ estimate.{name} }}}}", number)
    return replace(found, body=body)


KINDS = tuple(Kind(name, partial(page, name)) for name in NAMES)
