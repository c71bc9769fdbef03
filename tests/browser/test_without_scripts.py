"""Exploring, reading and downloading without JavaScript."""

import csv
import io
import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.browser.outlets import Outlet, query_of
from tests.browser.visits import Visit, follow

Start = Callable[..., Visit]


@pytest.fixture(params=["sqlite", "postgresql"])
def explore(request: pytest.FixtureRequest, outlets: Callable[[str], Outlet], visit: Start) -> Page:
    one = visit(outlets(request.param), java_script_enabled=False)
    return one.go(one.outlet.page("explore"))


def _column(page: Page, number: int) -> list[str]:
    return page.locator(f"table.board tbody tr > :nth-child({number})").all_inner_texts()


def _fetched(page: Page, name: str) -> str:
    link = page.locator(".files").get_by_role("link", name=name, exact=True).last
    answer = page.context.request.get(link.evaluate("e => e.href"))
    assert answer.ok
    return answer.text()


def test_a_filter_narrows_the_table_and_stands_in_the_address(explore: Page) -> None:
    all_rows = explore.locator("table.board tbody tr").count()
    explore.locator("select[name=backend]").select_option("vllm")
    follow(explore.get_by_role("button", name="Show"))
    assert query_of(explore.url).count(("backend", "vllm")) == 1
    assert all(value != "" for _, value in query_of(explore.url))
    ways = _column(explore, 2)
    assert 0 < len(ways) < all_rows
    assert all("vllm" in way for way in ways)
    assert explore.locator("select[name=backend]").input_value() == "vllm"
    found = list(csv.reader(io.StringIO(_fetched(explore, "CSV"))))
    assert len(found) - 1 == len(ways)
    assert {row[found[0].index("backend")] for row in found[1:]} == {"vllm"}
    answer = json.loads(_fetched(explore, "JSON"))
    assert len(answer["rows"]) == len(ways)


def test_a_part_of_a_name_finds_models(explore: Page) -> None:
    explore.locator("input[name=q]").fill("llama")
    follow(explore.get_by_role("button", name="Show"))
    ways = _column(explore, 2)
    assert ways and all("Llama-3.1" in way for way in ways)


def test_another_order_changes_the_figures(explore: Page) -> None:
    before = _column(explore, 5)
    explore.locator("select[name=metric]").select_option("output_throughput_tokens_per_s")
    follow(explore.get_by_role("button", name="Show"))
    after = _column(explore, 5)
    assert after != before
    assert any("tokens per second" in cell for cell in after)


def test_a_choice_that_nothing_fits_says_so_and_can_be_taken_back(explore: Page) -> None:
    explore.locator("input[name=q]").fill("no such model")
    follow(explore.get_by_role("button", name="Show"))
    assert explore.locator("table.board").count() == 0
    assert "Nothing fits." in explore.locator("main").inner_text()
    follow(explore.get_by_role("link", name="Clear the filters"))
    assert explore.locator("table.board tbody tr").count() > 0


def test_a_row_leads_to_its_configuration(explore: Page) -> None:
    link = explore.locator("table.board tbody tr a").first
    name = link.locator("strong").inner_text()
    follow(link)
    assert "/configurations/" in explore.url
    assert name in explore.locator("main").inner_text()


def test_picked_configurations_are_compared_in_the_order_of_the_table(explore: Page) -> None:
    boxes = explore.locator("table.board input[name=id]")
    chosen = [boxes.nth(i).get_attribute("value") for i in (0, 2)]
    boxes.nth(0).check()
    boxes.nth(2).check()
    follow(explore.get_by_role("button", name="Compare"))
    assert [v for n, v in query_of(explore.url) if n == "id"] == chosen
    assert explore.locator("h1").count() == 1
    assert explore.locator("main table").count() >= 1


def test_the_table_has_further_pages(explore: Page) -> None:
    first = _column(explore, 2)
    explore.goto(explore.url + "?limit=10")
    assert _column(explore, 2) == first[:10]
    follow(explore.get_by_role("link", name="Next"))
    assert _column(explore, 2) == first[10:20]


def test_files_are_read_and_followed_too(outlets: Callable[[str], Outlet], visit: Start) -> None:
    files = outlets("files")
    one = visit(files, java_script_enabled=False)
    page = one.go(files.page("explore"))
    rows = page.locator("table.board tbody tr").count()
    assert rows > 0
    assert len(json.loads(_fetched(page, "JSON"))["rows"]) == rows
    assert len(list(csv.reader(io.StringIO(_fetched(page, "CSV"))))) - 1 == rows
    follow(page.locator("table.board tbody tr a").first)
    assert "/configurations/" in page.url and page.locator("h1").count() == 1
    assert not one.take()
