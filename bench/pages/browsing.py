"""What a reader waits for, in headless Chromium whose processor is slowed down.

LCP: until the largest piece of text or picture of a first visit is drawn. INP: from a key or a tap
to the next picture, the slowest of a visit (https://web.dev/articles/inp). Both as the browser
itself reports them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Locator, Page

SLOWER = 4
OBSERVE = """
window.seen = {lcp: 0, events: []};
new PerformanceObserver(list => {
    for (const e of list.getEntries()) window.seen.lcp = e.startTime;
}).observe({type: "largest-contentful-paint", buffered: true});
new PerformanceObserver(list => {
    for (const e of list.getEntries())
        if (e.interactionId) window.seen.events.push([e.interactionId, e.name, e.duration]);
}).observe({type: "event", durationThreshold: 16, buffered: true});
"""


class Seen(NamedTuple):
    """Milliseconds."""

    lcp: float
    interactions: dict[str, float]
    """What was done → the slowest time to the next picture, in steps of 8 ms; below 16: 0."""


@contextmanager
def _visit(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.add_init_script(OBSERVE)
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.goto(url)
    page.wait_for_load_state("networkidle")
    yield page
    context.close()


def first_visit(browser: Browser, url: str) -> float:
    """LCP in milliseconds, with nothing in a cache."""
    with _visit(browser, url) as page:
        return float(page.evaluate("window.seen.lcp"))


def exploring(browser: Browser, url: str) -> Seen:
    """A visit of the explorer in which everything is used."""
    with _visit(browser, f"{url}/explore") as page:
        lcp = float(page.evaluate("window.seen.lcp"))
        done = {name: _slowest(page, do) for name, do in ACTIONS.items()}
    return Seen(lcp, done)


def _slowest(page: Page, do: Callable[[Page], Any]) -> float:
    page.evaluate("window.seen.events = []")
    do(page)
    page.wait_for_timeout(1500)
    page.wait_for_load_state("networkidle")
    return float(page.evaluate("Math.max(0, ...window.seen.events.map(e => e[2]))"))


def _seen(page: Page, what: Locator) -> None:
    """Scrolled to, and drawn: whoever comes to it has seen what lies on the way."""
    what.scroll_into_view_if_needed()
    page.wait_for_timeout(800)


def _type(page: Page) -> None:
    field = page.locator("input[name=q]")
    field.click()
    field.press_sequentially("birch", delay=120)
    page.wait_for_timeout(800)
    for _ in range(5):
        field.press("Backspace", delay=80)


def _toggle(page: Page) -> None:
    page.locator("details.choice summary").first.click()
    box = page.locator("details.choice[open] input[type=checkbox]").first
    box.click()
    page.wait_for_timeout(800)
    page.locator("details.choice[open] input[type=checkbox]").first.click()
    page.keyboard.press("Escape")


def _cursor(page: Page) -> None:
    _seen(page, page.locator(".plot-over"))
    page.locator(".plot-over").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
        page.wait_for_timeout(120)


def _point(page: Page) -> None:
    box = page.locator(".plot-over").bounding_box()
    assert box is not None
    for x in (0.3, 0.5, 0.7):
        page.mouse.click(box["x"] + x * box["width"], box["y"] + 0.6 * box["height"])
        page.wait_for_timeout(150)


def _turn(page: Page) -> None:
    button = page.locator("button.next")
    _seen(page, button)
    button.click()


def _axis(page: Page) -> None:
    _seen(page, page.locator(".axes"))
    page.locator(".axes select").nth(1).focus()
    page.keyboard.press("ArrowDown")


ACTIONS: dict[str, Callable[[Page], Any]] = {
    "typing a part of a model's name": _type,
    "a filter on and off": _toggle,
    "the cursor by keys": _cursor,
    "a tap on a point": _point,
    "the next page of the table": _turn,
    "another axis": _axis,
}
