"""Joining, signing in, tokens: what they are for, what is kept, when they end."""

import dataclasses
import re
import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from server.asking import API, PAGE, Browser, bearer, joined, signed_in, told
from server.conftest import UNLIMITED, Serve, Served

from lem.archive import identities
from lem.archive.queue import people
from lem.archive.queue.tables import SESSION
from lem.archive.refused import Refused
from lem.archive.schema import INVITATION, PERSON, TOKEN


def test_a_person_joins_signs_in_and_out(served: Served) -> None:
    made = joined(served, "  Ada ")
    assert made["person"]["name"] == "Ada" and re.fullmatch("p[0-9a-f]{20}", made["person"]["id"])
    browser = Browser(served)
    assert browser.who()["signed_in"] is False
    browser.sign_in(made["token"])
    who = browser.who()
    assert (who["signed_in"], who["role"], who["person"]) == (True, "submitter", made["person"])
    assert browser.page("DELETE", "/session").json()["signed_in"] is False
    assert browser.cookies == {} and browser.who()["signed_in"] is False
    assert browser.page("DELETE", "/session").status_code == 200
    with served.service.database.reading() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(SESSION)) == 0


def test_own_tokens_are_made_listed_and_revoked(served: Served) -> None:
    browser = signed_in(served)
    first = browser.ask("GET", "/tokens").json()["rows"]
    assert [(t["role"], t["current"], t["expires_at"]) for t in first] == [
        ("submitter", True, None)
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", first[0]["used_on"])
    wanted = {"name": "laptop", "valid_s": 3600}
    made = browser.page("POST", "/tokens", wanted).json()
    assert made["about"]["name"] == "laptop" and made["about"]["expires_at"] is not None
    program = Browser(served, **bearer(made["token"]))
    assert program.who()["person"] == browser.who()["person"]
    # By its own token, too, and without the header that is for browsers.
    assert program.ask("DELETE", f"/tokens/{first[0]['handle']}").json() == {
        "schema_version": 1,
        "done": True,
    }
    assert browser.who()["signed_in"] is False
    assert [t["name"] for t in program.ask("GET", "/tokens").json()["rows"]] == ["laptop"]


def test_an_invitation_is_good_for_one_person_or_one_key_once(serve: Serve) -> None:
    from server.signing import Holder, archive_of

    served = serve(enrolment="invitation")
    refused = served.client.post(f"{API}/accounts", json={"name": "Ada"})
    assert told(refused) == (403, "invitation_needed")
    with served.service.database.writing() as c:
        first, second, late = (identities.invite(c, n, s) for n, s in _INVITED)
    assert joined(served, "", first)["person"]["name"] == "Lab"
    body = Holder(1).enrolment(archive_of(served.client), first)
    assert told(served.client.post(f"{API}/keys", json=body)) == (403, "invitation_unknown")
    body = Holder(1).enrolment(archive_of(served.client), second)
    assert served.client.post(f"{API}/keys", json=body).status_code == 201
    answers = [
        served.client.post(f"{API}/accounts", json={"name": "Eve", "invitation": secret})
        for secret in (first, second, late, "guess", "")
    ]
    # Used, by a person or a key, past its time, and never made: nobody learns which.
    assert {told(a) for a in answers} == {(403, "invitation_unknown")}
    assert len({a.json()["detail"] for a in answers}) == 1
    with served.service.database.reading() as c:
        assert c.scalars(sa.select(PERSON.c.name)).all() == ["Lab"]
        used = sa.select(INVITATION.c.person_id).where(INVITATION.c.person_id.is_not(None))
        assert len(c.scalars(used).all()) == 1


_INVITED = (("Lab", 3600.0), ("Other", 3600.0), ("Late", -1.0))


def test_a_name_that_is_refused_uses_no_invitation_up(lite: Served) -> None:
    with lite.service.database.writing() as c:
        secret = identities.invite(c, "Lab")
    for name in ("x" * 81, "a\nb", "\u202egnp", "\x1b[31m"):
        body = {"name": name, "invitation": secret}
        assert told(lite.client.post(f"{API}/accounts", json=body)) == (422, "bad_name")
    assert told(lite.client.post(f"{API}/accounts", json={"name": " "})) == (422, "bad_name")
    assert joined(lite, "Ada", secret)["person"]["name"] == "Ada"


def test_two_at_once_use_one_invitation_once(served: Served) -> None:
    with served.service.database.writing() as c:
        secret = identities.invite(c, "both")
    done: list[str] = []

    def go(n: int) -> None:
        try:
            with served.service.database.writing() as c:
                done.append(people.join(c, f"n{n}", secret, "invitation").name)
        except Refused as e:
            done.append(e.reason)

    threads = [threading.Thread(target=go, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert sorted(done)[:3] == ["invitation_unknown"] * 3 and sorted(done)[3].startswith("n")


def test_the_database_has_no_secret(served: Served) -> None:
    made = joined(served)
    browser = Browser(served).sign_in(made["token"])
    with served.service.database.reading() as c:
        rows = [str(row) for table in (TOKEN, SESSION, PERSON) for row in c.execute(table.select())]
    assert len(rows) == 3
    assert not [r for r in rows if made["token"] in r or browser.cookies["lem_session"] in r]


def test_the_log_has_no_secret(lite: Served, caplog: pytest.LogCaptureFixture) -> None:
    with lite.service.database.writing() as c:
        invitation = identities.invite(c, "Lab")
    with caplog.at_level("DEBUG"):
        token = joined(lite, "Ada", invitation)["token"]
        browser = Browser(lite).sign_in(token)
        browser.page("POST", "/tokens", {"name": "x", "valid_s": "nonsense"})
        Browser(lite).page("POST", "/session", {"token": [token]})
    said = "".join(str(vars(record)) for record in caplog.records)
    assert "/api/v1/session" in said
    for secret in (invitation, token, browser.cookies["lem_session"]):
        assert secret not in said


def test_an_error_does_not_repeat_a_secret(lite: Served) -> None:
    token = joined(lite)["token"]
    answer = Browser(lite).page("POST", "/session", {"token": token, "more": token})
    assert answer.status_code == 422 and token not in answer.text
    answer = lite.client.get(f"{API}/tokens/{token}", headers=bearer(token))
    assert answer.status_code in (404, 405) and token not in answer.text


def test_the_cookie_is_for_this_server_and_out_of_scripts_reach(serve: Serve) -> None:
    plain = signed_in(serve())
    attributes = plain.set[0].lower().split("; ")[1:] if plain.set else []
    assert set(attributes) == {"httponly", "path=/", "samesite=strict"}
    assert list(plain.cookies) == ["lem_session"]
    proxied = serve(trusted_proxies=("127.0.0.1",))
    by_tls = Browser(proxied, **{"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"})
    by_tls.sign_in(joined(proxied)["token"])
    assert set(by_tls.set[0].lower().split("; ")[1:]) == {
        "httponly",
        "path=/",
        "samesite=strict",
        "secure",
    }
    assert list(by_tls.cookies) == ["__Host-lem_session"]
    assert by_tls.who()["signed_in"] is True
    # What somebody without TLS could set is not taken for it.
    by_tls.cookies = {"lem_session": by_tls.cookies["__Host-lem_session"]}
    assert by_tls.who()["signed_in"] is False


def test_what_is_revoked_ends_within_an_open_session(served: Served) -> None:
    admin = Browser(served).sign_in(served.secret("admin"))
    ada = signed_in(served)
    handle = ada.who()["token"]
    assert ada.ask("GET", "/tokens").status_code == 200
    answer = admin.page("POST", "/admin/tokens/revoke", {"handle": handle})
    assert answer.json()["revoked"] == 1
    assert ada.ask("GET", "/tokens").status_code == 401
    assert ada.page("POST", "/tokens", {"name": "x"}).status_code == 401
    # By name, as from the command line: of whatever is looked up, the token is.
    bob = signed_in(served, "Bob")
    with served.service.database.writing() as c:
        identities.revoke_token(c, people.FIRST_TOKEN)
    assert bob.who()["signed_in"] is False


def test_whoever_is_disabled_is_out_at_once(served: Served) -> None:
    admin = Browser(served).sign_in(served.secret("admin"))
    made = joined(served)
    ada, program = Browser(served).sign_in(made["token"]), Browser(served, **bearer(made["token"]))
    path = f"/admin/people/{made['person']['id']}"
    assert admin.page("POST", f"{path}/disable").json()["disabled"] is True
    assert ada.ask("GET", "/tokens").status_code == 401
    assert told(program.ask("GET", "/tokens")) == (401, "bad_token")
    again = Browser(served).page("POST", "/session", {"token": made["token"]})
    unknown = Browser(served).page("POST", "/session", {"token": "A" * 43})
    # Nobody learns that there is such a person.
    assert told(again) == told(unknown) == (401, "bad_token")
    assert again.json()["detail"] == unknown.json()["detail"]
    assert admin.page("POST", f"{path}/enable").json()["disabled"] is False
    assert program.ask("GET", "/tokens").status_code == 200
    assert ada.who()["signed_in"] is False
    assert told(admin.page("POST", "/admin/people/p" + "0" * 20 + "/disable"))[0] == 404


def test_an_admin_who_is_none_any_more_sees_nothing_more(lite: Served) -> None:
    admin = Browser(lite).sign_in(lite.secret("admin"))
    assert admin.ask("GET", "/admin/people").status_code == 200
    with lite.service.database.writing() as c:
        c.execute(TOKEN.update().values(role="submitter"))
    assert told(admin.ask("GET", "/admin/people")) == (403, "not_allowed")
    with lite.service.database.writing() as c:
        c.execute(TOKEN.update().values(expires_at="2020-01-01T00:00:00.000+00:00"))
    assert admin.ask("GET", "/admin/people").status_code == 401


def test_a_session_ends_by_itself(served: Served, clock: "Clock") -> None:
    browser = signed_in(served)
    clock.now += people.IDLE_S - 60
    assert browser.who()["signed_in"]
    clock.now += people.IDLE_S - 60
    assert browser.who()["signed_in"], "it was used meanwhile"
    clock.now += people.IDLE_S + 1
    assert browser.who()["signed_in"] is False
    browser = signed_in(served)
    begun = clock.now
    while clock.now < begun + people.SESSION_S - people.IDLE_S:
        clock.now += people.IDLE_S - 60
        assert browser.who()["signed_in"]
    clock.now = begun + people.SESSION_S + 1
    assert browser.who()["signed_in"] is False


def test_many_sessions_of_one_token_end_the_oldest(
    lite: Served, clock: "Clock", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people, "MAX_SESSIONS", 3)
    token = joined(lite)["token"]
    browsers = []
    for _ in range(5):
        browsers.append(Browser(lite).sign_in(token))
        clock.now += 1
    assert [b.who()["signed_in"] for b in browsers] == [False, False, True, True, True]


def test_guessing_is_limited_by_address(serve: Serve) -> None:
    rates = dataclasses.replace(UNLIMITED, wrong="3/hour")
    served = serve(rates=rates, trusted_proxies=("127.0.0.1",))
    token = joined(served)["token"]
    far = Browser(served, **{"X-Forwarded-For": "203.0.113.9"})
    for _ in range(3):
        assert told(far.page("POST", "/session", {"token": "A" * 43})) == (401, "bad_token")
    # From then on nothing is learnt there, not even of the right one.
    refused = far.page("POST", "/session", {"token": token})
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0
    assert far.ask("GET", "/session", Authorization="Bearer wrong").status_code == 429
    # A program that works there goes on working, and so does everybody elsewhere.
    assert far.ask("GET", "/session", **bearer(token)).json()["signed_in"]
    Browser(served, **{"X-Forwarded-For": "203.0.113.10"}).sign_in(token)


def test_joining_is_limited_by_address(serve: Serve) -> None:
    served = serve(rates=dataclasses.replace(UNLIMITED, enrolling="2/hour"))
    for name in ("a", "b"):
        joined(served, name)
    answer = served.client.post(f"{API}/accounts", json={"name": "c"})
    assert answer.status_code == 429


@pytest.mark.parametrize("token", ["", "x" * 201, "\u0000", "' OR 1=1 --", "%", "ä", "\ud800"])
def test_odd_tokens_and_cookies_are_no_more_than_wrong(lite: Served, token: str) -> None:
    import json

    body = json.dumps({"token": token}).encode()
    headers = {**PAGE, "Content-Type": "application/json"}
    answer = lite.client.post(f"{API}/session", content=body, headers=headers)
    assert answer.status_code in (401, 422)
    raw = f"lem_session={token}".encode("utf-8", "replace")
    if b"\x00" not in raw:
        answer = lite.client.get(f"{API}/session", headers={b"Cookie": raw})
        assert answer.json()["signed_in"] is False


class Clock:
    """The time that sessions go by."""

    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    import time

    found = Clock(time.time())
    monkeypatch.setattr(people, "time", found)
    yield found
