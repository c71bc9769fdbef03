"""Everything by keyboard, and one always sees where one is."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

from tests.browser.outlets import Outlet
from tests.browser.visits import Visit, none

Start = Callable[..., Visit]
MOST_STOPS = 400
REACHABLE = """() => {
    const named = 'a[href], button, input, select, textarea, summary, [tabindex]';
    const all = [...document.querySelectorAll(named)].filter(e =>
        e.tabIndex >= 0 && !e.disabled && e.type !== "hidden"
        && e.checkVisibility({visibilityProperty: true}));
    // Of radio buttons of one name one is a stop.
    const stops = all.filter(e => e.type !== "radio" || e.checked
        || !all.some(o => o.type === "radio" && o.name === e.name && o.checked));
    stops.forEach((e, i) => e.setAttribute("data-stop", i));
    return {
        stops: stops.length,
        ahead: all.filter(e => e.tabIndex > 0).length,
        // What reacts to a click alone.
        mute: [...document.querySelectorAll("[onclick], [role=button], [role=link], [role=tab]")]
            .filter(e => e.tabIndex < 0).length,
    };
}"""
HERE = """() => {
    const e = document.activeElement;
    const s = getComputedStyle(e);
    const drawn = (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2)
        || s.boxShadow !== "none";
    const box = e.getBoundingClientRect();
    return {
        stop: e.getAttribute("data-stop"),
        what: e.outerHTML.slice(0, 90),
        drawn,
        seen: box.width > 0 && box.height > 0 && box.bottom > 0 && box.top < innerHeight,
    };
}"""


def _walk(page: Page) -> list[str]:
    """What goes wrong while Tab is pressed from the first to the last stop."""
    about = page.evaluate(REACHABLE)
    wrong = []
    if about["ahead"] or about["mute"]:
        wrong.append(f"order set by hand or out of reach: {about}")
    reached: list[int] = []
    for _ in range(min(about["stops"], MOST_STOPS)):
        page.keyboard.press("Tab")
        at: dict[str, Any] = page.evaluate(HERE)
        if at["stop"] is None:
            wrong.append(f"focus where nothing was to be: {at['what']}")
            break
        reached.append(int(at["stop"]))
        if not at["drawn"]:
            wrong.append(f"focus is not to be seen on {at['what']}")
        if not at["seen"]:
            wrong.append(f"focus is off the screen on {at['what']}")
    if reached != list(range(len(reached))):
        wrong.append(f"not in the order of the page: {reached[:40]}")
    if about["stops"] > MOST_STOPS:
        wrong.append(f"{about['stops']} stops")
    return wrong[:8]


def test_tab_reaches_everything_in_order_and_shows_where_it_is(
    each_outlet: Outlet, visit: Start
) -> None:
    # Without smooth scrolling, so that what has the focus is where it will be.
    one, faults = visit(each_outlet, reduced_motion="reduce"), {}
    kinds = {p.kind: p for p in reversed(each_outlet.pages)}
    for found in kinds.values():
        if wrong := _walk(one.go(found)):
            faults[found.url] = wrong
    none(faults)


def test_the_first_stop_skips_to_the_content(live: Outlet, visit: Start) -> None:
    page = visit(live).go(live.page("explore"))
    page.keyboard.press("Tab")
    skip = page.locator("a.skip")
    assert skip.evaluate("e => e === document.activeElement")
    box = skip.bounding_box()
    assert box is not None and box["x"] >= 0 and box["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.tagName") == "MAIN"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
