"""Every route × every role: who is let in. A new route fails here until somebody decides."""

import itertools

import pytest
from server.conftest import Serve, Served

SHA = "0" * 64
PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/archive"),
    ("POST", "/api/v1/nonces"),
    ("POST", "/api/v1/keys"),
    ("POST", "/api/v1/keys/{key}/rotate"),
    ("POST", "/api/v1/keys/{key}/revoke"),
    ("POST", "/api/v1/submissions"),
    ("GET", "/api/v1/submissions/{sha256}"),
    ("GET", "/api/v1/log"),
    ("GET", "/api/v1/log/head"),
    ("GET", "/api/v1/leaderboard"),
    ("GET", "/api/v1/facets"),
    ("GET", "/api/v1/scatter"),
    ("GET", "/api/v1/points"),
    ("GET", "/api/v1/points/rows"),
    ("GET", "/api/v1/compare"),
    ("GET", "/api/v1/headline"),
    ("GET", "/api/v1/pareto"),
    ("GET", "/api/v1/configurations/{id}"),
    ("GET", "/api/v1/results"),
    ("GET", "/api/v1/results/{id}"),
    ("GET", "/api/v1/results/{id}/trace"),
    ("GET", "/api/v1/results/{id}/files/{kind}"),
    ("GET", "/api/v1/campaigns"),
    ("POST", "/api/v1/campaigns/plan"),
    ("POST", "/api/v1/campaigns/retract"),
    ("GET", "/api/v1/campaigns/{id}"),
    ("GET", "/api/v1/campaigns/{id}/attribute"),
    ("GET", "/api/v1/export"),
    ("GET", "/api/v1/external"),
    ("POST", "/api/v1/accounts"),
    ("GET", "/api/v1/queue"),
    ("GET", "/api/v1/queue/{id}"),
    ("GET", "/api/v1/runners"),
    ("GET", "/api/v1/campaigns/{queued}/events"),
    ("GET", "/api/v1/campaigns/{queued}/recording"),
}
ASKS_WHO = {("GET", "/api/v1/session")}
"""Public, but a token that is not valid is told so."""
OWN_PAGES = {("POST", "/api/v1/session"), ("DELETE", "/api/v1/session")}
"""For pages of this server alone, whoever asks."""
RUNNER = {
    ("POST", "/api/v1/runners/register"),
    ("POST", "/api/v1/runners/claim"),
    ("POST", "/api/v1/runners/heartbeat"),
    ("POST", "/api/v1/runners/finish"),
    ("POST", "/api/v1/runners/events"),
    ("GET", "/api/v1/runners/handover"),
}
OWNER = {("POST", "/api/v1/queue/{id}/cancel")}
"""For submitters, and for whoever has the token of that one campaign."""
SUBMITTER = {
    ("POST", "/api/v1/campaigns"),
    ("GET", "/api/v1/tokens"),
    ("POST", "/api/v1/tokens"),
    ("DELETE", "/api/v1/tokens/{handle}"),
}
ADMIN = {
    ("GET", "/api/v1/admin/invitations"),
    ("POST", "/api/v1/admin/invitations"),
    ("POST", "/api/v1/admin/invitations/{id}/revoke"),
    ("GET", "/api/v1/admin/people"),
    ("POST", "/api/v1/admin/people/{id}/disable"),
    ("POST", "/api/v1/admin/people/{id}/enable"),
    ("GET", "/api/v1/admin/runners"),
    ("POST", "/api/v1/admin/runners/{id}/disable"),
    ("POST", "/api/v1/admin/runners/{id}/enable"),
    ("GET", "/api/v1/admin/tokens"),
    ("POST", "/api/v1/admin/tokens"),
    ("POST", "/api/v1/admin/tokens/revoke"),
    ("GET", "/api/v1/admin/keys"),
    ("POST", "/api/v1/admin/keys/{key}/revoke"),
}
EVERY = PUBLIC | ASKS_WHO | OWN_PAGES | SUBMITTER | RUNNER | OWNER | ADMIN
TOKENS = ("none", "submitter", "runner", "owner", "admin", "unknown", "malformed")


def routes(served: Served) -> set[tuple[str, str]]:
    paths = served.client.get("/api/v1/openapi.json").json()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_every_route_is_in_the_table(lite: Served) -> None:
    assert routes(lite) == EVERY


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_who_is_let_in(serve: Serve, kind: str) -> None:
    served = serve(kind)
    headers = {role: served.token(role) for role in ("submitter", "runner", "owner", "admin")}
    headers["none"] = {}
    headers["unknown"] = {"Authorization": "Bearer " + "A" * 43}
    headers["malformed"] = {"Authorization": "Basic YTpi"}
    for (method, path), token in itertools.product(sorted(EVERY), TOKENS):
        address = path.replace("{key}", SHA).replace("{sha256}", SHA)
        address = address.replace("{kind}", "trace").replace("{id}", f"{SHA}-1")
        status = served.client.request(method, address, headers=headers[token]).status_code
        assert is_right(status, (method, path), token), f"{token}: {method} {path} gives {status}"


def is_right(status: int, route: tuple[str, str], token: str) -> bool:
    valid = token in ("submitter", "runner", "owner", "admin")
    if route in OWN_PAGES:
        return status == 403
    if route in PUBLIC or (route in ASKS_WHO and (valid or token == "none")):
        return status not in (401, 403)
    if not valid:
        return status == 401
    may = token == "admin" or route in {
        "submitter": SUBMITTER | OWNER,
        "runner": RUNNER,
        "owner": OWNER,
    }.get(token, set())
    return (status not in (401, 403)) if may else status == 403


def test_a_revoked_or_expired_token_opens_nothing(served: Served) -> None:
    from lem.archive.identities import issue_token, revoke_token
    from lem.archive.schema import TOKEN

    with served.service.database.writing() as connection:
        first = issue_token(connection, "admin", "one")
        second = issue_token(connection, "admin", "two", valid_s=3600)
        stored = connection.execute(TOKEN.select()).all()
        assert not any(first in str(row) or second in str(row) for row in stored)

    def opens(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return int(served.client.get("/api/v1/admin/keys", headers=headers).status_code)

    assert (opens(first), opens(second)) == (200, 200)
    with served.service.database.writing() as connection:
        revoke_token(connection, "one")
        connection.execute(
            TOKEN.update().where(TOKEN.c.name == "two").values(expires_at="2020-01-01T00:00:00")
        )
    assert (opens(first), opens(second)) == (401, 401)


def test_admins_make_and_revoke_tokens(served: Served) -> None:
    admin = served.token("admin")
    made = served.client.post(
        "/api/v1/admin/tokens", json={"role": "runner", "name": "box"}, headers=admin
    )
    assert made.status_code == 201
    box = {"Authorization": f"Bearer {made.json()['token']}"}
    assert served.client.get("/api/v1/admin/keys", headers=box).status_code == 403
    gone = served.client.post("/api/v1/admin/tokens/revoke", json={"name": "box"}, headers=admin)
    assert gone.json()["revoked"] == 1
    assert served.client.get("/api/v1/admin/keys", headers=box).status_code == 401


def test_metrics_are_for_near_ones_and_admins(serve: Serve) -> None:
    far = serve(address="203.0.113.7")
    assert far.client.get("/metrics").status_code == 403
    assert far.client.get("/metrics", headers=far.token("runner")).status_code == 403
    told = far.client.get("/metrics", headers=far.token("admin"))
    assert told.status_code == 200
    assert told.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "lem_data_version 0.0" in told.text
    assert serve(address="10.1.2.3").client.get("/metrics").status_code == 200
    everybody = serve(address="203.0.113.7", metrics_public=True)
    assert everybody.client.get("/metrics").status_code == 200
