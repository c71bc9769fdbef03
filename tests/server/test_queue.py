"""The queue over HTTP: what people, runners and everybody else are answered."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from archive_queue import CAMPAIGN, archived, hello
from archive_submissions import Submitter, campaign, part_of
from server.conftest import Serve, Served
from server.test_front import is_problem

from lem.archive import checks, identities
from lem.archive.queries.plan import Measured
from lem.archive.queue.tables import QUEUED
from lem.contract.queue import Claimed, Handover, Standing, Welcome
from lem.server import queueing
from lem.trust import traits
from lem.trust.judge import Judgement

API = "/api/v1"
YAML = {"Content-Type": "application/yaml"}
TAR = {"Content-Type": "application/x-tar"}
NOBODY = "q" + "0" * 20


class Box:
    """A runner with its token and key, as it speaks HTTP."""

    def __init__(self, served: Served, name: str = "box", **changes: Any) -> None:
        self.client = served.client
        self.key = Submitter(served.service, name)
        self.headers = served.token("runner")
        self.said = hello(self.key.key_id, name=name, **changes)
        done = self.tell("register", self.said.model_dump(mode="json"))
        assert done.status_code == 200, done.text
        self.id = Welcome.model_validate_json(done.text).runner

    def tell(self, what: str, body: Any) -> Any:
        return self.client.post(f"{API}/runners/{what}", json=body, headers=self.headers)

    def claim(self, queued: str | None = None) -> Claimed | None:
        done = self.tell("claim", {"runner": self.id, "queued": queued})
        assert done.status_code in (200, 204), done.text
        return Claimed.model_validate_json(done.text) if done.content else None

    def heartbeat(self, queued: str | None = None, fence: int | None = None) -> Any:
        said = {"runner": self.id, "queued": queued, "fence": fence, "doing": "block 1"}
        return self.tell("heartbeat", said)

    def finish(self, queued: str, fence: int, outcome: str, reason: str = "", **more: Any) -> Any:
        said = {"queued": queued, "fence": fence, "outcome": outcome, "reason": reason, **more}
        return self.tell("finish", said)

    def handover(self, queued: str, fence: int) -> Any:
        return self.client.get(
            f"{API}/runners/handover",
            params={"queued": queued, "fence": fence},
            headers=self.headers,
        )

    def submit(self, body: bytes, queued: str, fence: int) -> Any:
        lease = {"Lem-Queued": queued, "Lem-Fence": str(fence)}
        return self.client.post(
            f"{API}/submissions", content=body, headers={**self.headers, **TAR, **lease}
        )


def ask(served: Served, headers: dict[str, str], text: str = CAMPAIGN, **said: Any) -> Any:
    body = {"campaign": text, "archive": True, **said}
    return served.client.post(f"{API}/campaigns", json=body, headers=headers)


def seen(served: Served, id: str) -> Any:
    return served.client.get(f"{API}/queue/{id}").json()


def test_a_campaign_from_the_browser_to_its_end(served: Served) -> None:
    ada = served.token("submitter")
    made = ask(served, ada)
    assert made.status_code == 201, made.text
    told = made.json()
    id = told["id"]
    assert (told["state"], told["position"], told["url"]) == ("queued", 1, f"/live/{id}")
    assert [e["baseline"] for e in told["plan"]["experiments"]] == [True, False]
    box = Box(served)
    claimed = box.claim()
    assert claimed is not None and claimed.campaign == CAMPAIGN
    assert (claimed.queued, claimed.fence, claimed.begun) == (id, 1, False)
    standing = Standing.model_validate_json(box.heartbeat(id, 1).text)
    assert (standing.lease_s, standing.cancel) == (30.0, False)
    assert box.heartbeat().json()["lease_s"] is None
    shown = seen(served, id)
    assert (shown["state"], shown["runner"]["name"], shown["doing"]) == (
        "running",
        "box",
        "block 1",
    )
    assert shown["yaml"] == CAMPAIGN
    (listed,) = served.client.get(f"{API}/queue?state=running").json()["rows"]
    assert listed["id"] == id
    (machine,) = served.client.get(f"{API}/runners").json()["rows"]
    assert (machine["id"], machine["queued"], machine["online"]) == (box.id, id, True)
    assert box.finish(id, 1, "released", not_before_s=60.0).json()["state"] == "queued"
    (later,) = seen(served, id)["declined"]
    assert later["outcome"] == "later" and later["until"] > later["at"]
    assert box.claim() is None
    box = Box(served, "another")
    assert box.claim() is not None
    with served.service.database.writing() as c:
        archived(c, id)
    assert box.finish(id, 2, "done").json()["state"] == "done"
    assert (seen(served, id)["state"], seen(served, id)["unfinished_before"]) == ("done", 0)
    lines = served.client.get(f"{API}/campaigns/{id}/recording").text.splitlines()
    states = [event["state"] for line in lines for event in json.loads(line)[2]]
    assert states == ["queued", "claimed", "queued", "claimed", "done"]


def test_a_file_as_it_is_does_too(served: Served) -> None:
    headers = {**served.token("submitter"), **YAML}
    answer = served.client.post(f"{API}/campaigns", content=CAMPAIGN, headers=headers)
    assert is_problem(answer, 422, "consent_needed")
    answer = served.client.post(f"{API}/campaigns?archive=true", content=CAMPAIGN, headers=headers)
    assert answer.status_code == 201


def test_what_is_wrong_is_told_with_its_line(lite: Served) -> None:
    ada = lite.token("submitter")
    answer = ask(lite, ada, CAMPAIGN.replace("[1, 8]", "[0]") + "gpu: [0]\n")
    assert is_problem(answer, 422, "bad_input")
    assert {(e["where"], e["line"]) for e in answer.json()["errors"]} >= {("gpu", 9)}
    answer = ask(lite, ada, CAMPAIGN + "gpus: [0]\n")
    (error,) = answer.json()["errors"]
    assert (error["where"], error["line"], error["column"]) == ("gpus", 9, 1)
    # The same of a plan, for the builder.
    answer = lite.client.post(f"{API}/campaigns/plan", content="version: 2\n", headers=YAML)
    assert all(e["line"] == 1 for e in answer.json()["errors"])


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 400, "not_json"),
        (b"[]", 422, "bad_request"),
        (b"{}", 422, "bad_request"),
        (b'{"campaign": 1}', 422, "bad_request"),
        (b'{"campaign": "", "more": 1}', 422, "bad_request"),
        (b'{"campaign": "version: 1"}', 422, "consent_needed"),
        (b'{"campaign": "", "archive": true}', 422, "bad_input"),
        (b'{"campaign": "\\ud800", "archive": true}', 422, "bad_input"),
        (json.dumps({"campaign": "a" * 262_145, "archive": True}).encode(), 413, "too_large"),
        (b'{"campaign": "' + b"a" * 2**20 + b'"}', 413, "too_large"),
    ],
)
def test_what_is_no_campaign_is_refused(
    lite: Served, body: bytes, status: int, reason: str
) -> None:
    headers = {**lite.token("submitter"), "Content-Type": "application/json"}
    answer = lite.client.post(f"{API}/campaigns", content=body, headers=headers)
    if b"ud800" in body:
        assert answer.status_code in (400, 422)
    else:
        assert is_problem(answer, status, reason)
    assert lite.client.get(f"{API}/queue").json()["rows"] == []


def test_who_may_cancel(served: Served) -> None:
    ada, ben = served.token("submitter"), served.token("submitter")
    first, second = (ask(served, ada).json() for _ in range(2))
    own = {"Authorization": f"Bearer {first['owner_token']}"}
    for headers, id, status in (
        (ben, first["id"], 403),
        (own, second["id"], 403),
        ({}, first["id"], 401),
        (served.token("runner"), first["id"], 403),
        (ada, NOBODY, 404),
        (own, first["id"], 200),
        (served.token("admin"), second["id"], 200),
    ):
        answer = served.client.post(f"{API}/queue/{id}/cancel", headers=headers)
        assert answer.status_code == status, answer.text
    assert {seen(served, d["id"])["state"] for d in (first, second)} == {"cancelled"}
    # That token is for nothing any more.
    assert ask(served, own).status_code == 401
    assert served.client.get(f"{API}/tokens", headers=own).status_code == 401


def test_its_runner_hears_of_it_with_the_next_heartbeat(served: Served) -> None:
    ada, box = served.token("submitter"), Box(served)
    id = ask(served, ada).json()["id"]
    box.claim()
    answer = served.client.post(f"{API}/queue/{id}/cancel", headers=ada)
    assert answer.json()["state"] == "running"
    assert seen(served, id)["cancelling"]
    assert box.heartbeat(id, 1).json()["cancel"]
    assert box.finish(id, 1, "cancelled").json()["state"] == "cancelled"


def test_leases_that_ran_out_are_noticed_by_who_looks(served: Served) -> None:
    box, other = Box(served), Box(served, "other")
    id = ask(served, served.token("submitter")).json()["id"]
    box.claim()
    run_out(served)
    assert seen(served, id)["state"] == "queued"
    for answer in (box.heartbeat(id, 1), box.finish(id, 1, "done"), box.handover(id, 1)):
        assert is_problem(answer, 409, "lease_lost")
    claimed = other.claim()
    assert claimed is not None and claimed.fence == 2
    lines = served.client.get(f"{API}/campaigns/{id}/recording").text.splitlines()
    states = [event["state"] for line in lines for event in json.loads(line)[2]]
    assert states == ["queued", "claimed", "lost", "queued", "claimed"]


def run_out(served: Served) -> None:
    with served.service.database.queueing() as c:
        c.execute(QUEUED.update().values(lease_until=1.0))


def test_they_are_noticed_while_nobody_looks_too(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setattr(queueing, "SWEEP_S", 0.05)
    served = serve()
    box = Box(served)
    ask(served, served.token("submitter"))
    box.claim()
    run_out(served)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with served.service.database.reading() as c:
            if c.scalar(sa.select(QUEUED.c.state)) == "queued":
                break
        time.sleep(0.05)
    else:
        raise AssertionError("nobody noticed")


def test_nothing_is_lost_when_the_server_is_started_anew(serve: Serve, tmp_path: Path) -> None:
    from fastapi.testclient import TestClient

    from lem.server.app import create_app

    first = serve()
    box = Box(first)
    id, waiting = (ask(first, first.token("submitter")).json()["id"] for _ in range(2))
    box.claim()
    first.client.__exit__(None, None, None)
    app = create_app(first.settings)
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        box.client = client
        assert box.heartbeat(id, 1).json()["lease_s"] == 30.0
        assert client.get(f"{API}/queue/{waiting}").json()["position"] == 1
        assert box.finish(id, 1, "done").json()["state"] == "queued"
    first.client.__enter__()


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("register", {}),
        ("register", {"instance": "x"}),
        ("claim", {"runner": "r"}),
        ("claim", {"runner": "r" + "0" * 20, "queued": "x"}),
        ("heartbeat", {"runner": "r" + "0" * 20, "doing": "x" * 201}),
        ("heartbeat", {"runner": "r" + "0" * 20, "queued": NOBODY, "fence": 2**60}),
        ("finish", {"queued": NOBODY, "fence": 0, "outcome": "done"}),
        ("finish", {"queued": NOBODY, "fence": 1, "outcome": "great"}),
        ("finish", {"queued": NOBODY, "fence": 1, "outcome": "done", "reason": "x" * 2001}),
    ],
)
def test_documents_that_are_none_are_refused(lite: Served, what: str, body: Any) -> None:
    answer = lite.client.post(f"{API}/runners/{what}", json=body, headers=lite.token("runner"))
    assert is_problem(answer, 422, "bad_request")


def test_ids_of_nothing(lite: Served) -> None:
    box = Box(lite)
    assert is_problem(lite.client.get(f"{API}/queue/{NOBODY}"), 404, "queued_unknown")
    assert is_problem(lite.client.get(f"{API}/queue/x"), 422, "bad_request")
    stray = {"runner": "r" + "0" * 20}
    assert is_problem(box.tell("claim", stray), 404, "runner_unknown")
    assert is_problem(box.tell("heartbeat", stray), 404, "runner_unknown")
    assert is_problem(box.finish(NOBODY, 1, "done"), 409, "lease_lost")
    assert is_problem(box.handover(NOBODY, 1), 409, "lease_lost")
    assert is_problem(box.handover("x", 1), 422)
    assert is_problem(box.heartbeat(NOBODY, 1), 409, "lease_lost")


def test_another_token_cannot_speak_for_a_runner(served: Served) -> None:
    box, other = Box(served), Box(served, "other")
    id = ask(served, served.token("submitter")).json()["id"]
    box.claim()
    mine = {"runner": box.id, "queued": id, "fence": 1}
    assert is_problem(other.tell("claim", {"runner": box.id}), 404, "runner_unknown")
    assert is_problem(other.tell("heartbeat", mine), 404, "runner_unknown")
    assert is_problem(other.finish(id, 1, "failed"), 409, "lease_lost")
    assert box.heartbeat(id, 1).status_code == 200


def test_a_revoked_token_or_a_disabled_runner_goes_no_further(served: Served) -> None:
    box, other, admin = Box(served), Box(served, "other"), served.token("admin")
    first, second = (ask(served, served.token("submitter")).json()["id"] for _ in range(2))
    box.claim()
    other.claim()
    done = served.client.post(f"{API}/admin/runners/{box.id}/disable", headers=admin)
    assert done.status_code == 200, done.text
    for answer in (
        box.heartbeat(first, 1),
        box.finish(first, 1, "done"),
        box.handover(first, 1),
        box.tell("claim", {"runner": box.id}),
        box.tell("register", box.said.model_dump(mode="json")),
    ):
        assert is_problem(answer, 403, "runner_disabled")
    with served.service.database.writing() as c:
        identities.revoke_token(c, "a test's runner")
    for answer in (other.heartbeat(second, 1), other.finish(second, 1, "done")):
        assert is_problem(answer, 401, "bad_token")


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(record: Any, trace: Any, responses: Any, *, lock: Any, now: Any) -> Judgement:
        return Judgement(2, [], {}, traits.unread(record, trace))

    monkeypatch.setattr(checks, "judge", judge)


@pytest.mark.usefixtures("believed")
def test_two_runners_submit_one_campaign(served: Served, tmp_path: Path) -> None:
    box, other = Box(served), Box(served, "other")
    id = ask(served, served.token("submitter")).json()["id"]
    claimed = box.claim()
    assert claimed is not None
    folder = campaign(
        tmp_path / "campaign", [[0.10, 0.11, 0.12], [0.20, 0.21, 0.22]], owner=claimed.owner
    )
    bundle = box.key.bundle(folder)
    first, rest = (part_of(bundle, numbers) for numbers in ([0, 1, 2, 3], [4, 5]))
    body = box.key.body(first)
    plain = served.client.post(f"{API}/submissions", content=body, headers=TAR)
    assert is_problem(plain, 409, "lease_lost")
    assert is_problem(box.submit(body, id, 2), 409, "lease_lost")
    assert is_problem(other.submit(other.key.body(first), id, 1), 409, "lease_lost")
    for headers in ({"Lem-Queued": id}, {"Lem-Queued": "x", "Lem-Fence": "1"}):
        answer = served.client.post(
            f"{API}/submissions", content=body, headers={**box.headers, **TAR, **headers}
        )
        assert is_problem(answer, 422, "bad_request")
    both = {"Lem-Queued": id, "Lem-Fence": "1"}
    answer = served.client.post(f"{API}/submissions", content=body, headers={**TAR, **both})
    assert is_problem(answer, 401, "token_needed")
    assert box.submit(body, id, 1).status_code == 201
    assert box.finish(id, 1, "released", "stopped").json()["state"] == "queued"
    again = other.claim()
    assert again is not None and again.begun and again.owner == claimed.owner
    handed = Handover.model_validate_json(other.handover(id, 2).text)
    assert len(handed.runs) == 4
    done = other.submit(other.key.body(rest), id, 2)
    assert (done.status_code, done.json()["campaign_state"]) == (201, "complete")
    assert other.finish(id, 2, "done").json()["state"] == "done"
    while checks.check_next(served.service.database, served.service.packs) is not None:
        pass
    (row,) = served.client.get(f"{API}/campaigns").json()["rows"]
    assert (row["state"], row["queued"], row["submitter"]) == ("complete", id, "box, other")
    assert seen(served, id)["campaign"] == row["id"]
    # What is measured now is told to whoever asks for the same.
    experiment = served.client.get(f"{API}/results?limit=1").json()["rows"][0]
    assert experiment["campaign"] == row["id"]


MEASURED = Measured(
    match="exact",
    may_differ=[],
    configuration="0" * 64,
    experiment_id="e",
    model_content="m",
    engine_version="1",
    device_model="GPU",
    device_count=1,
    meter_class="nvml",
    energy_class="gpu",
    tier="recomputed",
    figure=None,
)


def test_what_is_measured_is_linked_and_not_run_again_unasked(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan finds what is there; here it is told that it does."""
    from lem.server.routes import queue as routes

    ada = served.token("submitter")
    measured = {"all": True}
    plain = routes.plan

    def planned(connection: Any, text: str) -> Any:
        found = plain(connection, text)
        many = len(found.experiments)
        done = many if measured["all"] else 1
        experiments = [
            e.model_copy(update={"measured": [MEASURED] if i >= many - done else []})
            for i, e in enumerate(found.experiments)
        ]
        told = {"experiments": experiments, "measured": done, "missing": many - done}
        return found.model_copy(update=told)

    monkeypatch.setattr(routes, "plan", planned)
    answer = ask(served, ada)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["id"], told["state"], told["owner_token"]) == (None, "measured", None)
    assert served.client.get(f"{API}/queue").json()["rows"] == []
    assert ask(served, ada, again=True).status_code == 201
    measured["all"] = False
    whole = ask(served, ada).json()
    assert "baseline" in whole["notes"][0]
    assert seen(served, whole["id"])["experiments"] == 2
    less = ask(served, ada, only_missing=True).json()
    shown = seen(served, less["id"])
    assert shown["experiments"] == 1 and "exclude" in shown["yaml"]


def test_pages_of_the_queue(lite: Served) -> None:
    people = [lite.token("submitter") for _ in range(3)]
    ids = [ask(lite, people[n % 3]).json()["id"] for n in range(9)]
    found: list[str] = []
    asked: dict[str, Any] = {"state": "queued", "limit": 4}
    while True:
        page = lite.client.get(f"{API}/queue", params=asked).json()
        assert (page["waiting"], page["running"]) == (9, 0)
        found += [row["id"] for row in page["rows"]]
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert sorted(found) == sorted(ids) and found[:3] == ids[:3]
    newest = lite.client.get(f"{API}/queue?limit=2").json()["rows"]
    assert [row["id"] for row in newest] == ids[:-3:-1]
    stray = lite.client.get(f"{API}/queue", params={"cursor": asked["cursor"]})
    assert is_problem(stray, 400, "bad_cursor")


def test_no_secret_is_in_an_answer_or_in_the_log(
    served: Served, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    ada, box = served.token("submitter"), Box(served, instance="5eed" * 8)
    made = ask(served, ada).json()
    box.claim()
    box.heartbeat(made["id"], 1)
    secrets = [h["Authorization"].split()[1] for h in (ada, box.headers)]
    secrets += [made["owner_token"], "a test's runner", box.said.instance]
    public = [f"{API}/{path}" for path in ("queue", f"queue/{made['id']}", "runners", "log")]
    told = [served.client.get(path).text for path in (*public, "/queue")]
    told.append(served.client.get(f"{API}/campaigns/{made['id']}/recording").text)
    said = capfd.readouterr()
    for text in (*told, said.out, said.err, caplog.text):
        assert not [secret for secret in secrets if secret in text]
        assert identities.hash_of(secrets[0]) not in text


def test_runners_may_say_much_and_campaigns_are_bounded(serve: Serve) -> None:
    import dataclasses

    from server.conftest import UNLIMITED

    served = serve(rates=dataclasses.replace(UNLIMITED, heavy="2/minute", writing="8/minute"))
    ada, box = served.token("submitter"), Box(served)
    for _ in range(12):
        assert box.heartbeat().status_code == 200
    assert [ask(served, ada).status_code for _ in range(3)] == [201, 201, 429]
    assert served.client.get(f"{API}/campaigns").status_code == 200
