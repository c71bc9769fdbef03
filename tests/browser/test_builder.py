"""The campaign builder: form and file in step, problems where they are, drafts in the address, and
the way to the queue."""

import base64
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from lem.archive.queue.people import join as join_archive
from lem.config import parse
from tests.browser.outlets import Outlet
from tests.browser.test_accessibility import RUN, axe
from tests.browser.test_layout import CUT_OFF, TOO_WIDE
from tests.browser.visits import Visit

__all__ = ["axe"]
Start = Callable[..., Visit]
MODEL = "Qwen/Qwen3-0.6B"
REFUSED = "status of 422"
LET_GO = ("/api/v1/campaigns/plan net::ERR_ABORTED", "/api/v1/session net::ERR_ABORTED")


def opened(visit: Start, live: Outlet, fragment: str = "", **options: object) -> tuple[Visit, Page]:
    one = visit(live, **options)
    page = one.page
    page.goto(f"{live.url}build{fragment}")
    expect(page.locator(".builder")).to_be_visible()
    return one, page


def faults(one: Visit) -> list[str]:
    """Without the browser's own note that a file was refused, which is what was asked for, and
    questions that a page let go: about a draft that had changed, or since another page came."""
    return [f for f in one.take() if REFUSED not in f and not f.endswith(LET_GO)]


def file_of(page: Page) -> Locator:
    return page.get_by_label("Campaign file (YAML)")


def text_of(page: Page) -> str:
    return file_of(page).input_value()


def change(page: Page, old: str, new: str) -> None:
    text = text_of(page)
    assert old in text
    file_of(page).fill(text.replace(old, new))


def experiments(page: Page, n: int) -> None:
    expect(page.locator(".tally:not(.is-old) dd").first).to_have_text(str(n), timeout=15_000)


def until(page: Page, true: str) -> None:
    """Playwright's own way of waiting needs eval, which the pages' policy forbids."""
    for _ in range(100):
        if page.evaluate(true):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"never so: {true}")


def draft(text: str | bytes) -> str:
    made = zlib.compressobj(9, wbits=-15)
    raw = made.compress(text.encode() if isinstance(text, str) else text) + made.flush()
    return "#v1." + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_form_and_file_stay_in_step(live: Outlet, visit: Start) -> None:
    one, page = opened(visit, live)
    experiments(page, 6)
    page.get_by_role("checkbox", name="vllm").check()
    assert "\n  vllm: {}\n" in text_of(page)
    experiments(page, 9)
    change(page, "[1, 4, 16]", "[1, 2]  # few")
    expect(page.get_by_label("Values, with commas between them").first).to_have_value("1, 2")
    experiments(page, 6)
    how = page.get_by_label("Answers at the same time: how it is set")
    how.select_option("range")
    assert "engine.max_batch_size: {low: 1, high: 64, scale: log2}  # few" in text_of(page)
    page.get_by_role("slider", name="To").fill("3")
    assert "{low: 1, high: 8, scale: log2}  # few" in text_of(page)
    expect(page.get_by_text("Comes to: 1, 2, 4, 8")).to_be_visible()
    experiments(page, 12)
    page.get_by_role("radio", name="Sorting texts").check()
    assert "output_tokens: 8" in text_of(page) and "ignore_eos: true" in text_of(page)
    page.get_by_role("radio", name="For publication").check()
    assert "preset: publication" in text_of(page)
    steps = 0
    while page.get_by_role("button", name="Undo").is_enabled():
        page.get_by_role("button", name="Undo").click()
        steps += 1
    assert 5 <= steps <= 8 and "engine.max_batch_size: [1, 4, 16]\n" in text_of(page)
    assert not faults(one)


def test_what_is_there_already_is_shown_with_its_origin(live: Outlet, visit: Start) -> None:
    campaign = """\
version: 1
name: known
models: [{id: Qwen/Qwen3-0.6B}]
backends: {vllm: {}}
engine: {dtype: bfloat16}
sweep: {engine.max_batch_size: [1, 8, 3]}
workload: {requests: 32, dataset: {kind: prompts, output_tokens: 32}}
generate: {temperature: 0, ignore_eos: true}
"""
    one, page = opened(visit, live, draft(campaign))
    experiments(page, 3)
    table = page.locator(".known table")
    row = table.locator("tbody tr").first
    expect(row).to_contain_text("NVIDIA")
    expect(row).to_contain_text("per token")
    expect(row).to_contain_text("may differ: the model's content")
    expect(table.locator("tbody tr").last).to_contain_text("nothing yet")
    cost = page.locator(".cost")
    expect(cost).to_contain_text("Estimated, not measured")
    expect(cost).to_contain_text("from the same model and software")
    expect(cost).to_contain_text("NVIDIA")
    expect(cost).to_contain_text("per kWh")
    row.get_by_role("link").first.click()
    page.wait_for_url("**/configurations/*")
    assert not faults(one)


def test_problems_are_told_at_the_field_and_at_the_line(live: Outlet, visit: Start) -> None:
    one, page = opened(visit, live)
    experiments(page, 6)
    change(page, "preset: quick", "preset: quik")
    change(page, "[1, 4, 16]", "[0, 4]")
    lines = text_of(page).split("\n")
    at = next(i for i, line in enumerate(lines, 1) if "quik" in line)
    expect(page.locator(".gutter .is-wrong")).to_have_count(2, timeout=15_000)
    expect(page.locator(".gutter .is-wrong").last).to_have_text(str(at))
    expect(page.get_by_role("status").filter(has_text="2 problems")).to_be_visible()
    measure = page.get_by_role("group", name="How well to measure")
    expect(measure).to_contain_text("did you mean 'quick'?")
    batch = page.get_by_label("Answers at the same time: how it is set")
    expect(batch).to_have_attribute("aria-invalid", "true")
    described = batch.get_attribute("aria-describedby") or ""
    expect(page.locator(f"#{described}")).to_contain_text("greater than or equal to 1")
    measure.get_by_role("button", name=f"line {at}").click()
    until(page, "document.activeElement.tagName === 'TEXTAREA'")
    assert "quik" in file_of(page).evaluate("a => a.value.slice(a.selectionStart, a.selectionEnd)")
    page.locator(".problems li").first.get_by_role("button", name="in the form").click()
    until(page, "document.activeElement.closest('#field-engine-max_batch_size') !== null")
    page.get_by_role("radio", name="Quick look").check()
    change(page, "[0, 4]", "[1, 4]")
    experiments(page, 4)
    expect(page.locator(".gutter .is-wrong")).to_have_count(0)
    assert not faults(one)


def test_the_form_waits_while_the_file_cannot_be_read(live: Outlet, visit: Start) -> None:
    one, page = opened(visit, live)
    change(page, "{preset: quick}", "{preset: quick")
    expect(page.get_by_role("heading", name="The form waits")).to_be_visible()
    assert page.locator(".form").count() == 0
    page.locator(".inert").get_by_role("button", name="Undo").click()
    expect(page.get_by_role("checkbox", name="transformers")).to_be_checked()
    # By the keys that every editor has.
    file_of(page).focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("zzz")
    page.keyboard.press("Control+z")
    assert "zzz" not in text_of(page)
    page.keyboard.press("Control+Shift+Z")
    assert "zzz" in text_of(page)
    assert not faults(one)


HOSTILE = """\
version: 1
name: "<img src=x onerror=alert(1)>"
models:
  - id: "<script>alert(2)</script>"
  - id: "\\u202Egnp.exe"
backends: {"<b>bold</b>": {}, transformers: {}}
sweep: {"<i>x</i>.y": ["<u>1</u>"], engine.dtype: ["<s>z</s>"]}
"<style>*{display:none}</style>": {a: 1}
"""


def test_what_a_draft_holds_is_text(live: Outlet, visit: Start) -> None:
    one, page = opened(visit, live, draft(HOSTILE))
    form = page.locator("#pane-form")
    expect(form).to_contain_text("<script>alert(2)</script>")
    expect(form).to_contain_text("\\u202egnp.exe")
    expect(form).to_contain_text("<b>bold</b>")
    expect(form).to_contain_text("<style>*{display:none}</style>")
    expect(page.locator(".problems li").first).to_be_visible(timeout=15_000)
    bad = "img[src=x], .builder script, .builder b, .builder i, .builder s, .builder style"
    assert page.locator(bad).count() == 0
    page.locator("#find-model").fill('"><img src=x onerror=alert(3)>')
    expect(page.locator(".matches")).to_contain_text("is not written as a hub's model is")
    assert page.locator(bad).count() == 0
    assert not faults(one)


@pytest.mark.parametrize(
    ("fragment", "said"),
    [
        (draft(b"a" * 50_000_000), "too large"),
        ("#v1." + "A" * 500_000, "too large"),
        (draft(b"\xff\xfe\x00"), "damaged"),
        ("#v1.%%%", "damaged"),
        ("#v9.abc", "no draft that this page can read"),
    ],
    ids=["bomb", "long", "no text", "no digits", "another version"],
)
def test_an_address_without_a_draft_is_said_so(
    live: Outlet, visit: Start, fragment: str, said: str
) -> None:
    one, page = opened(visit, live, fragment)
    expect(page.locator(".notice")).to_contain_text(said)
    assert "my-campaign" in text_of(page)
    assert not faults(one)


def test_the_draft_is_in_the_address_and_nowhere_else(live: Outlet, visit: Start) -> None:
    one, page = opened(visit, live)
    page.get_by_label("Name of the campaign").fill("shared-draft")
    until(page, "location.hash.startsWith('#v1.')")
    page.wait_for_timeout(400)
    address = page.url
    other, same = opened(visit, live, "#" + address.split("#")[1])
    assert "name: shared-draft" in text_of(same)
    expect(same.get_by_label("Name of the campaign")).to_have_value("shared-draft")
    assert all("#" not in r.url or r.is_navigation_request() for r in other.requests)
    page.reload()
    expect(page.get_by_label("Name of the campaign")).to_have_value("shared-draft")
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    assert not faults(one) and not faults(other)


def test_files_come_and_go(live: Outlet, visit: Start, tmp_path: Path) -> None:
    one, page = opened(visit, live)
    mine = tmp_path / "mine.yaml"
    mine.write_text("# mine\r\nversion: 1\r\nname: mine\r\n")
    page.locator("input[type=file]").set_input_files(mine)
    expect(page.locator(".notice")).to_contain_text("mine.yaml is here now")
    assert text_of(page) == "# mine\nversion: 1\nname: mine\n"
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "campaign.yaml"
    assert Path(download.value.path()).read_text() == text_of(page)
    binary = tmp_path / "x.yaml"
    binary.write_bytes(b"\x00\x01")
    page.locator("input[type=file]").set_input_files(binary)
    expect(page.locator(".notice")).to_contain_text("is no text file")
    dropped = """() => { const t = new DataTransfer();
        t.items.add(new File(["name: dropped\\n"], "d.yaml")); return t; }"""
    transfer = page.evaluate_handle(dropped)
    page.dispatch_event(".file", "drop", {"dataTransfer": transfer})
    expect(file_of(page)).to_have_value("name: dropped\n")
    page.get_by_role("button", name="Start anew").click()
    assert "my-campaign" in text_of(page)
    expect(page.locator(".checked.is-fine")).to_be_visible(timeout=15_000)
    assert not faults(one)


def test_without_the_server_all_but_counts_goes_on(live: Outlet, visit: Start) -> None:
    one, page = opened(visit, live)
    experiments(page, 6)
    page.context.set_offline(True)
    page.get_by_role("checkbox", name="vllm").check()
    assert "vllm: {}" in text_of(page)
    expect(page.locator(".checked")).to_contain_text("can't be reached", timeout=15_000)
    change(page, "my-campaign", "away")
    expect(page.get_by_label("Name of the campaign")).to_have_value("away")
    page.context.set_offline(False)
    change(page, "away", "back")
    experiments(page, 9)
    assert all("ERR_INTERNET_DISCONNECTED" in f for f in faults(one))


def test_the_keyboard_is_enough(live: Outlet, visit: Start) -> None:
    one, page = opened(visit, live, reduced_motion="reduce")
    page.locator("#content").focus()
    here = "document.activeElement"

    def to(selector: str, most: int = 60) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate(f"{here}.matches({selector!r})"):
                return
        pytest.fail(f"Tab does not lead to {selector}")

    to("#find-model")
    page.keyboard.type("qwen3-0.6")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert f"id: {MODEL}" in text_of(page)
    assert page.evaluate(f"{here}.id") == "find-model"
    to("input[type=checkbox]")
    page.keyboard.press("Space")
    assert "transformers" not in text_of(page)
    to("select")
    page.keyboard.type("From")
    to("input[type=range]")
    before = text_of(page)
    page.keyboard.press("ArrowRight")
    assert "{low: 2, high: 64, scale: log2}" in text_of(page) != before
    to("input[type=radio]")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Chat")).to_be_checked()
    to("textarea", 90)
    page.keyboard.press("Tab")
    assert page.evaluate(f"{here}.tagName") != "TEXTAREA", "the editor holds the focus"
    experiments(page, 12)
    assert not faults(one)


def test_tabs_where_the_window_is_narrow(live: Outlet, visit: Start) -> None:
    one, page = opened(visit, live, viewport={"width": 320, "height": 700})
    form, file = (page.get_by_role("tab", name=n) for n in ("Form", "File"))
    expect(form).to_have_attribute("aria-selected", "true")
    expect(file_of(page)).to_be_hidden()
    form.focus()
    page.keyboard.press("ArrowRight")
    expect(file).to_be_focused()
    expect(file_of(page)).to_be_visible()
    change(page, "preset: quick", "preset: nonsense")
    page.locator(".problems li").get_by_role("button", name="in the form").click(timeout=15_000)
    expect(form).to_have_attribute("aria-selected", "true")
    until(page, "document.activeElement.closest('#field-measure') !== null")
    page.get_by_role("button", name=re.compile(r"^line \d+$")).click()
    expect(file_of(page)).to_be_focused()
    assert not faults(one)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 320)])
def test_axe_finds_no_fault_and_nothing_is_too_wide(
    live: Outlet, visit: Start, axe: str, scheme: str, width: int
) -> None:
    viewport = {"width": width, "height": 900}
    one, page = opened(visit, live, color_scheme=scheme, viewport=viewport, bypass_csp=True)
    experiments(page, 6)
    page.add_script_tag(content=axe)

    def clean(what: str) -> None:
        found = page.evaluate(RUN, None) + page.evaluate(TOO_WIDE) + page.evaluate(CUT_OFF)
        assert found == [], what

    page.get_by_text("More settings").click()
    for how in ("engine.threads", "engine.max_batch_size"):
        page.locator(f"#field-{how.replace('.', '-')} select").select_option("range")
    page.locator("#find-model").fill("a")
    clean("as it begins")
    page.get_by_role("radio", name="Quick look").check()
    if width < 1024:
        page.get_by_role("tab", name="File").click()
    change(page, "preset: quick", "preset: nonsense")
    expect(page.locator(".gutter .is-wrong")).to_have_count(1, timeout=15_000)
    clean("with a problem")
    change(page, "preset: nonsense}", "preset: nonsense")
    expect(page.locator(".checked.is-wrong")).to_be_visible()
    clean("while the form waits")
    assert not faults(one)


def test_a_campaign_is_queued_by_whoever_agrees(live: Outlet, visit: Start) -> None:
    one, page = opened(visit, live)
    page.get_by_label("Name of the campaign").fill("to-be-queued")
    join = page.get_by_role("link", name="Sign in or join")
    assert (join.get_attribute("href") or "").endswith("/account?next=%2Fbuild")
    join.click()
    page.wait_for_url("**/account?next=%2Fbuild")
    api = f"{live.url}api/v1/"
    with live.archive.database.writing() as connection:
        token = join_archive(connection, "A. Builder", None, "open").token
    ours = {"Lem-Page": "1"}
    assert page.request.post(f"{api}session", data={"token": token}, headers=ours).ok
    page.goto(f"{live.url}build")
    # The draft was kept while somebody signed in.
    expect(page.get_by_label("Name of the campaign")).to_have_value("to-be-queued")
    expect(page.get_by_text("Signed in as A. Builder.")).to_be_visible()
    expect(page.get_by_text("No machine is connected")).to_be_visible()
    experiments(page, 6)
    queue = page.get_by_role("button", name="Queue the campaign")
    queue.click()
    expect(page.locator("#queue-said")).to_contain_text("Agree that the results are published")
    page.get_by_label("I agree that the results are archived").check()
    queue.click()
    page.wait_for_url(re.compile(r"/live/q[0-9a-f]{20}$"))
    id_ = page.url.rsplit("/", 1)[1]
    assert page.evaluate(f"sessionStorage.getItem('lem.owner.{id_}')")
    told = page.request.get(f"{api}queue/{id_}").json()
    assert told["state"] == "queued" and told["name"] == "to-be-queued"
    assert not faults(one)


def test_without_scripts_there_is_an_example(live: Outlet, visit: Start) -> None:
    page = visit(live, java_script_enabled=False).go(f"{live.url}build")
    example = page.locator("pre").first.inner_text()
    assert len(parse(example, "example").drafts) == 6
    expect(page.locator("main")).to_contain_text("lem campaign run campaign.yaml")
    assert page.locator(".builder").count() == 0


def test_the_first_page_leads_there(live: Outlet, visit: Start) -> None:
    page = visit(live).go(live.url)
    page.locator(".ways").get_by_role("link", name="Measure").click()
    page.wait_for_url("**/build")
    assert page.locator("nav [aria-current]").inner_text() == "Run a campaign"
