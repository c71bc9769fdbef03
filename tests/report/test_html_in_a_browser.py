"""The report in Debian's Chromium, opened from ``file://`` without a network."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from lem.analysis.results import open_results
from lem.analysis.text import ratio
from lem.report.html.document import document
from lem.report.html.gather import gather
from lem.trust.budget import metrics
from tests.report import folders

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--no-first-run"]  # fmt: skip
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", e =>
    window.violations.push(`${e.violatedDirective}: ${e.blockedURI}`));
window.alert = () => window.violations.push("alert");
"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (apt install chromium)")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = folders.measured(tmp_path_factory.mktemp("rich") / "c", model=f"org/{folders.HOSTILE}")
    to = folder / "report.html"
    to.write_text(document(gather(open_results(folder).one(), metrics)), "utf-8")
    return to


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield found
        found.close()


class Opened:
    """The page, with everything that it asked for and complained of."""

    def __init__(self, context: BrowserContext, file: Path) -> None:
        self.asked: list[str] = []
        self.said: list[str] = []
        context.set_offline(True)
        context.add_init_script(WATCH)
        self.page: Page = context.new_page()
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.on("console", lambda m: self.said.append(m.text))
        self.page.on("pageerror", lambda e: self.said.append(str(e)))
        self.page.on("dialog", lambda d: (self.said.append(d.message), d.dismiss()))
        self.page.goto(file.as_uri(), wait_until="load")


@pytest.fixture
def opened(browser: Browser, made: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    context = browser.new_context(**getattr(request, "param", {}))
    yield Opened(context, made)
    context.close()


def everything_is_quiet(opened: Opened, made: Path) -> None:
    # A font in the file counts as a request of its own, which leaves nothing.
    assert [u for u in opened.asked if not u.startswith("data:")] == [made.as_uri()]
    assert opened.said == []


def test_nothing_is_asked_for_and_nothing_is_refused(opened: Opened, made: Path) -> None:
    page = opened.page
    for details in page.query_selector_all("details:not([open])"):
        details.evaluate("d => { d.open = true }")
    page.evaluate("document.fonts.ready")
    everything_is_quiet(opened, made)
    assert page.evaluate("window.violations") == []
    # The watch itself sees what the policy refuses.
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://x.invalid/'}))")
    page.evaluate("document.body.setAttribute('style', 'color: red')")
    page.wait_for_function("window.violations.length >= 2")


def test_its_own_font_style_and_script_take_effect(opened: Opened) -> None:
    page = opened.page
    page.evaluate("document.fonts.ready")
    assert page.evaluate("[...document.fonts].filter(f => f.status === 'loaded').length") == 1
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).overflowX") == "auto"
    assert page.locator("#tools button").count() == 1


def test_the_figures_on_the_screen_are_those_of_compare(opened: Opened, made: Path) -> None:
    comparison = open_results(made.parent).one().compare()
    inside = json.loads(opened.page.text_content("#comparison") or "")
    assert inside == json.loads(json.dumps(comparison.to_json()))
    rows = opened.page.locator("#arms table").first.locator("tbody tr").all_inner_texts()
    assert len(rows) == len(comparison.arms)
    key = comparison.quantities[0].key
    for arm, row in zip(comparison.arms, rows, strict=True):
        shown = "baseline" if arm.baseline else ratio(arm.ratios[key])
        assert arm.name in " ".join(row.split()) and shown in row


def test_tables_can_be_sorted_and_the_theme_changed(opened: Opened) -> None:
    page = opened.page
    table = page.locator("#arms table").first

    def column(n: int) -> list[float]:
        return [
            float(v)
            for v in table.locator(f"tbody tr td:nth-child({n})").evaluate_all(
                "cells => cells.map(c => c.dataset.value)"
            )
        ]

    before = column(2)
    assert before != sorted(before)
    head = table.locator("thead th:nth-child(2)")
    head.locator("button").click()
    assert column(2) == sorted(before) and head.get_attribute("aria-sort") == "ascending"
    head.locator("button").press("Enter")
    assert column(2) == sorted(before, reverse=True)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#tools button").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper


@pytest.mark.parametrize("opened", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_everything_is_there(opened: Opened, made: Path) -> None:
    page = opened.page
    everything_is_quiet(opened, made)
    finding = page.locator("#finding").inner_text()
    assert finding.startswith("vllm with batch size 16, bfloat16 uses 94")
    assert page.locator("svg.chart:visible").count() >= 6
    assert page.locator("#arms tbody tr:visible").count() == 24
    folded = page.locator("details:not([open])")
    before = folded.count()
    folded.first.locator("summary").first.click()
    assert folded.count() == before - 1


@pytest.mark.parametrize(
    "opened",
    [{"viewport": {"width": w, "height": 800}, "color_scheme": c}
     for w, c in ((360, "light"), (1280, "dark"))],
    indirect=True,
)  # fmt: skip
def test_nothing_hangs_over_the_edge(opened: Opened) -> None:
    page = opened.page
    width = page.evaluate("innerWidth")
    for details in page.query_selector_all("details:not([open])"):
        details.evaluate("d => { d.open = true }")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("opened", [{"color_scheme": "dark"}], indirect=True)
def test_on_paper_nothing_is_folded_away_and_it_is_light(opened: Opened) -> None:
    page = opened.page
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    # But for the tables of charts: their figures stand in the text.
    assert page.locator("details:not([open], .as-table)").count() == 0
    assert page.locator(".as-table:visible").count() == 0
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details:not([open])").count() > 0
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert len(page.pdf()) > 50_000


def test_headings_and_regions_have_names(opened: Opened) -> None:
    """What a screen reader goes by; the whole audit is the site's (the parts are shared)."""
    page = opened.page
    levels: list[Any] = page.evaluate(
        "[...document.querySelectorAll('h1,h2,h3')].map(h => Number(h.tagName[1]))"
    )
    assert levels[0] == 1 and levels.count(1) == 1
    ids: list[str] = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    unnamed = page.evaluate(
        "[...document.querySelectorAll('svg.chart, [role=region], nav')]"
        ".filter(e => !e.getAttribute('aria-label')).length"
    )
    assert unnamed == 0
    targets = page.evaluate(
        "[...document.querySelectorAll('a[href^=\"#\"]')].filter(a => "
        "!document.getElementById(a.getAttribute('href').slice(1))).length"
    )
    assert targets == 0
