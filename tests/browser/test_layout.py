"""Pages fit: a phone, a laptop, text at twice its size, paper."""

from collections.abc import Callable

import pytest

from tests.browser.outlets import Outlet
from tests.browser.visits import Visit, none

Start = Callable[..., Visit]
SIZES = {
    "small phone": (320, 640, 2),
    "phone": (390, 844, 2),
    "laptop at 200 %": (640, 400, 2),
    "tablet": (820, 1180, 1),
    "laptop": (1280, 800, 1),
    "wide": (1920, 1080, 1),
}
TOO_WIDE = """() => {
    const width = document.documentElement.clientWidth;
    if (document.scrollingElement.scrollWidth <= width) return [];
    const within = (e) => {  // something that scrolls or clips by itself
        for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
            if (getComputedStyle(p).overflowX !== "visible") return true;
        return false;
    };
    const found = [...document.body.querySelectorAll("*")]
        .filter(e => e.getBoundingClientRect().right > width + 1 && !within(e))
        .map(e => `${e.tagName.toLowerCase()}.${e.getAttribute("class") ?? ""} ends at ${
            Math.round(e.getBoundingClientRect().right)} of ${width}`);
    const all = document.scrollingElement.scrollWidth;
    return found.length ? found.slice(-6) : [`the page is ${all} wide`];
}"""
CUT_OFF = """() => [...document.querySelectorAll(
    "h1, h2, h3, button, summary, label, .badge, .figure, nav a"
)].filter(e => e.checkVisibility() && getComputedStyle(e).overflowX !== "visible"
        && e.scrollWidth > e.clientWidth + 1 && !e.matches(".visually-hidden, .skip"))
    .map(e => `cut off: ${e.tagName.toLowerCase()} ${e.textContent.trim().slice(0, 60)}`)"""


@pytest.mark.parametrize("size", SIZES)
def test_no_page_is_wider_than_the_screen(live: Outlet, visit: Start, size: str) -> None:
    width, height, scale = SIZES[size]
    one = visit(live, viewport={"width": width, "height": height}, device_scale_factor=scale)
    faults = {}
    for found in live.pages:
        page = one.go(found)
        wrong = page.evaluate(TOO_WIDE) + page.evaluate(CUT_OFF)
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        wrong += [f"unfolded: {w}" for w in page.evaluate(TOO_WIDE)]
        if wrong:
            faults[found.url] = wrong
    none(faults)


def test_paper_has_the_content_and_no_controls(live: Outlet, visit: Start) -> None:
    one, faults = visit(live, color_scheme="dark"), {}
    for found in live.pages:
        page = one.go(found)
        page.emulate_media(media="print")
        shown = page.evaluate(
            """() => [...document.querySelectorAll("nav, button, input, select, .skip, .tools")]
                .filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 80))"""
        )
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        text = page.locator("main").inner_text()
        page.emulate_media(media="screen")
        if shown or paper != "rgb(255, 255, 255)" or len(text) < 40:
            faults[found.url] = [*shown, f"on {paper}: {text[:40]}"]
    none(faults)


def test_nothing_moves_for_those_who_ask_for_that(live: Outlet, visit: Start) -> None:
    one, faults = visit(live, reduced_motion="reduce"), {}
    moves = """() => [...document.querySelectorAll("html, body *")].filter(e => {
        const s = getComputedStyle(e);
        const ms = (d) => parseFloat(d) * (d.includes("ms") ? 1 : 1000);
        const long = (v) => v.split(",").some(d => ms(d) > 20);
        return s.scrollBehavior === "smooth" || long(s.transitionDuration)
            || (s.animationName !== "none" && long(s.animationDuration));
    }).map(e => e.tagName + "." + (e.getAttribute("class") ?? ""))"""
    for found in live.pages:
        if wrong := one.go(found).evaluate(moves):
            faults[found.url] = sorted(set(wrong))
    none(faults)
