"""Joining, signing in and running a server in a browser, and what a page from elsewhere can do."""

import http.server
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from lem.archive import identities
from lem.archive.database import open_database
from lem.archive.schema import TOKEN
from tests.browser import hostile
from tests.browser.accounts import EACH, Held, signed_in, wait_for_account, with_hostile_names
from tests.browser.test_accessibility import RUN, axe
from tests.browser.test_hostile import RAN
from tests.browser.test_layout import CUT_OFF, TOO_WIDE
from tests.browser.visits import Visit
from tests.server_process import Process

__all__ = ["axe"]

Start = Callable[..., Visit]
NAME = hostile.TEXTS["attribute"]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    folder = tmp_path_factory.mktemp("accounts") / "data"
    options = ("--checkers", "0", "--enrolment", "invitation", "--trust-proxy", "127.0.0.1")
    process = Process(folder, options)
    database = open_database(None, folder)
    try:
        yield Held(process, database)
    finally:
        database.close()
        process.terminate()


def test_somebody_joins_by_a_link(held: Held, visit: Start) -> None:
    secret = held.invitation("Lab 3")
    one = visit(held.outlet)
    page = one.go(f"{held.url}/join#{secret}")
    assert page.url == f"{held.url}/join"
    page.get_by_label("Name").fill("Ada")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("heading", name="Welcome, Ada")).to_be_focused()
    token = page.locator(".secret code").inner_text()
    assert len(token) == 43
    expect(page.locator("a[data-account]")).to_have_text("Ada")
    (cookie,) = one.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (
        "lem_session",
        True,
        "Strict",
    )
    assert page.evaluate("document.cookie") == ""
    assert page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])") == "[{},{}]"
    page.get_by_role("link", name="Your account").click()
    expect(page.get_by_role("heading", name="Ada")).to_be_visible()
    wait_for_account(page)
    assert token not in page.content()
    with_secrets = [r for r in one.requests if secret in _sent(r) or token in _sent(r)]
    paths = [(r.method, r.url.removeprefix(held.url)) for r in with_secrets]
    assert paths == [("POST", "/api/v1/accounts"), ("POST", "/api/v1/session")]
    page.go_back()
    assert secret not in page.url
    assert not one.take()


def _sent(request: Request) -> str:
    return f"{request.url} {request.headers} {request.post_data}"


def test_an_invitation_is_good_once_and_its_old_address_leads_there(
    held: Held, visit: Start
) -> None:
    secret = held.invitation("Lab 4")
    one = visit(held.outlet)
    page = one.go(f"{held.url}/enrol#{secret}")
    assert page.url == f"{held.url}/join"
    expect(page.locator("main")).to_contain_text("You have an invitation")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("heading", name="Welcome, Lab 4")).to_be_visible()
    assert not one.take()
    other = visit(held.outlet).go(f"{held.url}/join")
    other.get_by_label("Invitation").fill(f"{held.url}/join#{secret}")
    other.get_by_role("button", name="Join").click()
    wrong = other.get_by_role("alert").filter(has_text="This invitation is not valid")
    expect(wrong).to_be_visible()


def test_signing_in_and_out(held: Held, visit: Start) -> None:
    one = visit(held.outlet)
    page = one.go(f"{held.url}/account")
    page.get_by_label("Token").fill("x" * 43)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="not valid here")).to_be_visible()
    assert [f for f in one.take() if "401" not in f] == []
    page.get_by_label("Token").fill(f" {held.secret(name='Grace')} ")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Grace")).to_be_focused()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_focused()
    expect(page.locator("a[data-account]")).to_have_text("Account")
    assert one.context.cookies() == []
    assert not one.take()


@pytest.mark.parametrize(
    ("asked", "then"),
    [
        ("/admin", "/admin"),
        ("/explore?q=x", "/explore?q=x"),
        ("//evil.example/", "/account"),
        ("https://evil.example/", "/account"),
        ("/%5Cevil.example", "/account"),
        ("javascript:window.hit=1", "/account"),
    ],
)
def test_after_signing_in_nobody_is_led_elsewhere(
    held: Held, visit: Start, asked: str, then: str
) -> None:
    token = held.secret()
    one = visit(held.outlet)
    page = one.go(f"{held.url}/account?next={asked.replace('?', '%3F')}")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    if then == "/account":
        page.get_by_role("button", name="Sign out").wait_for()
        assert page.url.startswith(f"{held.url}/account")
    else:
        page.wait_for_url(f"{held.url}{then}")
    assert page.evaluate("window.hit") is None
    assert not [f for f in one.take() if "elsewhere" in f]


def test_pages_of_what_runs_here_say_who_is_signed_in_and_others_do_not_ask(
    held: Held, visit: Start
) -> None:
    one = signed_in(held, visit, held.secret(name="Toni"))
    for path in ("/build", "/queue"):
        page = one.go(held.url + path)
        expect(page.locator("a[data-account]")).to_have_text("Toni")
    one.requests.clear()
    page = one.go(f"{held.url}/explore")
    expect(page.locator("a[data-account]")).to_have_text("Account")
    assert not [r for r in one.requests if "/session" in r.url]


def test_tokens_are_made_and_revoked(held: Held, visit: Start) -> None:
    one = signed_in(held, visit, held.secret(name="Toni"))
    page = one.page
    page.get_by_label("What is it for?").fill(NAME)
    page.get_by_role("button", name="Make a token").click()
    made = page.locator(".secret code").inner_text()
    row = page.get_by_role("row").filter(has_text=NAME)
    row.get_by_role("button", name="Revoke").click()
    dialog = page.get_by_role("dialog", name="Revoke the token")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    expect(row.get_by_role("button", name="Revoke")).to_be_focused()
    with held.database.reading() as c:
        assert identities.role_of(c, made) is not None
    row.get_by_role("button", name="Revoke").click()
    dialog.get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)
    with held.database.reading() as c:
        assert identities.role_of(c, made) is None
    assert page.evaluate(RAN) == []
    # The one that the browser is signed in with.
    page.get_by_role("row").filter(has_text="this browser").get_by_role("button").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_focused()
    assert not one.take()


def test_the_admins_page_asks_for_nothing_before_an_admin_is_there(
    held: Held, visit: Start
) -> None:
    for one in (visit(held.outlet), signed_in(held, visit, held.secret(name="Toni"))):
        page = one.go(f"{held.url}/admin")
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        assert not [r for r in one.requests if "/api/v1/admin/" in r.url]
        assert page.locator("main table").count() == 0
        assert not one.take()


def test_an_admin_sees_and_decides(held: Held, visit: Start) -> None:
    ada = signed_in(held, visit, held.secret(name="Ada to be disabled"))
    one = signed_in(held, visit, held.secret("admin"))
    page = one.go(f"{held.url}/admin")
    page.get_by_label("Whom do you invite?").fill("Lab 5")
    page.get_by_role("button", name="Invite").click()
    link = page.locator("#invitations .secret code").inner_text()
    assert link.startswith(f"{held.url}/join#")
    row = page.locator("#people").get_by_role("row").filter(has_text="Ada to be disabled")
    row.get_by_role("button", name="Disable").click()
    page.get_by_role("dialog").get_by_role("button", name="Disable").click()
    expect(row.get_by_role("button", name="Enable")).to_be_visible()
    assert ada.page.evaluate("fetch('/api/v1/tokens').then(a => a.status)") == 401
    ada.page.get_by_label("What is it for?").fill("x")
    ada.page.get_by_role("button", name="Make a token").click()
    expect(ada.page.locator("main")).to_contain_text("You are signed out")
    assert not one.take()
    # An admin who is none any more finds the page empty with the next thing that is asked.
    with held.database.writing() as c:
        c.execute(TOKEN.update().where(TOKEN.c.role == "admin").values(revoked_at="2026"))
    row.get_by_role("button", name="Enable").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    assert page.locator("main table").count() == 0


@pytest.mark.parametrize("width", [1280, 320])
def test_names_are_text(held: Held, visit: Start, width: int) -> None:
    """Without the policy of the pages, which is the second wall."""
    with_hostile_names(held)
    bad = held.secret(name=hostile.TEXTS["element"])
    viewport = {"width": width, "height": 800}
    mine = signed_in(held, visit, bad, bypass_csp=True, viewport=viewport)
    assert mine.page.evaluate(RAN) == [] and mine.page.evaluate(TOO_WIDE) == []
    token = held.secret("admin", name=NAME)
    one = signed_in(held, visit, token, bypass_csp=True, viewport=viewport)
    page = one.go(f"{held.url}/admin")
    shown = page.locator("main").inner_text()
    for text in EACH:
        assert shown.count(hostile.TEXTS[text][:80]) >= 2, text
    assert page.evaluate(RAN) == [] and page.evaluate(TOO_WIDE) == []
    for button in page.get_by_role("button", name="Disable").all()[:2]:
        button.click()
        assert page.evaluate(RAN) == [] and page.evaluate(TOO_WIDE) == []
        page.keyboard.press("Escape")
    assert not one.take()


# Pages from elsewhere


ATTACK = """async (server) => {
    const api = `${server}/api/v1/`, told = [];
    const tries = [
        ["session", {}], ["tokens", {}], ["admin/people", {}], ["admin/tokens", {}],
        ["tokens", {method: "POST", body: '{"name": "stolen"}'}],
        ["tokens", {method: "POST", body: '{"name": "stolen"}',
            headers: {"Content-Type": "application/json"}}],
        ["tokens", {method: "POST", body: '{"name": "stolen"}',
            headers: {"Content-Type": "application/json", "Lem-Page": "1"}}],
        ["admin/tokens", {method: "POST", body: '{"role": "admin", "name": "stolen"}',
            headers: {"Content-Type": "application/json", "Lem-Page": "1"}}],
        ["session", {method: "DELETE", headers: {"Lem-Page": "1"}}],
        ["session", {method: "DELETE"}],
        ["accounts", {method: "POST", body: '{"name": "stolen"}',
            headers: {"Content-Type": "application/json"}}],
        ["accounts", {method: "POST", body: new Blob(['{"name": "stolen"}'])}],
    ];
    for (const [path, how] of tries) for (const mode of ["cors", "no-cors"]) {
        try {
            const answer = await fetch(api + path, {credentials: "include", mode, ...how});
            if (answer.type !== "opaque") told.push(`${mode} ${path} ${answer.status}`);
        } catch { /* refused by the browser */ }
    }
    for (const [path, kind, name] of [
        ["tokens", "text/plain", '{"name": "stolen", "x": "'],
        ["session", "text/plain", '{"token": "x", "x": "'],
        ["accounts", "application/x-www-form-urlencoded", "name"],
    ]) {
        const frame = document.createElement("iframe");
        frame.name = `to-${path}`;
        const form = document.createElement("form");
        form.method = "post"; form.action = api + path; form.enctype = kind;
        form.target = frame.name;
        const field = document.createElement("input");
        field.name = name; field.value = '"}';
        form.append(field);
        document.body.append(frame, form);
        await new Promise(done => { frame.onload = done; form.submit(); setTimeout(done, 3000); });
    }
    const framed = document.createElement("iframe");
    framed.src = `${server}/admin`;
    await new Promise(done => { framed.onload = done; document.body.append(framed); });
    try { told.push(`framed ${framed.contentDocument.title}`); } catch { /* of another origin */ }
    return told;
}"""


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of a server of somebody else's pages."""

    class Theirs(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>theirs</title><h1>theirs</h1>")

        def log_message(self, *args: Any) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Theirs) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_page_from_elsewhere_neither_learns_nor_changes_anything(
    held: Held, visit: Start, elsewhere: int, host: str
) -> None:
    """From another port of this host, where the browser sends the cookie, and from another site."""
    one = signed_in(held, visit, held.secret("admin"), extra_http_headers={})
    before = held.state()
    theirs = one.context.new_page()
    answers: list[Any] = []
    theirs.on("response", lambda r: answers.append((r.request.method, r.url, r.status)))
    sent: list[tuple[str, str]] = []
    theirs.on("request", lambda r: sent.append((r.method, r.url)))
    theirs.goto(f"http://{host}:{elsewhere}/")
    assert theirs.evaluate(ATTACK, held.url) == []
    assert held.state() == before
    # They came here, and were turned away: the server is what holds, not a typing error.
    came = [a for a in answers if a[1].startswith(held.url) and a[0] == "POST"]
    by_cookie = 403 if host == "127.0.0.1" else 401
    assert [(url.removeprefix(f"{held.url}/api/v1/"), status) for _, url, status in came] == [
        ("tokens", by_cookie),
        ("session", 403),
        ("accounts", 422),
    ]
    tried = [r for r in sent if r[1].startswith(f"{held.url}/api/v1/")]
    assert len(tried) > 12 and ("POST", f"{held.url}/api/v1/accounts") in tried
    assert one.page.evaluate("fetch('/api/v1/session').then(a => a.json())")["signed_in"] is True
    framed = [f for f in theirs.frames if f.url.startswith(held.url)]
    assert not [f for f in framed if f.locator("h1").count()]


# For everybody


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(held: Held, visit: Start, axe: str, scheme: str) -> None:
    with_hostile_names(held)
    options: dict[str, Any] = {"bypass_csp": True, "color_scheme": scheme}
    if scheme == "dark":
        options["viewport"] = {"width": 320, "height": 640}
    out = visit(held.outlet, **options)
    faults = {}
    for path in ("/account", "/join", f"/join#{held.invitation()}", "/admin"):
        out.page.goto("about:blank")
        faults[path] = _faults(out.go(held.url + path), axe)
    one = signed_in(held, visit, held.secret("admin"), **options)
    one.page.get_by_label("What is it for?").fill("laptop")
    one.page.get_by_role("button", name="Make a token").click()
    one.page.locator(".secret").wait_for()
    faults["signed in"] = _faults(one.page, axe)
    one.page.get_by_role("button", name="Revoke").first.click()
    faults["asked"] = _faults(one.page, axe)
    faults["admin"] = _faults(one.go(f"{held.url}/admin"), axe)
    assert {at: wrong for at, wrong in faults.items() if wrong} == {}


def _faults(page: Page, axe: str) -> list[str]:
    page.add_script_tag(content=axe)
    found: list[str] = page.evaluate(RUN, None)
    wide: list[str] = page.evaluate(TOO_WIDE)
    cut: list[str] = page.evaluate(CUT_OFF)
    return found + wide + cut


def test_without_scripts_there_is_no_form_for_a_token(held: Held, visit: Start) -> None:
    one = visit(held.outlet, java_script_enabled=False)
    for path in ("/account", "/join", "/admin"):
        page = one.go(held.url + path)
        assert page.locator("main form, main input").count() == 0
        expect(page.locator("main")).to_contain_text("needs scripts")


def test_a_form_left_alone_puts_nothing_into_an_address(held: Held, visit: Start) -> None:
    """Where a script failed after it had drawn."""
    page = visit(held.outlet).go(f"{held.url}/account")
    forms = page.locator("main form")
    assert forms.count() >= 1
    assert {f.get_attribute("method") for f in forms.all()} == {"post"}
    page.evaluate("document.querySelector('main input').value = 's3cret'")
    page.evaluate("document.querySelector('main form').submit()")
    page.wait_for_load_state()
    assert "s3cret" not in page.url
