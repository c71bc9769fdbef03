"""Campaigns of all kinds on one server, and whoever looks at them."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.live_stage import Sender, Stage
from tests.browser.outlets import Outlet
from tests.browser.visits import Visit, begin
from tests.live_log import Shape, batches

PATIENCE_S = 20
SMALL = Shape(arms=3, window_s=6, warm_up_s=2, idle_s=2, rate=5)
NAUGHTY = Shape(arms=2, blocks=2, hostile=True, window_s=6, rate=5, name="<b>naughty</b>\u202e")
ESTIMATED = Shape(arms=2, blocks=2, estimated=True, window_s=6, rate=5, name="a laptop")


class Scene:
    """A server with campaigns that were recorded, one that runs, and one that waits."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.small = stage.recorded(SMALL)
        self.naughty = stage.recorded(NAUGHTY)
        self.estimated = stage.recorded(ESTIMATED)
        self.running, fence = stage.running()
        self.waiting = stage.add("one that waits")
        stage.serve()
        self.outlet = Outlet("stage", f"{stage.url}/")
        self.sender = Sender(stage, self.running, fence)

    def live(self, queued: str, query: str = "") -> str:
        return f"{self.outlet.url}live/{queued}{query}"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    stage = Stage(tmp_path_factory.mktemp("stage"))
    try:
        found = Scene(stage)
        for piece in list(batches(Shape(window_s=3, rate=5)))[:20]:
            found.sender.send(piece)
        yield found
    finally:
        stage.close()


@pytest.fixture
def look(chromium: Browser, scene: Scene) -> Iterator[Callable[..., Visit]]:
    """Opens a page of the scene until its script is in charge. A stream that goes on is never idle,
    so that cannot be waited for."""
    begun: list[Visit] = []

    def open_(url: str, **options: Any) -> Visit:
        one = begin(chromium, scene.outlet, **options)
        begun.append(one)
        one.page.goto(url)
        until(one.page, "document.querySelector('[data-island]').dataset.mounted === ''")
        until(one.page, "!window.__lem_live || window.__lem_live.screen.loading.value === null")
        # A frame, in which what was loaded is shown.
        one.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
        return one

    yield open_
    for one in begun:
        one.context.close()


def until(page: Page, expression: str) -> None:
    """Asked again and again from here: the pages' policy lets no page wait for a text of code."""
    end = time.monotonic() + PATIENCE_S
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"not within {PATIENCE_S} s: {expression}"
        page.wait_for_timeout(50)


def texts(page: Page, selector: str) -> list[str]:
    return page.locator(selector).all_inner_texts()
