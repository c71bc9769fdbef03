"""axe-core on every page, light and dark, wide and narrow."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.outlets import Found, Outlet
from tests.browser.visits import Visit, none

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
HOW = "npm ci --prefix web"
RUN = """async (only) => (await axe.run(document, {
    resultTypes: ["violations"],
    ...(only ? {runOnly: only} : {rules: {"target-size": {enabled: true}}}),
})).violations.flatMap(v => v.nodes.map(n =>
    `${v.id}: ${n.target.join(" ")} ${n.failureSummary}`))"""


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"axe-core is not here: {HOW}")
    return AXE.read_text("utf-8")


@pytest.mark.slow
def test_axe_finds_no_fault_on_any_page(
    live: Outlet, visit: Callable[..., Visit], axe: str
) -> None:
    _none(visit(live, **_as("light", 1280)), axe, live.pages)


@pytest.mark.slow
def test_contrast_is_enough_in_the_dark_too(
    live: Outlet, visit: Callable[..., Visit], axe: str
) -> None:
    """Nothing else is another in the dark."""
    _none(visit(live, **_as("dark", 1280)), axe, live.pages, ["color-contrast"])


@pytest.mark.slow
def test_axe_finds_no_fault_on_a_phone(live: Outlet, visit: Callable[..., Visit], axe: str) -> None:
    _none(visit(live, **_as("light", 360)), axe, _each_kind(live))


@pytest.mark.slow
def test_axe_finds_no_fault_on_the_pages_of_files(
    outlets: Callable[[str], Outlet], visit: Callable[..., Visit], axe: str
) -> None:
    """The HTML is the server's, and what the islands make of it may differ."""
    files = outlets("files")
    _none(visit(files, **_as("dark", 1280)), axe, _each_kind(files))


def _as(scheme: str, width: int) -> dict[str, object]:
    # The policy of the pages keeps out even this script.
    viewport = {"width": width, "height": 900}
    return {"color_scheme": scheme, "bypass_csp": True, "viewport": viewport}


def _each_kind(outlet: Outlet) -> list[Found]:
    return list({p.kind: p for p in reversed(outlet.pages)}.values())


def _none(one: Visit, axe: str, pages: list[Found], only: list[str] | None = None) -> None:
    faults = {}
    for found in pages:
        page = one.go(found)
        # What is folded away is looked at, too.
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.add_script_tag(content=axe)
        if wrong := page.evaluate(RUN, only):
            faults[found.url] = wrong
    none(faults)
