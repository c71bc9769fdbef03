"""Who may queue a campaign, cancel it, and claim it."""

import pytest
from server.asking import PAGE, Browser, bearer, signed_in, told
from server.conftest import Served

CAMPAIGN = """\
version: 1
name: batching
models: [{id: Qwen/Qwen3-0.6B}]
backends: {transformers: {}}
sweep: {engine.max_batch_size: [1, 8]}
workload:
  requests: 64
  dataset: {kind: random, input_tokens: 128, output_tokens: 64}
"""
WANTED = {"campaign": CAMPAIGN, "archive": True, "again": True}
OTHER = {**WANTED, "campaign": CAMPAIGN.replace("batching", "other")}


def state_of(served: Served, queued: str) -> str:
    return str(served.client.get(f"/api/v1/queue/{queued}").json()["state"])


@pytest.fixture
def ada(served: Served) -> Browser:
    return signed_in(served)


def test_an_owners_token_cancels_its_own_campaign_alone(served: Served, ada: Browser) -> None:
    first = ada.page("POST", "/campaigns", WANTED).json()
    second = ada.page("POST", "/campaigns", OTHER).json()
    owner = Browser(served, **bearer(first["owner_token"]))
    assert told(owner.ask("POST", f"/queue/{second['id']}/cancel"))[0] == 403
    assert owner.ask("POST", "/campaigns", WANTED).status_code == 403
    assert owner.ask("GET", "/tokens").status_code == 403
    assert owner.ask("GET", "/admin/tokens").status_code == 403
    assert owner.ask("POST", "/runners/claim", {}).status_code == 403
    assert Browser(served).page(
        "POST", "/session", {"token": first["owner_token"]}
    ).status_code == (403)
    assert owner.ask("POST", f"/queue/{first['id']}/cancel").status_code == 200
    assert state_of(served, first["id"]) == "cancelled"
    assert state_of(served, second["id"]) == "queued"
    # It is in no list of what a person or an admin looks after.
    assert len(ada.ask("GET", "/tokens").json()["rows"]) == 1


def test_an_owners_token_ends_with_its_campaign(served: Served, ada: Browser) -> None:
    made = ada.page("POST", "/campaigns", WANTED).json()
    owner = Browser(served, **bearer(made["owner_token"]))
    assert ada.page("POST", f"/queue/{made['id']}/cancel").status_code == 200
    assert told(owner.ask("POST", f"/queue/{made['id']}/cancel")) == (401, "bad_token")


def test_nobody_cancels_anothers_campaign_but_an_admin(served: Served, ada: Browser) -> None:
    queued = ada.page("POST", "/campaigns", WANTED).json()["id"]
    cancel = f"/queue/{queued}/cancel"
    eve, runner = signed_in(served, "Eve"), Browser(served, **bearer(served.secret("runner")))
    for other in (eve, runner, Browser(served)):
        assert other.page("POST", cancel).status_code in (401, 403)
    assert state_of(served, queued) == "queued"
    admin = Browser(served).sign_in(served.secret("admin"))
    assert admin.page("POST", cancel).status_code == 200
    assert state_of(served, queued) == "cancelled"


def test_a_runners_token_queues_nothing_and_a_submitters_claims_nothing(
    served: Served, ada: Browser
) -> None:
    runner = Browser(served, **bearer(served.secret("runner")))
    assert told(runner.ask("POST", "/campaigns", WANTED)) == (403, "not_allowed")
    assert told(ada.page("POST", "/runners/claim", {})) == (403, "not_allowed")
    assert served.client.get("/api/v1/queue").json()["rows"] == []


def test_by_cookie_only_own_pages_queue_and_cancel(served: Served, ada: Browser) -> None:
    queued = ada.page("POST", "/campaigns", WANTED).json()["id"]
    cross = {**PAGE, "Sec-Fetch-Site": "cross-site"}
    for headers in ({}, cross):
        assert ada.ask("POST", "/campaigns", OTHER, **headers).status_code == 403
        assert ada.ask("POST", f"/queue/{queued}/cancel", **headers).status_code == 403
    # As a form from elsewhere sends it: YAML is any text.
    cookie = "; ".join(f"{k}={v}" for k, v in ada.cookies.items())
    form = {"Cookie": cookie, "Content-Type": "text/plain"}
    address = "/api/v1/campaigns?archive=true"
    answer = served.client.post(address, content=CAMPAIGN.encode(), headers=form)
    assert told(answer) == (403, "not_from_page")
    assert [r["state"] for r in served.client.get("/api/v1/queue").json()["rows"]] == ["queued"]


def test_whoever_is_disabled_queues_and_cancels_nothing_more(served: Served, ada: Browser) -> None:
    made = ada.page("POST", "/campaigns", WANTED).json()
    person = ada.who()["person"]["id"]
    admin = Browser(served).sign_in(served.secret("admin"))
    admin.page("POST", f"/admin/people/{person}/disable")
    assert ada.page("POST", "/campaigns", OTHER).status_code == 401
    assert ada.page("POST", f"/queue/{made['id']}/cancel").status_code == 401
    owner = Browser(served, **bearer(made["owner_token"]))
    assert owner.ask("POST", f"/queue/{made['id']}/cancel").status_code == 401
    assert state_of(served, made["id"]) == "queued"


def test_ones_own_campaigns_are_listed(served: Served, ada: Browser) -> None:
    eve = signed_in(served, "Eve")
    queued = ada.page("POST", "/campaigns", WANTED).json()["id"]
    for browser, expected in ((ada, [queued]), (eve, [])):
        person = browser.who()["person"]["id"]
        rows = browser.ask("GET", f"/queue?person={person}").json()["rows"]
        assert [row["id"] for row in rows] == expected
    assert ada.ask("GET", "/queue?person=p1").status_code == 422
