"""A folder of files compares what an address names, as a server would."""

from collections.abc import Callable
from itertools import combinations

import httpx
import pytest
from playwright.sync_api import expect

from lem.archive.queries.compare import CompareQuestion, Comparison, compare
from lem.pages.comparison import said
from tests.browser.outlets import Outlet
from tests.browser.visits import Visit

Start = Callable[..., Visit]


@pytest.fixture
def files(outlets: Callable[[str], Outlet]) -> Outlet:
    return outlets("files")


def _answer(files: Outlet, ids: list[str]) -> Comparison:
    with files.archive.database.reading() as c:
        return compare(c, files.archive.packs, CompareQuestion(id=ids))


def _shown(visit: Start, files: Outlet, ids: list[str]) -> tuple[list[str], str]:
    """Cells of the column of ratios, and all that is said."""
    seen = visit(files)
    page = seen.go(f"{files.url}compare/?" + "&".join(f"id={one}" for one in ids))
    expect(page.get_by_role("heading", level=2).first).to_contain_text(f"{len(ids)} configurations")
    table = page.locator("table.beside").first
    assert seen.take() == []
    return table.locator("tbody tr td:nth-of-type(2)").all_inner_texts(), page.inner_text("main")


def test_arms_of_one_campaign_have_its_own_ratios(files: Outlet, visit: Start) -> None:
    campaigns = httpx.get(f"{files.url}comparisons.json").json()["campaigns"]
    own = next(iter(campaigns.values()))
    ids = [own[2], own[0], own[1]]
    cells, words = _shown(visit, files, ids)
    everything = _answer(files, [ids[0], *(i for i in own if i != ids[0])])
    ratios = {row.configuration.id[:16]: row.ratio for row in everything.rows}
    assert cells[0] == "1"
    for one, cell in zip(ids[1:], cells[1:], strict=True):
        ratio = ratios[one]
        assert ratio is not None and ratio.basis == "within campaign"
        assert cell.startswith(said(ratio)) and "within blocks of one campaign" in cell
        assert ratio.words in words
    n = len(own) - 1
    assert f"all {n} comparisons of the campaign together, of which 2 are shown" in words


def test_others_are_compared_by_their_absolute_figures(files: Outlet, visit: Start) -> None:
    index = httpx.get(f"{files.url}explore-index.json").json()
    models = index["dimensions"]["model"]["codes"]
    ids = [
        [index["ids"][i], index["ids"][j]]
        for i, j in combinations(range(len(models)), 2)
        if models[i] != models[j]
    ][7]
    cells, words = _shown(visit, files, ids)
    ratio = _answer(files, ids).rows[1].ratio
    assert ratio is not None and ratio.basis == "across campaigns"
    assert cells[1].startswith(said(ratio)) and "from different campaigns" in cells[1]
    assert "both uncertainties enter" in words


def test_where_nothing_can_be_compared_the_offer_stays(files: Outlet, visit: Start) -> None:
    known = httpx.get(f"{files.url}explore-index.json").json()["ids"][0]
    page = visit(files).go(f"{files.url}compare/?id={known}&id={'0' * 16}")
    expect(page.get_by_role("status")).to_have_text(
        "Not among the configurations here: " + "0" * 16 + "."
    )
    expect(page.locator("form.offer").first).to_be_visible()


def test_without_scripts_campaigns_are_linked(files: Outlet, visit: Start) -> None:
    page = visit(files, java_script_enabled=False).go(f"{files.url}compare/")
    expect(page.locator("form.offer").first).to_be_hidden()
    page.locator("main a[href*='-']").first.click()
    expect(page.locator(".verdicts li").first).to_be_visible()
