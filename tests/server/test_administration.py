"""What admins see and decide of people, tokens, runners and invitations."""

from server.asking import API, HOSTILE, Browser, bearer, joined, told
from server.conftest import Served

from lem.archive import identities


def test_admins_see_people_tokens_and_invitations(served: Served) -> None:
    admin = Browser(served).sign_in(served.secret("admin"))
    with served.service.database.writing() as c:
        secret = identities.invite(c, "Lab 3")
        identities.invite(c, "Open")
    joined(served, HOSTILE, secret)
    rows = admin.ask("GET", "/admin/people").json()["rows"]
    assert {(r["name"], r["enrolled_by"], r["invited_as"], r["tokens"]) for r in rows} == {
        ("a test's admin", "admin", None, 1),
        (HOSTILE, "invitation", "Lab 3", 1),
    }
    page = admin.ask("GET", "/admin/people?limit=1").json()
    rest = admin.ask("GET", f"/admin/people?limit=1&after={page['next']}").json()
    assert [*page["rows"], *rest["rows"]] == rows
    tokens = admin.ask("GET", "/admin/tokens").json()["rows"]
    assert sorted(t["role"] for t in tokens) == ["admin", "submitter"]
    (one,) = admin.ask("GET", "/admin/invitations").json()["rows"]
    assert one["name"] == "Open"
    taken = admin.page("POST", f"/admin/invitations/{one['id']}/revoke")
    assert taken.status_code == 200
    assert admin.ask("GET", "/admin/invitations").json()["rows"] == []
    assert told(admin.page("POST", f"/admin/invitations/{one['id']}/revoke"))[0] == 404


def test_the_id_of_an_invitation_opens_nothing(lite: Served) -> None:
    admin = Browser(lite).sign_in(lite.secret("admin"))
    made = admin.page("POST", "/admin/invitations", {"name": "Lab"}).json()
    (one,) = admin.ask("GET", "/admin/invitations").json()["rows"]
    assert one["id"] not in made["secret"] and made["secret"] not in str(one)
    body = {"name": "x", "invitation": one["id"]}
    assert told(lite.client.post(f"{API}/accounts", json=body)) == (403, "invitation_unknown")


def test_admins_give_tokens_to_people(lite: Served) -> None:
    admin = Browser(lite).sign_in(lite.secret("admin"))
    ada = joined(lite)["person"]
    wanted = {"role": "submitter", "name": "second", "person": ada["id"]}
    token = admin.page("POST", "/admin/tokens", wanted).json()["token"]
    assert Browser(lite, **bearer(token)).who()["person"] == ada
    new = {"role": "submitter", "name": "Bob"}
    token = admin.page("POST", "/admin/tokens", new).json()["token"]
    assert Browser(lite, **bearer(token)).who()["name"] == "Bob"
    box = {"role": "runner", "name": "box"}
    token = admin.page("POST", "/admin/tokens", box).json()["token"]
    assert Browser(lite, **bearer(token)).who()["person"] is None
    owner = {"role": "owner", "name": "x"}
    assert admin.page("POST", "/admin/tokens", owner).status_code == 422
    none = {"role": "submitter", "name": "x", "person": "p" + "0" * 20}
    assert told(admin.page("POST", "/admin/tokens", none)) == (404, "person_unknown")
    for body in ({}, {"name": "x", "handle": "t" + "0" * 20}):
        assert admin.page("POST", "/admin/tokens/revoke", body).status_code == 422


def test_admins_disable_runners(lite: Served) -> None:
    from lem.archive.queue.tables import RUNNER

    admin = Browser(lite).sign_in(lite.secret("admin"))
    token, handle = lite.secret("runner"), "r" + "1" * 20
    with lite.service.database.writing() as c:
        c.execute(
            RUNNER.insert().values(
                handle=handle,
                token_hash=identities.hash_of(token),
                instance="0" * 32,
                name=HOSTILE,
                hello=HELLO,
                registered_at="2026-05-04T12:00:00.000+00:00",
                seen_at=1777896000.0,
            )
        )
    (row,) = admin.ask("GET", "/admin/runners").json()["rows"]
    assert (row["name"], row["disabled_at"]) == (HOSTILE, None)
    assert row["hardware"]["devices"][0]["model"] == HOSTILE
    assert row["seen_at"] == "2026-05-04T12:00:00+00:00"
    for what, disabled in (("disable", True), ("enable", False)):
        assert admin.page("POST", f"/admin/runners/{handle}/{what}").json()["disabled"] == disabled
        (row,) = admin.ask("GET", "/admin/runners").json()["rows"]
        assert (row["disabled_at"] is not None) == disabled
    assert told(admin.page("POST", "/admin/runners/r" + "0" * 20 + "/disable"))[0] == 404


def _hello() -> str:
    from lem.contract.queue import Accepts, Device, Hardware, Hello

    return Hello(
        instance="0" * 32,
        name=HOSTILE,
        lem_version="1",
        key="0" * 64,
        launcher="docker",
        hardware=Hardware(
            cpu=HOSTILE, cores=4, memory_bytes=1, devices=[Device(model=HOSTILE, count=1)]
        ),
        accepts=Accepts(models=["*"], backends=["vllm"]),
    ).model_dump_json()


HELLO = _hello()
