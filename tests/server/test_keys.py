"""Enrolment, nonces, rotation and revocation over HTTP, on both databases."""

import pytest
from server.conftest import Serve, Served
from server.signing import Holder, archive_of, enrolled, nonce_for

from lem.submit.manifest import base64_of, revoke_message, rotate_message


def test_anybody_enrols_where_enrolment_is_open(served: Served) -> None:
    holder = Holder()
    body = holder.enrolment(archive_of(served.client))
    first = served.client.post("/api/v1/keys", json=body)
    again = served.client.post("/api/v1/keys", json=body)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert first.json()["key"] == holder.id


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_invitation_is_good_for_one_key(serve: Serve, kind: str) -> None:
    served = serve(kind, enrolment="invitation", public_url="https://lem.example.org")
    archive = archive_of(served.client)
    refused = served.client.post("/api/v1/keys", json=Holder(1).enrolment(archive))
    assert (refused.status_code, refused.json()["reason"]) == (403, "invitation_needed")
    made = served.client.post(
        "/api/v1/admin/invitations", json={"name": "Lab"}, headers=served.token("admin")
    )
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert made.json()["link"] == f"https://lem.example.org/join#{secret}"
    enrolled(served.client, 1, secret)
    second = served.client.post("/api/v1/keys", json=Holder(2).enrolment(archive, secret))
    assert (second.status_code, second.json()["reason"]) == (403, "invitation_unknown")
    keys = served.client.get("/api/v1/admin/keys", headers=served.token("admin")).json()["rows"]
    assert [(k["key"], k["name"], k["enrolled_by"]) for k in keys] == [
        (Holder(1).id, "Lab", "invitation")
    ]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_runners_token_enrols_its_keys_as_one_submitters(serve: Serve, kind: str) -> None:
    """Or one token would be as many separately enrolled submitters as somebody makes keys."""
    served = serve(kind, enrolment="invitation")
    archive, mine = archive_of(served.client), served.token("runner")
    first, again, second, other = (
        served.client.post("/api/v1/keys", json=Holder(n).enrolment(archive), headers=headers)
        for n, headers in ((1, mine), (1, mine), (2, mine), (3, served.token("runner")))
    )
    assert {a.status_code for a in (first, again, second, other)} == {201}
    assert first.json() == again.json() and first.json()["key"] == Holder(1).id
    assert first.json()["identity"] == second.json()["identity"] != other.json()["identity"]
    rows = served.client.get("/api/v1/admin/keys", headers=served.token("admin")).json()["rows"]
    assert {r["enrolled_by"] for r in rows} == {"invitation"}
    refused = served.client.post(
        "/api/v1/keys", json=Holder(4).enrolment(archive), headers=served.token("submitter")
    )
    assert (refused.status_code, refused.json()["reason"]) == (403, "not_allowed")


def test_nobody_enrols_anothers_key(served: Served) -> None:
    body = Holder(1).enrolment(archive_of(served.client))
    body["public_key"] = base64_of(Holder(2).public)
    answer = served.client.post("/api/v1/keys", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (403, "bad_signature")


def test_a_nonce_is_for_an_enrolled_key(served: Served) -> None:
    answer = served.client.post("/api/v1/nonces", json={"key": Holder().id})
    assert (answer.status_code, answer.json()["reason"]) == (403, "key_unknown")
    holder = enrolled(served.client)
    assert len({nonce_for(served.client, holder) for _ in range(3)}) == 3


def test_a_key_is_replaced_and_then_refused(served: Served) -> None:
    old, new = enrolled(served.client, 1), Holder(2)
    nonce = nonce_for(served.client, old)
    message = rotate_message(archive_of(served.client), old.id, new.public, nonce)
    body = {
        "public_key": base64_of(new.public),
        "nonce": nonce,
        "signature": old.sign(message),
        "proof": new.sign(message),
    }
    stranger = {**body, "signature": Holder(3).sign(message)}
    assert served.client.post(f"/api/v1/keys/{old.id}/rotate", json=stranger).status_code == 403
    done = served.client.post(f"/api/v1/keys/{old.id}/rotate", json=body)
    assert done.status_code == 200, done.text
    assert done.json()["key"] == new.id
    again = served.client.post("/api/v1/nonces", json={"key": old.id})
    assert (again.status_code, again.json()["reason"]) == (403, "key_revoked")
    nonce_for(served.client, new)


def test_a_key_revokes_itself(served: Served) -> None:
    holder = enrolled(served.client)
    nonce = nonce_for(served.client, holder)
    body = {
        "nonce": nonce,
        "signature": holder.sign(revoke_message(archive_of(served.client), holder.id, nonce)),
    }
    assert served.client.post(f"/api/v1/keys/{holder.id}/revoke", json=body).status_code == 200
    again = served.client.post(f"/api/v1/keys/{holder.id}/revoke", json=body)
    assert (again.status_code, again.json()["reason"]) == (403, "key_revoked")


def test_an_admin_revokes_a_key(served: Served) -> None:
    holder = enrolled(served.client)
    admin = served.token("admin")
    address = f"/api/v1/admin/keys/{holder.id}/revoke"
    assert served.client.post(address).status_code == 401
    assert served.client.post(address, headers=admin).status_code == 200
    assert served.client.post("/api/v1/nonces", json={"key": holder.id}).status_code == 403
    unknown = served.client.post(f"/api/v1/admin/keys/{'0' * 64}/revoke", headers=admin)
    assert unknown.status_code == 404


def test_every_key_event_is_in_the_log(served: Served) -> None:
    holder = enrolled(served.client)
    page = served.client.get("/api/v1/log").json()
    assert [(e["kind"], e["payload"]) for e in page["entries"]] == [
        ("key_enrolled", {"how": "open", "key": holder.id})
    ]
    head = served.client.get("/api/v1/log/head").json()
    assert (head["seq"], head["hash"]) == (1, page["entries"][0]["hash"])
    assert served.client.get("/api/v1/log?after=1").json()["entries"] == []
