"""Whatever somebody may try against accounts: from elsewhere, with a planted cookie, with a token
that allows less."""

import pytest
import sqlalchemy as sa
from server.asking import API, PAGE, Browser, bearer, joined, signed_in, state, told
from server.conftest import Served

from lem.archive import identities
from lem.archive.queue import people
from lem.archive.schema import TOKEN

PRIVATE = ("/session", "/tokens", "/accounts", "/admin/people", "/admin/tokens", "/admin/none")


CHANGES = [
    ("POST", "/tokens", {"name": "stolen"}),
    ("DELETE", "/tokens/t00000000000000000000", None),
    ("DELETE", "/session", None),
    ("POST", "/admin/tokens", {"role": "admin", "name": "stolen"}),
    ("POST", "/admin/invitations", {"name": "Eve"}),
    ("POST", "/admin/people/p00000000000000000000/disable", None),
]
ELSEWHERE = [
    {},
    {"Lem-Page": "0"},
    {"Lem-Page": "1", "Sec-Fetch-Site": "cross-site"},
    {"Lem-Page": "1", "Sec-Fetch-Site": "same-site"},
    {"Lem-Page": "1", "Origin": "https://evil.example"},
    {"Lem-Page": "1", "Origin": "null"},
    {"Lem-Page": "1", "Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1.evil.example"},
]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_no_page_from_elsewhere_changes_anything_by_cookie(
    lite: Served, headers: dict[str, str]
) -> None:
    admin = Browser(lite).sign_in(lite.secret("admin"))
    before = state(lite)
    for method, path, json in CHANGES:
        answer = admin.ask(method, path, json, **headers)
        assert answer.status_code == 403, (method, path)
        assert answer.json()["reason"] in ("not_from_page", "from_elsewhere")
        assert not admin.set
    assert state(lite) == before and admin.who()["signed_in"]


def test_own_pages_do(lite: Served) -> None:
    """The test above would pass where nothing ever worked."""
    admin = Browser(lite).sign_in(lite.secret("admin"))
    own = {**PAGE, "Origin": "http://127.0.0.1:8000"}
    for method, path, json in [*CHANGES[3:5], CHANGES[0]]:
        assert admin.ask(method, path, json, **own).status_code == 201, path


def test_nobody_is_signed_in_from_elsewhere(lite: Served) -> None:
    """Whoever could sign somebody in as himself would see what they ask for."""
    token = joined(lite)["token"]
    for headers in ELSEWHERE:
        browser = Browser(lite)
        answer = browser.ask("POST", "/session", {"token": token}, **headers)
        assert answer.status_code == 403 and not browser.set
    before = state(lite)
    for headers in ELSEWHERE[2:]:
        assert Browser(lite).ask("POST", "/accounts", {"name": "x"}, **headers).status_code == 403
    assert state(lite) == before


def test_a_form_is_no_json(lite: Served) -> None:
    """A form needs no leave to be sent from elsewhere; its body is no JSON document here."""
    admin = Browser(lite).sign_in(lite.secret("admin"))
    cookie = "; ".join(f"{k}={v}" for k, v in admin.cookies.items())
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        for path in ("/tokens", "/accounts", "/session"):
            answer = lite.client.post(
                f"{API}{path}",
                content=b'{"name": "x", "token": "x"}',
                headers={**PAGE, "Cookie": cookie, "Content-Type": kind},
            )
            assert answer.status_code == 422, (kind, path)


def test_a_browser_is_never_given_leave_to_send_more_from_elsewhere(lite: Served) -> None:
    for path in ("/session", "/tokens", "/admin/tokens", "/accounts", "/queue", "/archive"):
        for method in ("POST", "DELETE"):
            answer = lite.client.options(
                API + path,
                headers={
                    "Origin": "https://evil.example",
                    "Access-Control-Request-Method": method,
                    "Access-Control-Request-Headers": "lem-page, content-type",
                },
            )
            assert answer.status_code in (404, 405)
            assert not [h for h in answer.headers if h.startswith("access-control")]


@pytest.mark.parametrize("path", PRIVATE)
def test_what_depends_on_who_asks_is_kept_and_read_by_nobody_else(lite: Served, path: str) -> None:
    admin = Browser(lite).sign_in(lite.secret("admin"))
    for ask in (lite.client.get, lambda p: admin.ask("GET", p.removeprefix(API))):
        headers = ask(API + path).headers
        assert headers["cache-control"] == "no-store" and "etag" not in headers
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


def test_what_anybody_may_keep_is_the_same_whoever_asks(lite: Served) -> None:
    """Caches between keep pages and answers without looking at cookies."""
    admin = Browser(lite).sign_in(lite.secret("admin"))
    cookie = {"Cookie": f"lem_session={admin.cookies['lem_session']}"}
    pages = ("/", "/explore", "/privacy", f"{API}/archive", f"{API}/leaderboard", f"{API}/log")
    for path in (*pages, "/account", "/join", "/admin"):
        public, own = lite.client.get(path), lite.client.get(path, headers=cookie)
        assert public.status_code == own.status_code == 200, path
        assert public.content == own.content, path
        assert "set-cookie" not in own.headers and "set-cookie" not in public.headers
        if path not in pages:
            assert public.headers["cache-control"] == "no-store"


def test_no_page_of_accounts_is_framed_or_says_where_it_was(lite: Served) -> None:
    for path in ("/account", "/join", "/admin"):
        headers = lite.client.get(path, headers={"Accept": "text/html"}).headers
        assert headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"


def test_the_admins_page_holds_nothing(lite: Served) -> None:
    joined(lite, "Somebody Known")
    with lite.service.database.writing() as c:
        identities.invite(c, "Somebody Invited")
    text = lite.client.get("/admin").text
    assert "Somebody" not in text


def test_links_of_old_invitations_lead_to_joining(lite: Served) -> None:
    answer = lite.client.get("/enrol", follow_redirects=False)
    # Without a #: a browser then keeps the one of the link.
    assert (answer.status_code, answer.headers["location"]) == (308, "/join")


def test_a_token_and_a_cookie_in_one_request_are_refused(lite: Served) -> None:
    browser, other = signed_in(lite), joined(lite, "Eve")["token"]
    for method, path in (("GET", "/session"), ("GET", "/tokens"), ("POST", "/tokens")):
        answer = browser.ask(method, path, {"name": "x"}, Authorization=f"Bearer {other}", **PAGE)
        assert told(answer) == (400, "two_credentials")


def test_two_cookies_of_the_name_are_none(lite: Served) -> None:
    """Somebody on a host beside this one has set the second."""
    mine, his = signed_in(lite), signed_in(lite, "Eve")
    one, two = mine.cookies["lem_session"], his.cookies["lem_session"]
    headers = {"Cookie": f"lem_session={one}; lem_session={two}"}
    assert lite.client.get(f"{API}/session", headers=headers).json()["signed_in"] is False
    assert lite.client.get(f"{API}/tokens", headers=headers).status_code == 401


def test_a_session_is_new_whatever_the_browser_had(lite: Served) -> None:
    """Whoever planted a cookie does not have the one that signing in gives."""
    browser = Browser(lite)
    browser.cookies["lem_session"] = "planted-by-somebody-else"
    browser.sign_in(joined(lite)["token"])
    first = browser.cookies["lem_session"]
    assert first != "planted-by-somebody-else" and len(first) == 43
    browser.sign_in(joined(lite, "Eve")["token"])
    second = browser.cookies["lem_session"]
    assert second != first
    browser.cookies["lem_session"] = first
    assert browser.who()["signed_in"] is False


def test_programs_tokens_open_no_session(lite: Served) -> None:
    with lite.service.database.writing() as c:
        owner = identities.issue_token(c, "owner", "q", queued_id="q" + "0" * 20)
    for token in (lite.secret("runner"), owner):
        browser = Browser(lite)
        answer = browser.page("POST", "/session", {"token": token})
        assert told(answer) == (403, "no_session") and not browser.set


@pytest.mark.parametrize("role", ["runner", "owner"])
def test_programs_tokens_make_and_see_no_tokens(lite: Served, role: str) -> None:
    ada = joined(lite)
    with lite.service.database.writing() as c:
        person = people.person_of(c, ada["person"]["id"])
        assert person is not None
        token = identities.issue_token(c, role, "x", person_id=person, queued_id="q" + "0" * 20)
    program = Browser(lite, **bearer(token))
    for method, path in (("GET", "/tokens"), ("POST", "/tokens"), ("GET", "/admin/people")):
        assert told(program.ask(method, path, {"name": "x"})) == (403, "not_allowed")


def test_nobody_sees_or_revokes_anothers_tokens(served: Served) -> None:
    ada, eve = signed_in(served), signed_in(served, "Eve")
    (hers,) = ada.ask("GET", "/tokens").json()["rows"]
    assert hers["handle"] not in eve.ask("GET", "/tokens").text
    never_made = eve.page("DELETE", "/tokens/t" + "0" * 20)
    answer = eve.page("DELETE", f"/tokens/{hers['handle']}")
    assert told(answer) == told(never_made) == (404, "no_such_token")
    assert ada.who()["signed_in"]
    for path in ("/admin/people", "/admin/tokens", "/admin/runners", "/admin/invitations"):
        assert told(eve.ask("GET", path)) == (403, "not_allowed")


def test_a_token_does_not_outlive_the_one_that_made_it(served: Served) -> None:
    with served.service.database.writing() as c:
        person = identities.new_person(c, "Ada", "admin")
        short = identities.issue_token(c, "submitter", "short", 600, person_id=person)
        limit = c.scalar(sa.select(TOKEN.c.expires_at))
    browser = Browser(served).sign_in(short)
    for wanted in ({"name": "a"}, {"name": "b", "valid_s": 86400}):
        made = browser.page("POST", "/tokens", wanted).json()
        assert made["about"]["expires_at"] == limit
        assert made["about"]["role"] == "submitter"
    shorter = browser.page("POST", "/tokens", {"name": "c", "valid_s": 60}).json()
    assert shorter["about"]["expires_at"] < limit


def test_an_admins_own_tokens_are_for_submitting(lite: Served) -> None:
    admin = Browser(lite).sign_in(lite.secret("admin"))
    made = admin.page("POST", "/tokens", {"name": "laptop"}).json()
    assert made["about"]["role"] == "submitter"
    assert Browser(lite, **bearer(made["token"])).ask("GET", "/admin/people").status_code == 403
    answer = admin.page("POST", "/tokens", {"name": "laptop", "role": "admin"})
    assert answer.status_code == 422


def test_nobody_has_tokens_without_end(lite: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "MAX_TOKENS", 3)
    browser = signed_in(lite)
    for n in range(2):
        assert browser.page("POST", "/tokens", {"name": f"n{n}"}).status_code == 201
    assert told(browser.page("POST", "/tokens", {"name": "n"})) == (409, "too_many_tokens")
