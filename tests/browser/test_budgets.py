"""How much a first visit of a page loads. Sizes are compressed, as they come over the wire."""

import gzip
from collections import defaultdict
from collections.abc import Callable

import pytest

from tests.browser.archives import large
from tests.browser.conftest import Serve
from tests.browser.outlets import Found, Outlet
from tests.browser.visits import Visit, none

Start = Callable[..., Visit]
KB = 1000
SCRIPTS = 60 * KB
SCRIPTS_OF_LARGE = 120 * KB
LARGE = {"explore", "build", "live"}
ALL = 150 * KB
PLAIN = ("woff2", "png")


@pytest.fixture(scope="session")
def many(serve: Serve) -> Outlet:
    """20,000 configurations on a server."""
    return serve("sqlite", large).walk()


def loaded(visit: Start, outlet: Outlet, found: Found) -> dict[str, int]:
    """Bytes by type of resource: ``document``, ``script``, ``stylesheet``, ``font``, ``fetch``…"""
    one = visit(outlet)
    one.go(found)
    assert not one.take()
    sizes: dict[str, int] = defaultdict(int)
    for request in one.requests:
        answer = request.response()
        assert answer is not None
        if outlet.live:
            size = request.sizes()["responseBodySize"]
        else:
            body = answer.body()
            # A file server of the tests does not compress; hosts do.
            size = len(body if request.url.endswith(PLAIN) else gzip.compress(body, 6))
        sizes[request.resource_type] += size
    one.context.close()
    return sizes


def _check(visit: Start, outlet: Outlet, pages: list[Found]) -> None:
    faults = {}
    for found in pages:
        sizes = loaded(visit, outlet, found)
        assert sizes["document"] > 0 and sizes["stylesheet"] > 0
        allowed = SCRIPTS_OF_LARGE if found.kind in LARGE else SCRIPTS
        wrong = []
        if sizes["script"] > allowed:
            wrong.append(f"scripts: {sizes['script']} of {allowed} bytes")
        if sum(sizes.values()) > ALL:
            wrong.append(f"in all: {sum(sizes.values())} of {ALL} bytes: {dict(sizes)}")
        if wrong:
            faults[found.url] = wrong
    none(faults)


def _each_kind(outlet: Outlet) -> list[Found]:
    """Of each kind the page without a query, and one with."""
    return list({(p.kind, "?" in p.url): p for p in reversed(outlet.pages)}.values())


def test_no_page_is_heavy(each_outlet: Outlet, visit: Start) -> None:
    _check(visit, each_outlet, _each_kind(each_outlet))


@pytest.mark.slow
def test_no_page_is_heavy_with_twenty_thousand_configurations(many: Outlet, visit: Start) -> None:
    page = visit(many).go(many.page("explore"))
    assert "20" in page.locator("[role=status]").first.inner_text()
    _check(visit, many, _each_kind(many))
