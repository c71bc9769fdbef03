"""The explorer takes what is typed, however fast."""

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from tests.browser.outlets import Outlet
from tests.browser.visits import Visit

Start = Callable[..., Visit]
TYPES = """async field => {
    const type = text => {
        field.value += text;
        field.dispatchEvent(new Event("input", {bubbles: true}));
    };
    const wait = ms => new Promise(done => setTimeout(done, ms));
    field.focus();
    const before = location.search;
    type("ll");
    while (location.search === before) await wait(0);
    // The address has followed, and the page is not drawn anew yet.
    type("a");
    await wait(200);
    type("m");
}"""


def test_a_letter_typed_while_the_page_follows_stays(live: Outlet, visit: Start) -> None:
    page = visit(live).go(live.page("explore"))
    field = page.locator(".filters input[name=q]")
    field.evaluate(TYPES)
    page.wait_for_url("**q=*m")
    assert field.input_value() == "llam"
    assert parse_qs(urlsplit(page.url).query)["q"] == ["llam"]


def test_enter_takes_what_was_typed_last(live: Outlet, visit: Start) -> None:
    page = visit(live).go(live.page("explore"))
    page.locator("details.more > summary").click()
    page.locator("fieldset.path").wait_for()
    path, value = page.locator("fieldset.path input").all()
    for _ in range(3):
        path.press_sequentially("engine.max_batch_size")
        value.press_sequentially("64")
        value.press("Enter")
        assert parse_qs(urlsplit(page.url).query)["engine.max_batch_size"] == ["64"]
        assert path.input_value() == value.input_value() == ""
        page.locator(".chips .chip").click()
        page.wait_for_url("**/explore")
