"""The live view and the list of campaigns by keyboard, on small screens, aloud, in the dark."""

from collections.abc import Callable

import pytest

from tests.browser import live_scene
from tests.browser import test_accessibility as accessibility
from tests.browser.live_scene import Scene, texts
from tests.browser.test_keyboard import _walk
from tests.browser.test_layout import CUT_OFF, SIZES, TOO_WIDE
from tests.browser.visits import Visit, none

axe = accessibility.axe
scene, look = live_scene.scene, live_scene.look


def _pages(scene: Scene) -> dict[str, str]:
    return {
        "replay": scene.live(scene.small, "?left=0.0.0&right=2.0.0"),
        "naughty": scene.live(scene.naughty),
        "running": scene.live(scene.running),
        "waiting": scene.live(scene.waiting.id),
        "queue": f"{scene.outlet.url}queue",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(
    scene: Scene, look: Callable[..., Visit], axe: str, scheme: str
) -> None:
    faults = {}
    for name, url in _pages(scene).items():
        page = look(url, color_scheme=scheme, bypass_csp=True).page
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.add_script_tag(content=axe)
        if wrong := page.evaluate(accessibility.RUN, None):
            faults[name] = wrong
    none(faults)


@pytest.mark.parametrize(("page", "most"), [("replay", 120_000), ("queue", 60_000)])
def test_its_scripts_are_light(
    scene: Scene, look: Callable[..., Visit], page: str, most: int
) -> None:
    one = look(_pages(scene)[page])
    sizes = [r.sizes()["responseBodySize"] for r in one.requests if r.resource_type == "script"]
    assert len(sizes) > 2 and sum(sizes) <= most


@pytest.mark.parametrize("size", SIZES)
def test_it_fits_the_screen(scene: Scene, look: Callable[..., Visit], size: str) -> None:
    width, height, scale = SIZES[size]
    faults = {}
    for name, url in _pages(scene).items():
        viewport = {"width": width, "height": height}
        page = look(url, viewport=viewport, device_scale_factor=scale).page
        if wrong := page.evaluate(TOO_WIDE) + page.evaluate(CUT_OFF):
            faults[name] = wrong
    none(faults)


def test_everything_is_reached_by_keyboard(scene: Scene, look: Callable[..., Visit]) -> None:
    faults = {}
    for name, url in _pages(scene).items():
        if wrong := _walk(look(url, reduced_motion="reduce").page):
            faults[name] = wrong
    none(faults)


def test_nothing_moves_by_itself_for_those_who_ask_for_that(
    scene: Scene, look: Callable[..., Visit]
) -> None:
    page = look(scene.live(scene.small, "?left=0.0.0&right=2.0.0"), reduced_motion="reduce").page
    before = texts(page, ".half .counter .value")
    page.wait_for_timeout(600)
    assert texts(page, ".half .counter .value") == before == ["0", "0"]
    dot = "getComputedStyle(document.querySelector('.state-line .dot')).animationName"
    running = look(scene.live(scene.waiting.id), reduced_motion="reduce").page
    assert page.evaluate(dot) == running.evaluate(dot) == "none"


def test_what_is_said_aloud_is_said_now_and_then(scene: Scene, look: Callable[..., Visit]) -> None:
    page = look(scene.live(scene.small)).page
    page.evaluate("""() => {
        window.heard = [];
        const watch = new MutationObserver(() => window.heard.push(performance.now()));
        document.querySelectorAll("[aria-live], [role=status], [role=alert]").forEach(
            e => watch.observe(e, {childList: true, characterData: true, subtree: true}));
    }""")
    page.locator(".scrubber").first.press("Home")
    page.locator(".player label", has_text="16×").click()
    page.locator(".player .play").click()
    page.wait_for_timeout(7000)
    heard = page.evaluate("window.heard")
    assert 1 <= len(heard) <= 2
