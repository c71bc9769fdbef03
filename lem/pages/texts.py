"""Pages of text: what lies in ``lem/web/texts``, each at its own name."""

from functools import partial

from lem.pages.page import Kind, Page, Params, Query, Reader, nothing_asked
from lem.web.prose import text

NAMES = ("method", "glossary", "data", "api", "privacy", "terms", "changelog")
WITH_CONTENTS = 4
"""Parts from which on a page begins with a list of them."""


def page(name: str, reader: Reader, params: Params, query: Query) -> Page:
    nothing_asked(query)
    found = text(name)
    return Page(
        template="text.html",
        title=found.title,
        description=found.description,
        context={
            "text": found,
            "contents": found.headings if len(found.headings) >= WITH_CONTENTS else (),
        },
    )


KINDS = tuple(Kind(name, partial(page, name)) for name in NAMES)
