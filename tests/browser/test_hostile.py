"""Text from outside is text, on every page, whatever it tries. The policy of the pages is switched
off for this: it is the second wall, and the first has to hold by itself."""

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Page

from lem.charts.model import Target
from lem.pages.page import Reader
from lem.pages.registry import kinds
from lem.web.addresses import LiveLinks
from tests.browser import hostile
from tests.browser.conftest import Serve
from tests.browser.outlets import Outlet, somebody
from tests.browser.test_layout import TOO_WIDE
from tests.browser.visits import Visit, none

Start = Callable[..., Visit]
EVERY = {"result": 5, "configuration": 1}
"""Of those that the archive has. The texts take turns."""
RAN = """() => [
    ...(window.hit ? ["a text was run"] : []),
    ...[...document.querySelectorAll("*")].flatMap(e => [...e.attributes]
        .filter(a => a.name.startsWith("on")
            || (/^(href|src|action|xlink:href)$/.test(a.name) && /^\\s*javascript:/i.test(a.value)))
        .map(a => `${e.tagName} ${a.name}=${a.value.slice(0, 60)}`)),
    ...[...document.querySelectorAll("main img, main script:not([type]), main iframe, main style")]
        .map(e => e.outerHTML.slice(0, 80)),
]"""
# All but what the reader typed, which stays in its field as it is.
SHOWN = """() => document.body.textContent + [...document.querySelectorAll("*")].flatMap(
    e => [...e.attributes].filter(a => a.name !== "value" && a.name !== "href").map(a => a.value)
).join(" ")"""
REORDERS = ("\u202e", "\u2066", "\u200b", "\ufeff", "\x1b")


@pytest.fixture(scope="session")
def bad(serve: Serve) -> Outlet:
    outlet = serve("sqlite", hostile.fill)
    outlet.pages = []
    return outlet


def addresses(outlet: Outlet) -> Iterator[str]:
    """Pages in which each of the texts is shown."""
    links = LiveLinks(outlet.url)
    with outlet.archive.database.reading() as connection:
        reader = Reader(connection, outlet.archive.packs)
        for kind in kinds().values():
            instances = list(kind.instances(reader))[:: EVERY.get(kind.name, 1)]
            for params in instances:
                yield links.absolute(links.page(Target(kind.name, dict(params))))
            if kind.name == "configuration":
                ids = [("id", p["id"][:16]) for p in instances[:6]]
                yield links.absolute(links.page(Target("compare", {}, tuple(ids))))
    for text in hostile.TEXTS.values():
        yield f"{outlet.url}explore?{urlencode({'q': text[:100]})}"
        yield f"{outlet.url}explore?{urlencode({'model': text[:400], 'backend': text[:400]})}"


def _seen(page: Page) -> list[str]:
    wrong: list[str] = page.evaluate(RAN)
    shown = page.evaluate(SHOWN)
    wrong += [f"U+{ord(c):04X} is in the page" for c in REORDERS if c in shown]
    if page.locator("h1").count() != 1:
        wrong.append("not one h1")
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_no_text_is_run_or_breaks_a_page(bad: Outlet, visit: Start, width: int) -> None:
    one = visit(bad, bypass_csp=True, viewport={"width": width, "height": 800})
    faults = {}
    for url in addresses(bad):
        page = one.page
        answer = page.goto(url)
        status = answer.status if answer else None
        one.settle()
        # A choice that is no question (422) is told in words, too.
        wrong = [f"status {status}"] if status not in (200, 422) else []
        wrong += _seen(page)
        wrong += page.evaluate(TOO_WIDE)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        wrong += [f"unfolded: {w}" for w in page.evaluate(TOO_WIDE)]
        wrong += [w for w in one.take() if "422" not in w]
        if wrong:
            faults[url] = wrong
    none(faults)


def test_a_text_is_shown_as_it_is(bad: Outlet, visit: Start) -> None:
    """The checks above would pass on empty pages."""
    page = visit(bad).go(f"{bad.url}explore")
    text = page.locator("main").inner_text()
    assert "<script>window.hit = 1</script>" in text
    assert "\\u202e" in text


def test_files_of_pages_and_charts_run_nothing_either(bad: Outlet) -> None:
    """A spreadsheet takes a cell that begins with =, +, - or @ for a formula; browsers run SVG."""
    faults = {}
    with httpx.Client(headers=somebody(), timeout=60) as client:
        seen = {link for url in addresses(bad) for link in _files(client, bad, url)}
        assert len([s for s in seen if ".csv" in s]) > 10
        for url in sorted(seen):
            answer = client.get(url)
            if answer.status_code != 200:
                faults[url] = [f"status {answer.status_code}"]
            elif ".svg" in url:
                faults[url] = _drawing(answer.text)
            else:
                faults[url] = _cells(answer.text)
    none({url: wrong for url, wrong in faults.items() if wrong})


def _files(client: httpx.Client, outlet: Outlet, url: str) -> Iterator[str]:
    from urllib.parse import urljoin

    from tests.browser.outlets import links

    for link in links(client.get(url).text):
        to = urljoin(url, link)
        if to.startswith(outlet.url) and (".csv" in to or ".svg" in to) and "/assets/" not in to:
            yield to


def _cells(text: str) -> list[str]:
    return [
        f"a formula: {cell[:40]!r}"
        for row in csv.reader(io.StringIO(text))
        for cell in row
        if cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not _is_number(cell)
    ]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _drawing(text: str) -> list[str]:
    wrong = []
    for element in ET.fromstring(text).iter():
        name = element.tag.rsplit("}", 1)[-1]
        if name in ("script", "image", "foreignObject", "iframe"):
            wrong.append(f"<{name}>")
        wrong += [f"{name} {a}" for a in element.attrib if a.lower().startswith("on")]
    return wrong
