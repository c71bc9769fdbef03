"""axe-core on every page, light and dark, wide and narrow."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.browser.outlets import Outlet
from tests.browser.visits import Visit, none

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
HOW = "npm ci --prefix web"
RUN = """async () => (await axe.run(document, {
    resultTypes: ["violations"],
    rules: {"target-size": {enabled: true}},
})).violations.flatMap(v => v.nodes.map(n =>
    `${v.id}: ${n.target.join(" ")} ${n.failureSummary}`))"""


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"axe-core is not here: {HOW}")
    return AXE.read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_axe_finds_no_fault_on_any_page(
    live: Outlet, visit: Callable[..., Visit], axe: str, scheme: str, width: int
) -> None:
    _none(visit(live, **_as(scheme, width)), live, axe)


@pytest.mark.slow
def test_axe_finds_no_fault_on_the_pages_of_files(
    outlets: Callable[[str], Outlet], visit: Callable[..., Visit], axe: str
) -> None:
    """Of each kind one: the HTML is the server's, and what the islands make of it may differ."""
    files = outlets("files")
    kinds = {p.kind: p for p in reversed(files.pages)}
    _none(visit(files, **_as("dark", 1280)), files, axe, {p.url for p in kinds.values()})


def _as(scheme: str, width: int) -> dict[str, object]:
    # The policy of the pages keeps out even this script.
    viewport = {"width": width, "height": 900}
    return {"color_scheme": scheme, "bypass_csp": True, "viewport": viewport}


def _none(one: Visit, outlet: Outlet, axe: str, only: set[str] | None = None) -> None:
    faults = {}
    for found in outlet.pages:
        if only is not None and found.url not in only:
            continue
        page = one.go(found)
        # What is folded away is looked at, too.
        page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        page.add_script_tag(content=axe)
        if wrong := page.evaluate(RUN):
            faults[found.url] = wrong
    none(faults)
