"""What holds for every page that can be reached from the first one."""

from collections.abc import Callable

import httpx
import pytest

from lem.pages.registry import kinds
from lem.server.headers import PAGE_POLICY
from tests.browser.outlets import Outlet, somebody
from tests.browser.visits import Visit, none

Start = Callable[..., Visit]
ENTERED = {"account", "build", "queue"}
PLATFORM = {*ENTERED, "admin", "join", "live"}


def test_every_kind_of_page_is_reached_from_the_first_one(outlet: Outlet) -> None:
    reached = {p.kind for p in outlet.pages}
    assert reached - PLATFORM == {*kinds(), "embed"}
    # Files have no server behind them that could run anything.
    assert reached & PLATFORM >= ENTERED if outlet.live else not reached & PLATFORM


def test_nothing_goes_wrong_on_any_page(outlet: Outlet, visit: Start) -> None:
    one, faults = visit(outlet), {}
    for found in outlet.pages:
        page = one.go(found)
        wrong = one.take()
        headings = page.locator("h1").count()
        if headings != 1:
            wrong.append(f"{headings} elements h1")
        if not page.title() or page.locator("html").get_attribute("lang") != "en":
            wrong.append("no title or language")
        if cookies := one.context.cookies():
            wrong.append(f"cookies: {cookies}")
        if wrong:
            faults[found.url] = wrong
    none(faults)


def test_every_address_that_a_page_names_is_there(each_outlet: Outlet) -> None:
    dead = {}
    with httpx.Client(follow_redirects=True, timeout=60) as client:
        for url, named_by in each_outlet.links.items():
            status = client.get(url, headers=somebody()).status_code
            if status != 200:
                dead[url] = f"{status}; named by {named_by}"
    none(dead)


def test_a_server_says_what_its_pages_may_load(live: Outlet) -> None:
    frame = {"embed": "*"}
    with httpx.Client(headers=somebody(), timeout=60) as client:
        for url, kind in live.pages:
            headers = client.get(url).headers
            assert headers["content-security-policy"] == PAGE_POLICY.format(
                frame.get(kind, "'none'")
            )
            assert "set-cookie" not in headers
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert ("x-frame-options" in headers) == (kind != "embed")


def test_a_page_that_is_not_there_says_so_in_words(live: Outlet, visit: Start) -> None:
    one = visit(live)
    answer = one.page.goto(f"{live.url}configurations/0000000000000000")
    assert answer is not None and answer.status == 404
    assert one.page.locator("h1").count() == 1
    assert one.page.get_by_role("link", name="Explore").count() >= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_chart_in_a_frame_follows_its_theme(live: Outlet, visit: Start, scheme: str) -> None:
    """Its theme and not the reader's system decides."""
    url = live.page("embed")
    dark = {}
    for theme in ("light", "dark"):
        one = visit(live, color_scheme=scheme)
        page = one.go(f"{url}{'&' if '?' in url else '?'}theme={theme}")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        dark[theme] = sum(int(c) for c in colour[4:-1].split(",")[:3]) < 380
        assert not one.take()
    assert dark == {"light": False, "dark": True}
