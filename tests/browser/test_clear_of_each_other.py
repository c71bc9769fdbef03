"""The explorer where nothing fits, and on a phone: nothing lies over what it does not belong to."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.outlets import Outlet
from tests.browser.visits import Visit

Start = Callable[..., Visit]
COVERED = """() => {
    const over = document.querySelector(".choice[open] .values").getBoundingClientRect();
    return [...document.querySelectorAll(".filters .field > span, .filters label.field")]
        .filter(e => !e.closest(".field").querySelector(".choice[open]"))
        .map(e => [e.textContent.trim().slice(0, 40), e.getBoundingClientRect()])
        .filter(([, b]) => b.left < over.right && b.right > over.left
            && b.top < over.bottom && b.bottom > over.top)
        .map(([name]) => name);
}"""


def _nothing(page: Page) -> None:
    expect(page.locator(".empty")).to_have_text("Nothing fits. Clear the filters")
    assert page.locator("#chart-scatter, table.board").count() == 0
    assert "0 configurations" not in page.locator("main").inner_text()


def test_where_nothing_fits_one_click_leads_back(each_outlet: Outlet, visit: Start) -> None:
    one = visit(each_outlet)
    page = one.go(each_outlet.page("explore", "?model_size=7B&metric=mean_power_w"))
    _nothing(page)
    page.get_by_role("link", name="Clear the filters").click()
    expect(page.locator("table.board tbody tr").first).to_be_visible()
    expect(page.locator("#chart-scatter canvas").first).to_be_visible()
    assert "model_size" not in page.url and "metric=mean_power_w" in page.url
    page.go_back()
    expect(page.locator(".empty")).to_be_visible()
    _nothing(page)
    assert not one.take()


def test_an_open_list_covers_no_other_field(live: Outlet, visit: Start) -> None:
    page = visit(live).go(live.page("explore"))
    page.locator("details.more > summary").click()
    lists = page.locator(".choice > summary")
    expect(lists.nth(4)).to_be_visible()
    for i in range(lists.count()):
        lists.nth(i).click()
        page.locator(".choice[open] .values").wait_for()
        assert page.evaluate(COVERED) == []
        page.keyboard.press("Escape")
        expect(page.locator(".choice[open]")).to_have_count(0)


def test_buttons_of_the_plot_stand_above_it_on_a_phone(live: Outlet, visit: Start) -> None:
    page = visit(live, viewport={"width": 390, "height": 844}).go(live.page("explore"))
    plot, tools = (page.locator(s).bounding_box() for s in (".plot canvas >> nth=0", ".plot-tools"))
    assert plot is not None and tools is not None
    assert tools["y"] + tools["height"] <= plot["y"]
    legend = page.locator(".legend").bounding_box()
    assert legend is not None and legend["y"] + legend["height"] <= tools["y"]


def test_a_legend_without_a_pointer_has_names_alone(live: Outlet, visit: Start) -> None:
    page = visit(live).go(live.page("result"))
    seconds = page.locator(".trace .u-series").first
    expect(seconds).to_be_hidden()
    expect(page.locator(".trace .u-series").nth(1)).to_be_visible()
    page.locator(".trace .u-over").hover()
    expect(seconds).to_be_visible()
    page.mouse.move(5, 5)
    expect(seconds).to_be_hidden()
