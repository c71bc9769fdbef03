"""A campaign over HTTP, from the first byte to the board, on both databases."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from archive_submissions import Submitter, campaign
from server.conftest import Served
from server.test_front import is_problem

from lem.archive import checks
from lem.submit.manifest import base64_of
from lem.trust import traits
from lem.trust.judge import Judgement

TAR = {"Content-Type": "application/x-tar"}
TWO_ARMS = [[0.10, 0.11, 0.12], [0.20, 0.21, 0.22]]


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge, whose own tests are tests/trust, finds nothing wrong with made-up traces."""

    def judge(record: Any, trace: Any, responses: Any, *, lock: Any, now: Any) -> Judgement:
        return Judgement(2, [], {}, traits.unread(record, trace))

    monkeypatch.setattr(checks, "judge", judge)


@pytest.fixture
def me(served: Served) -> Submitter:
    return Submitter(served.service, "Lab")


@pytest.fixture
def body(me: Submitter, tmp_path: Path) -> bytes:
    return me.body(me.bundle(campaign(tmp_path / "campaign", TWO_ARMS)))


def post(served: Served, body: bytes) -> Any:
    return served.client.post("/api/v1/submissions", content=body, headers=TAR)


def check_all(served: Served) -> None:
    while checks.check_next(served.service.database, served.service.packs) is not None:
        pass


@pytest.mark.usefixtures("believed")
def test_it_is_kept_once_and_shows_when_it_is_checked(served: Served, body: bytes) -> None:
    first = post(served, body)
    assert first.status_code == 201, first.text
    receipt = first.json()
    assert (receipt["already_there"], receipt["runs"]) == (False, 6)
    again = post(served, body)
    assert again.status_code == 200
    assert again.json() == {**receipt, "already_there": True}
    address = f"/api/v1/submissions/{receipt['submission']}"
    assert served.client.get(address).json() == again.json()

    check_all(served)
    settled = served.client.get(address).json()
    assert settled["checks"] != "pending" and settled["campaign_state"] == "complete"
    board = served.client.get("/api/v1/leaderboard").json()
    shown = [(row["figure"]["value"], row["figure"]["runs"]) for row in board["rows"]]
    assert shown == [(pytest.approx(0.11), 3), (pytest.approx(0.21), 3)]
    before = served.client.get("/api/v1/leaderboard")
    post(served, body)
    after = served.client.get("/api/v1/leaderboard")
    assert after.headers["etag"] == before.headers["etag"]
    metrics = served.client.get("/metrics").text
    assert 'lem_submissions_total{outcome="accepted"} 1.0' in metrics
    assert 'lem_submissions_total{outcome="already_there"} 2.0' in metrics
    assert "lem_runs_accepted_total 6.0" in metrics


def test_everything_of_a_run_can_be_had(served: Served, body: bytes) -> None:
    submission = post(served, body).json()["submission"]
    check_all(served)
    run = f"{submission}-0"
    result = served.client.get(f"/api/v1/results/{run}").json()
    assert result["provenance"]["submitter"] == "Lab"
    trace = served.client.get(f"/api/v1/results/{run}/trace?points=50").json()
    assert trace["series"]
    for kind, column in (("trace", "t_ns"), ("responses", "id")):
        file = served.client.get(f"/api/v1/results/{run}/files/{kind}")
        assert file.headers["content-type"] == "application/gzip"
        assert "content-encoding" not in file.headers
        assert gzip.decompress(file.content).decode().split(",")[0] == column
    listed = served.client.get("/api/v1/results?limit=4").json()
    rest = served.client.get("/api/v1/results", params={"limit": 4, "cursor": listed["next"]})
    ids = [row["id"] for row in (*listed["rows"], *rest.json()["rows"])]
    assert len(set(ids)) == 6 and run in ids


@pytest.mark.usefixtures("believed")
def test_a_campaign_is_shown_as_it_was_sent(served: Served, body: bytes, me: Submitter) -> None:
    receipt = post(served, body).json()
    (open_,) = served.client.get("/api/v1/campaigns").json()["rows"]
    assert (open_["submitter"], open_["enrolled_by"]) == ("Lab", "invitation")
    check_all(served)
    address = f"/api/v1/campaigns/{open_['id']}"
    found = served.client.get(address).json()
    assert found["campaign"]["state"] == "complete"
    assert (found["runs"], found["counted"], len(found["configurations"])) == (6, 6, 2)
    assert [s["submission"] for s in found["submissions"]] == [receipt["submission"]]
    for state, rows in (("complete", 1), ("open", 0), ("rejected", 0)):
        assert len(served.client.get(f"/api/v1/campaigns?state={state}").json()["rows"]) == rows
    shares = served.client.get(f"{address}/attribute")
    assert is_problem(shares, 422, "not_attributable")


@pytest.mark.usefixtures("believed")
def test_results_are_to_be_had_as_files_too(served: Served, body: bytes) -> None:
    """The same question as for pages, with another format."""
    post(served, body)
    check_all(served)
    asked = {"engine.max_batch_size": "1", "counted": "true"}
    page = served.client.get("/api/v1/results", params=asked).json()
    ids = {row["id"] for row in page["rows"]}
    assert len(ids) == 3
    text = served.client.get("/api/v1/results", params={**asked, "format": "csv"})
    assert text.headers["content-type"].startswith("text/csv")
    assert {row["run"] for row in csv.DictReader(io.StringIO(text.text))} == ids
    lines = served.client.get("/api/v1/results", params={**asked, "format": "jsonl"})
    assert {json.loads(line)["run"] for line in lines.text.splitlines()} == ids
    import pyarrow.parquet as parquet

    table = served.client.get("/api/v1/results", params={**asked, "format": "parquet"})
    assert set(parquet.read_table(io.BytesIO(table.content))["run"].to_pylist()) == ids
    few = {**asked, "format": "csv", "limit": "2"}
    assert is_problem(served.client.get("/api/v1/results", params=few), 422, "too_many")
    odd = {"format": "csv", "cursor": served.client.get("/api/v1/results?limit=2").json()["next"]}
    assert is_problem(served.client.get("/api/v1/results", params=odd), 422, "bad_input")


@pytest.mark.usefixtures("believed")
def test_the_first_digits_of_a_configuration_are_enough(served: Served, body: bytes) -> None:
    post(served, body)
    check_all(served)
    rows = served.client.get("/api/v1/leaderboard").json()["rows"]
    id_ = rows[0]["configuration"]["id"]
    found = served.client.get(f"/api/v1/configurations/{id_[:16]}")
    assert found.status_code == 200 and found.json()["configuration"]["id"] == id_
    assert served.client.get(f"/api/v1/configurations/{id_[:15]}").status_code == 422
    other = served.client.get("/api/v1/configurations/" + "0" * 16)
    assert is_problem(other, 404, other.json()["reason"])


@pytest.mark.usefixtures("believed")
@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "boamps"])
def test_the_same_as_a_file(served: Served, body: bytes, form: str) -> None:
    post(served, body)
    check_all(served)
    address = f"/api/v1/export?format={form}"
    plain = served.client.get(address, headers={"Accept-Encoding": "identity"})
    assert plain.status_code == 200, plain.text
    assert plain.headers["content-disposition"].startswith('attachment; filename="')
    if form == "csv":
        text = "\n".join(x for x in plain.text.splitlines() if not x.startswith("#"))
        assert len(list(csv.DictReader(io.StringIO(text)))) == 6
    if form == "parquet":
        import pyarrow.parquet as parquet

        assert parquet.read_table(io.BytesIO(plain.content)).num_rows == 6
    packed = served.client.get(address, headers={"Accept-Encoding": "gzip"})
    assert ("content-encoding" in packed.headers) is (form != "parquet")
    assert packed.content == plain.content
    too_few = served.client.get(f"{address}&limit=1")
    assert is_problem(too_few, 422, "too_many")
    assert list(served.service.spool.iterdir()) == []


def test_what_was_changed_on_the_way_is_refused(served: Served, body: bytes) -> None:
    for at in (600, len(body) // 2, len(body) - 1500):
        changed = bytearray(body)
        changed[at] ^= 1
        answer = post(served, bytes(changed))
        assert 400 <= answer.status_code < 500
        assert is_problem(answer, answer.status_code)
    cut = post(served, body[: len(body) // 2])
    assert is_problem(cut, 422, "bad_submission")
    assert served.client.get("/api/v1/archive").json()["runs"] == 0
    assert list(served.service.packs.every()) == []


def test_a_revoked_key_sends_nothing(served: Served, me: Submitter, body: bytes) -> None:
    admin = served.token("admin")
    served.client.post(f"/api/v1/admin/keys/{me.key_id}/revoke", headers=admin)
    answer = post(served, body)
    assert is_problem(answer, 403, "key_revoked")


def test_it_can_be_taken_back(served: Served, me: Submitter, body: bytes) -> None:
    submission = post(served, body).json()["submission"]
    check_all(served)
    owner = served.client.get("/api/v1/campaigns").json()["rows"][0]["id"].split("-")[0]
    key, owner, nonce, signature = me.retraction(owner)
    sent = {"campaign": owner, "key": key, "nonce": nonce, "signature": base64_of(signature)}
    forged = {**sent, "signature": base64_of(bytes(64))}
    assert is_problem(served.client.post("/api/v1/campaigns/retract", json=forged), 403)
    done = served.client.post("/api/v1/campaigns/retract", json=sent)
    assert done.status_code == 200, done.text
    assert served.client.get("/api/v1/leaderboard").json()["rows"] == []
    assert served.client.get(f"/api/v1/results/{submission}-0").status_code == 404
    assert list(served.service.packs.every()) == []
    kinds = [e["kind"] for e in served.client.get("/api/v1/log").json()["entries"]]
    assert kinds[-1] == "retracted"


def test_a_pack_that_was_taken_back_goes_even_after_a_crash(
    served: Served, me: Submitter, body: bytes, tmp_path: Path
) -> None:
    """Between the transaction and the deletion of its pack, the server was killed."""
    import os

    submission = post(served, body).json()["submission"]
    pack = served.service.packs.whole(submission)
    owner = served.client.get("/api/v1/campaigns").json()["rows"][0]["id"].split("-")[0]
    key, owner, nonce, signature = me.retraction(owner)
    sent = {"campaign": owner, "key": key, "nonce": nonce, "signature": base64_of(signature)}
    assert served.client.post("/api/v1/campaigns/retract", json=sent).status_code == 200
    packs = served.service.packs
    packs.put(submission, pack)
    unknown = "ab" * 32
    packs.put(unknown, b"a copy whose row an older database has not")
    for sha in (submission, unknown):
        os.utime(packs.path(sha), (0, 0))
    served.service._sweep(served.service.database)
    assert list(packs.every()) == [unknown]


def test_lem_serve_checks_by_itself(process: Any, tmp_path: Path) -> None:
    """Two processes and HTTP alone between them: nothing here but the files of a campaign."""
    import time

    from lem.archive.database import open_database
    from lem.archive.packs import Packs

    server = process()

    class Opened:
        database = open_database(None, tmp_path / "data")
        packs = Packs(tmp_path / "data" / "packs")

    me = Submitter(Opened())
    body = me.body(me.bundle(campaign(tmp_path / "campaign", TWO_ARMS)))
    answer = httpx.post(f"{server.url}/api/v1/submissions", content=body, headers=TAR, timeout=60)
    assert answer.status_code == 201, answer.text
    address = f"{server.url}/api/v1/submissions/{answer.json()['submission']}"
    until = time.monotonic() + 60
    while time.monotonic() < until and httpx.get(address).json()["checks"] == "pending":
        time.sleep(0.1)
    told = httpx.get(address).json()
    # Its traces are made up, and not well.
    assert told["checks"] == "rejected" and told["findings"]
    assert httpx.get(f"{server.url}/api/v1/leaderboard").json()["rows"] == []
    events = [json.loads(x)["event"] for x in server.said().splitlines() if x.startswith("{")]
    assert "checked" in events
    Opened.database.close()


def test_made_up_records_are_for_demonstrations(serve: Any, tmp_path: Path) -> None:
    for kind in ("sqlite", "postgresql"):
        plain, demo = serve(kind), serve(kind, demo=True)
        for served, status in ((plain, 422), (demo, 201)):
            me = Submitter(served.service, "Lab")
            folder = campaign(tmp_path / "campaign", TWO_ARMS, flags=["synthetic"])
            answer = post(served, me.body(me.bundle(folder)))
            assert answer.status_code == status, answer.text
            info = served.client.get("/api/v1/archive").json()
            board = served.client.get("/api/v1/leaderboard").json()
            assert (info["demo"], board["demo"]) == (status == 201, status == 201)
            if status == 422:
                assert is_problem(answer, 422, "synthetic_refused")
