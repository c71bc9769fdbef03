"""What is taken in; what is refused, why, and that nothing of it is stored."""

import gzip
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from lem.archive import identities, ingest, log, rebuild
from lem.archive.database import open_database
from lem.archive.reasons import REASONS
from lem.archive.refused import Refused
from lem.archive.schema import (
    BLOB,
    CAMPAIGN,
    CONFIG,
    CONFIG_SUMMARY,
    FACET,
    LOG,
    NONCE,
    RUN,
    SUBMISSION,
)
from lem.config.identity import experiment_id
from lem.contract.lock import Adaptive, Lock
from lem.contract.record import Record
from lem.contract.spec import Experiment
from tests.archive_submissions import (
    Submitter,
    campaign,
    part_of,
    text_of,
    with_file,
)

CHOOSES = Adaptive(
    kind="pareto", budget=2, generation=1, objectives=["energy_per_output_token_j"], seed=1
)
TWO_ARMS = [[0.10, 0.11, 0.12], [0.20, 0.21, 0.22]]


@pytest.fixture
def me(archive) -> Submitter:
    return Submitter(archive)


@pytest.fixture
def whole(me, tmp_path):
    return me.bundle(campaign(tmp_path / "campaign", TWO_ARMS))


def count(archive, table) -> int:
    with archive.database.reading() as c:
        return int(c.scalar(sa.select(sa.func.count()).select_from(table)))


def state(archive):
    """Everything that a submission could leave behind."""
    tables = (BLOB, CAMPAIGN, CONFIG, CONFIG_SUMMARY, FACET, LOG, RUN, SUBMISSION)
    with archive.database.reading() as c:
        rows = {t.name: sorted(map(str, c.execute(sa.select(t)))) for t in tables}
    files = sorted(str(p) for p in archive.packs.folder.rglob("*") if p.is_file())
    return rows, files, archive.database.setting("data_version")


def refusal(archive, body: bytes) -> str:
    """Why it is refused; nothing is different afterwards."""
    before = state(archive)
    with pytest.raises(Refused) as caught:
        ingest.receive(archive.database, archive.packs, body)
    assert state(archive) == before
    assert caught.value.status == REASONS[caught.value.reason].status
    return caught.value.reason


def edited(bundle, number: int, kind: str, change):
    raw = json.loads(text_of(bundle, number, kind))
    change(raw)
    return with_file(bundle, number, kind, json.dumps(raw).encode())


def test_a_whole_campaign_is_on_the_board_at_once(archive, me, whole) -> None:
    body = me.body(whole)
    receipt = ingest.receive(archive.database, archive.packs, body)
    assert (receipt.runs, receipt.campaign_state, receipt.checks) == (6, "complete", "pending")
    assert not receipt.already_there and receipt.missing == ""
    with archive.database.reading() as c:
        rows = c.execute(
            sa.select(CONFIG_SUMMARY, CONFIG.c.max_batch_size)
            .join(CONFIG, CONFIG.c.id == CONFIG_SUMMARY.c.config_id)
            .where(CONFIG_SUMMARY.c.metric == 0)
        ).all()
        means = {(r.max_batch_size, r.tier): (r.n, round(r.mean, 12)) for r in rows}
        assert means == {(1, 1): (3, 0.11), (2, 1): (3, 0.21)}
        entry = log.entries(c)[-1]
        assert (entry.seq, entry.hash) == (receipt.log_seq, receipt.log_hash)
        assert entry.payload["submission"] == receipt.submission
        log.verify(log.entries(c))
        config = c.execute(sa.select(CONFIG)).first()
        assert (config.device_model, config.device_count) == ("NVIDIA Test 80GB", 1)
        assert (config.meter_class, config.energy_class, config.best_tier) == ("nvml", "gpu", 1)
    assert archive.packs.whole(receipt.submission) == body
    assert rebuild.differences(archive.database) == []


def test_each_file_can_be_found_in_its_pack(archive, me, whole) -> None:
    receipt = me.send(whole)
    with archive.database.reading() as c:
        rows = c.execute(sa.select(BLOB)).all()
    assert len(rows) == 1 + 3 * 6
    for row in rows:
        data = archive.packs.read(receipt.submission, row.offset, row.length)
        assert data == whole.files[bytes(row.sha256).hex()]
        assert gzip.decompress(data)
    kinds = [r.kind for r in rows]
    assert {k: kinds.count(k) for k in kinds} == {
        "lock": 1,
        "record": 6,
        "trace": 6,
        "responses": 6,
    }


def test_the_same_again_changes_nothing(archive, me, whole) -> None:
    body = me.body(whole)
    first = ingest.receive(archive.database, archive.packs, body)
    before = state(archive)
    again = ingest.receive(archive.database, archive.packs, body)
    with_new_nonce = ingest.receive(archive.database, archive.packs, me.body(whole))
    assert again == with_new_nonce == first.model_copy(update={"already_there": True})
    assert ingest.receipt(archive.database, first.submission) == again
    assert state(archive) == before


def test_many_that_send_the_same_at_once_store_it_once(archive, me, whole) -> None:
    bodies = [me.body(whole) for _ in range(4)]
    receipts, failed = [], []

    def send(body: bytes) -> None:
        try:
            receipts.append(ingest.receive(archive.database, archive.packs, body))
        except Exception as e:  # noqa: BLE001
            failed.append(e)

    threads = [threading.Thread(target=send, args=(b,)) for b in bodies]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert failed == [] and sorted(r.already_there for r in receipts) == [False, True, True, True]
    assert count(archive, SUBMISSION) == 1 and count(archive, RUN) == 6
    assert len(list(archive.packs.folder.rglob("*.tar"))) == 1
    assert len([p for p in archive.packs.folder.rglob("*") if p.is_file()]) == 1


def test_nothing_counts_until_every_block_is_there(archive, me, whole) -> None:
    first = me.send(part_of(whole, [0, 1, 4, 5]))
    assert first.campaign_state == "open" and "block 1" in first.missing
    assert count(archive, CONFIG_SUMMARY) == 0 and count(archive, RUN) == 4
    rest = me.send(part_of(whole, [2, 3]))
    assert rest.campaign_state == "complete"
    assert ingest.receipt(archive.database, first.submission).campaign_state == "complete"
    with archive.database.reading() as c:
        n = c.scalars(sa.select(CONFIG_SUMMARY.c.n).where(CONFIG_SUMMARY.c.metric == 0)).all()
    assert n == [3, 3]
    assert rebuild.differences(archive.database) == []


def test_a_failure_and_a_run_that_is_flagged_do_not_count(archive, me, tmp_path) -> None:
    bundle = me.bundle(campaign(tmp_path / "c", [[0.1, 0.1, 0.1], [0.2, None, 0.2]]))
    assert me.send(bundle).campaign_state in ("complete", "open")
    assert count(archive, RUN) == 5
    flagged = campaign(tmp_path / "f", [[0.1]], flags=["throttled"])
    assert me.push(flagged).campaign_state == "open"
    with archive.database.reading() as c:
        row = c.execute(sa.select(RUN).where(RUN.c.flags == "throttled")).one()
    assert not row.counted


@pytest.mark.parametrize("member", ["manifest", "signature", "file", "end"])
def test_a_tampered_byte_is_found(archive, me, whole, member: str) -> None:
    body = bytearray(me.body(whole))
    at = {"manifest": 600, "signature": body.index(b"signature\0") + 520}.get(member)
    if at is None:
        at = len(body) // 2 if member == "file" else len(body) - 1
    body[at] ^= 1
    assert refusal(archive, bytes(body)) in ("bad_submission", "bad_signature", "bad_manifest")


def test_who_signs_has_to_be_enrolled_and_not_revoked(archive, me, whole, new_archive) -> None:
    body = me.body(whole)
    with archive.database.writing() as c:
        identities.revoke_by_admin(c, me.key_id)
    assert refusal(archive, body) == "key_revoked"
    elsewhere = Submitter(new_archive())
    assert refusal(archive, elsewhere.body(whole, archive=me.archive_id)) == "key_unknown"


def test_another_archives_manifest_is_none_for_this_one(archive, me, whole) -> None:
    assert refusal(archive, me.body(whole, archive="f" * 64)) == "wrong_archive"
    content = whole.content.model_copy(update={"board_salt": "f" * 32})
    assert refusal(archive, me.signed(content, whole.files)) == "wrong_archive"


def test_anothers_key_does_not_sign(archive, me, whole) -> None:
    other = Submitter(archive, "other")
    other.key, mine = me.key, other.key
    assert refusal(archive, other.body(whole)) == "bad_signature"
    other.key = mine


def test_a_nonce_is_needed_and_used_up(archive, me, whole) -> None:
    other = Submitter(archive, "other")
    assert refusal(archive, me.body(whole, nonce="x" * 43)) == "nonce_unknown"
    assert refusal(archive, me.body(whole, nonce=other.nonce())) == "nonce_unknown"
    nonce = me.nonce()
    ingest.receive(archive.database, archive.packs, me.body(part_of(whole, [0]), nonce=nonce))
    body = me.body(part_of(whole, [1]), nonce=nonce)
    assert refusal(archive, body) == "nonce_unknown"


def test_a_refused_submission_leaves_its_nonce(archive, me, whole) -> None:
    nonce = me.nonce()
    wrong = edited(whole, 0, "record", lambda r: r.update(block=7))
    assert refusal(archive, me.body(wrong, nonce=nonce)) == "wrong_place"
    assert count(archive, NONCE) == 1
    ingest.receive(archive.database, archive.packs, me.body(whole, nonce=nonce))
    assert count(archive, NONCE) == 0


def test_what_another_submitted_is_not_submitted_again(archive, me, whole, tmp_path) -> None:
    me.send(whole)
    thief = Submitter(archive, "thief")
    assert refusal(archive, thief.body(whole)) == "already_submitted"
    taken = part_of(whole, [0])
    content = taken.content.model_copy(update={"campaign": "e" * 64})
    lock = json.loads(text_of(whole, 0, "lock"))
    lock["owner"] = "e" * 64
    other = with_file(type(taken)(content, taken.files), 0, "lock", json.dumps(lock).encode())
    assert refusal(archive, thief.body(other)) == "already_submitted"
    mine = me.bundle(campaign(tmp_path / "another", TWO_ARMS))
    replayed = with_file(mine, 0, "trace", text_of(whole, 0, "trace"))
    assert refusal(archive, me.body(replayed)) == "already_submitted"
    twice = with_file(mine, 0, "trace", text_of(mine, 1, "trace"))
    assert refusal(archive, me.body(twice)) == "already_submitted"


def test_an_attempt_is_submitted_once(archive, me, whole) -> None:
    me.send(part_of(whole, [0, 1]))
    assert refusal(archive, me.body(part_of(whole, [1, 2]))) == "attempt_known"
    other = edited(whole, 1, "record", lambda r: r.update(load_s=3.5))
    assert refusal(archive, me.body(part_of(other, [1]))) == "attempt_differs"


def test_a_lock_may_get_more_arms_and_nothing_else(archive, me, tmp_path) -> None:
    one = me.bundle(campaign(tmp_path / "one", TWO_ARMS[:1], owner="me", board="GPU-x"))
    two = me.bundle(campaign(tmp_path / "two", TWO_ARMS, owner="me", board="GPU-x"))
    first, both = (
        Lock.parse(text_of(b, 0, "lock")).model_copy(update={"adaptive": CHOOSES})
        for b in (one, two)
    )
    extended = both.model_dump_json().encode()
    me.send(with_file(part_of(one, [0]), 0, "lock", first.model_dump_json().encode()))
    for change in (
        {"seed": 2},
        {"blocks": 2},
        {"measure": both.measure.model_copy(update={"windows": 9})},
    ):
        other = both.model_copy(update=change).model_dump_json().encode()
        assert refusal(archive, me.body(with_file(part_of(one, [1]), 0, "lock", other))) == (
            "lock_differs"
        )
    swapped = both.model_copy(update={"arms": both.arms[::-1]}).model_dump_json().encode()
    body = me.body(with_file(part_of(one, [1]), 0, "lock", swapped))
    assert refusal(archive, body) == "lock_differs"
    me.send(with_file(part_of(one, [1]), 0, "lock", extended))
    with archive.database.reading() as c:
        lock = gzip.decompress(c.scalar(sa.select(CAMPAIGN.c.lock)))
    assert lock == extended
    # One that was made before the arm was added, and sent after it.
    me.send(with_file(part_of(one, [2]), 0, "lock", first.model_dump_json().encode()))
    with archive.database.reading() as c:
        assert gzip.decompress(c.scalar(sa.select(CAMPAIGN.c.lock))) == extended


def test_a_complete_campaign_cannot_be_opened_again_by_one_more_arm(archive, me, tmp_path) -> None:
    """Its figures would be gone from the board, and the public log would say nothing of it."""
    one = me.bundle(campaign(tmp_path / "one", TWO_ARMS[:1], owner="me", board="GPU-x", blocks=2))
    two = me.bundle(campaign(tmp_path / "two", TWO_ARMS, owner="me", board="GPU-x", blocks=2))
    made = me.send(part_of(one, [0, 1]))
    assert made.campaign_state == "complete"
    more = with_file(part_of(one, [2]), 0, "lock", text_of(two, 0, "lock"))
    assert refusal(archive, me.body(more)) == "lock_differs"


def test_a_bad_run_cannot_be_replaced_by_another_attempt(archive, me, tmp_path) -> None:
    """Complete, its rank seen: the worst run once more. The newest attempt would count."""
    bundle = me.bundle(campaign(tmp_path / "one", [[0.10, 0.11, 0.19]]))
    assert me.send(bundle).campaign_state == "complete"
    better = edited(bundle, 2, "record", lambda r: r.update(attempt=1))
    run = better.content.runs[2].model_copy(update={"attempt": 1, "trace": None, "responses": None})
    content = better.content.model_copy(update={"runs": [run]})
    files = {sha: better.files[sha] for sha in (content.lock, run.record)}
    again = ingest.receive(archive.database, archive.packs, me.signed(content, files))
    assert again.campaign_state == "open"
    assert "was run again after it had ended" in again.missing
    assert count(archive, FACET) == 0


@pytest.mark.parametrize(
    "figure", [{"value": -5.0}, {"value": 1e308}, {"value": 1.0, "uncertainty": -1.0}]
)
def test_a_figure_that_nothing_measures_leads_no_board(archive, me, whole, figure) -> None:
    def lie(record) -> None:
        record["metrics"]["energy_per_output_token_j"] = {"gpu": figure}

    assert refusal(archive, me.body(edited(whole, 1, "record", lie))) == "bad_record"


def test_a_lost_connection_does_not_delete_what_another_sender_committed(
    archive, me, whole, monkeypatch
) -> None:
    """With the connection the turn to write is lost; the same content is sent again at once."""
    body, again = me.body(whole), me.body(whole)
    store = ingest._Submission.store
    made = []

    other_writer = archive.database
    if other_writer.is_sqlite:  # another process's: in one process, writers take turns
        other_writer = open_database(archive.url, archive.packs.folder)

    def lost(self) -> None:
        monkeypatch.setattr(ingest._Submission, "store", store)
        if archive.database.is_sqlite:
            self.c.connection.driver_connection.close()
        else:
            own = self.c.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with archive.database.engine.connect() as other:
                other.exec_driver_sql(f"SELECT pg_terminate_backend({own}, 5000)")
        made.append(ingest.receive(other_writer, archive.packs, again))
        store(self)

    monkeypatch.setattr(ingest._Submission, "store", lost)
    with pytest.raises(sa.exc.SQLAlchemyError):
        ingest.receive(archive.database, archive.packs, body)
    assert list(archive.packs.every()) == [made[0].submission]
    assert archive.packs.whole(made[0].submission) == again
    assert rebuild.rebuild(archive.database, archive.packs) == 1


WRONG_RECORDS = {
    "another block": (lambda r: r.update(block=1), "wrong_place"),
    "a pass that nobody makes": (lambda r: r.update(block_pass=2**63), "wrong_place"),
    "another campaign": (lambda r: r.update(campaign="x"), "wrong_place"),
    "another experiment": (
        lambda r: r["experiment"]["engine"].update(dtype="x"),
        "experiment_differs",
    ),
    "another model's name": (
        lambda r: r["experiment"]["model"].update(id="GPT"),
        "experiment_differs",
    ),
    "another id": (lambda r: r.update(experiment_id="f" * 64), "experiment_differs"),
    "a tier": (lambda r: r.update(tier=3), "bad_record"),
    "a newer schema": (lambda r: r.update(schema_version=2), "newer_schema"),
    "newer metrics": (lambda r: r.update(metric_semantics_version=99), "newer_semantics"),
    "no metrics version": (lambda r: r.update(metric_semantics_version=0), "wrong_place"),
    "a huge number": (lambda r: r.update(load_s=1e308), "bad_record"),
    "infinity": (lambda r: r.update(load_s=float("inf")), "bad_record"),
    "NaN": (lambda r: r.update(load_s=float("nan")), "bad_record"),
    "a wrong type": (lambda r: r.update(load_s="2"), "bad_record"),
    "no windows": (lambda r: r.update(windows=[]), "bad_record"),
    "many windows": (lambda r: r.update(windows=r["windows"] * 1001), "bad_record"),
    "more windows": (lambda r: r.update(windows=r["windows"] * 20_000), "too_large"),
    "a board's UUID": (
        lambda r: r["environment"]["gpus"][0].update(uuid="GPU-1234"),
        "not_private",
    ),
    "a device's UUID": (lambda r: r["environment"].update(device_set=["GPU-1"]), "not_private"),
    "a zero byte": (
        lambda r: r["environment"]["gpus"][0].update(name="a\x00b"),
        "bad_record",
    ),
    "half a character": (
        lambda r: r["environment"]["gpus"][0].update(name="a\ud800"),
        "bad_record",
    ),
    "a flag with a comma": (lambda r: r.update(flags=["a,b"]), "bad_record"),
    "a year before measuring": (
        lambda r: r.update(started_at="0001-01-01T00:00:00+14:00"),
        "bad_record",
    ),
    "a number of 400 digits": (lambda r: r.update(load_s=10**400), "bad_record"),
}


@pytest.mark.parametrize("what", WRONG_RECORDS)
def test_records_that_cannot_be(archive, me, whole, what: str) -> None:
    change, reason = WRONG_RECORDS[what]
    assert refusal(archive, me.body(edited(whole, 0, "record", change))) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "bad_record"),
        (b"[]", "bad_record"),
        (b"\xff\xfe", "bad_record"),
        (b'{"a":' * 200_000, "bad_record"),
        (b"[" * 1_000_000 + b"]" * 1_000_000, "bad_record"),
        (b'{"schema_version": 1e400}', "bad_record"),
        (b" " * 5_000_000, "too_large"),
        (bytes(300_000_000), "too_large"),
    ],
    ids=lambda v: v if isinstance(v, str) else f"{len(v)} bytes",
)
def test_texts_that_are_no_records(archive, me, whole, text: bytes, reason: str) -> None:
    body = me.body(with_file(whole, 0, "record", text))
    assert refusal(archive, body) == reason


def test_a_submission_has_a_size(archive) -> None:
    assert refusal(archive, bytes(ingest.MAX_SUBMISSION_BYTES + 1)) == "too_large"
    for body in (b"", b"x", bytes(1024), b"\x00" * 100_000, b"manifest.json".ljust(512, b"\0")):
        assert refusal(archive, body) == "bad_submission"


WRONG_LOCKS = {
    "another owner": (lambda r: r.update(owner="x"), "lock_differs"),
    "no arms": (lambda r: r.update(arms=[]), "bad_lock"),
    "a billion blocks": (lambda r: r.update(blocks=10**9), "bad_lock"),
    "a billion blocks at most": (lambda r: r.update(max_blocks=10**9, precision=0.01), "bad_lock"),
    "an arm twice": (lambda r: r["arms"].append(r["arms"][0]), "bad_lock"),
    "no baseline": (lambda r: r.update(baseline="x"), "bad_lock"),
    "another experiment": (
        lambda r: r["arms"][0]["experiment"].update(backend="x"),
        "experiment_differs",
    ),
    "a newer schema": (lambda r: r.update(schema_version=9), "newer_schema"),
    "a board": (lambda r: r.update(device_set=["GPU-1"]), "not_private"),
    "without the arm": (
        lambda r: r.update(arms=r["arms"][:1], baseline=r["arms"][0]["arm_id"]),
        "arm_unknown",
    ),
}


@pytest.mark.parametrize("value", ["/home/alice/models", "http://gpubox7:8000", "10.1.2.3"])
def test_what_tells_whose_machine_it_is_is_not_published(archive, me, whole, value: str) -> None:
    """lem sends no such experiment; another program might."""

    def change(raw: dict[str, Any]) -> None:
        arm = raw["arms"][0]
        arm["experiment"]["args"] = {"where": value}
        arm["experiment_id"] = experiment_id(Experiment.model_validate(arm["experiment"]))

    assert refusal(archive, me.body(edited(whole, 0, "lock", change))) == "not_private"


@pytest.mark.parametrize("what", WRONG_LOCKS)
def test_locks_that_cannot_be(archive, me, whole, what: str) -> None:
    change, reason = WRONG_LOCKS[what]
    assert refusal(archive, me.body(edited(whole, 0, "lock", change))) == reason


def test_a_failure_is_of_its_place(archive, me, tmp_path) -> None:
    bundle = me.bundle(campaign(tmp_path / "c", [[0.1], [None]]))
    number = next(i for i, r in enumerate(bundle.content.runs) if r.failure)
    for change, reason in (
        (lambda r: r.update(attempt=1), "wrong_place"),
        (lambda r: r.update(kind="x"), "bad_failure"),
        (lambda r: r.update(device_set=["GPU-1"]), "not_private"),
        (lambda r: r.update(ended_at="9999-12-31T23:59:59-14:00"), "bad_failure"),
    ):
        assert refusal(archive, me.body(edited(bundle, number, "failure", change))) == reason


def test_a_transaction_that_fails_takes_its_pack_along(archive, me, whole, monkeypatch) -> None:
    def broken(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(ingest.summaries, "refresh", broken)
    body, before = me.body(whole), state(archive)
    with pytest.raises(RuntimeError):
        ingest.receive(archive.database, archive.packs, body)
    assert state(archive) == before
    monkeypatch.undo()
    assert not ingest.receive(archive.database, archive.packs, body).already_there


def test_packs_that_no_row_names_are_swept(archive, me, whole) -> None:
    receipt = me.send(whole)
    archive.packs.put("ab" * 32, b"x")
    old = (datetime.now(UTC) - timedelta(hours=2)).timestamp()
    for sha in ("ab" * 32, receipt.submission):
        os.utime(archive.packs.path(sha), (old, old))
    assert ingest.sweep(archive.database, archive.packs) == 1
    assert list(archive.packs.every()) == [receipt.submission]
    assert ingest.sweep(archive.database, archive.packs) == 0


def test_another_archives_submission_can_be_imported(new_archive, tmp_path) -> None:
    there, here = new_archive(), new_archive()
    theirs = Submitter(there)
    bundle = theirs.bundle(campaign(tmp_path / "c", TWO_ARMS))
    body = theirs.body(bundle)
    assert refusal(here, body) == "wrong_archive"
    with here.database.writing() as c:
        public = theirs.key.public_key().public_bytes_raw()
        identities.add_key(c, identities.new_identity(c, "theirs", "imported"), public)
    made = ingest.receive(here.database, here.packs, body, imported=True)
    assert made.campaign_state == "complete" and here.packs.whole(made.submission) == body


def test_receipts_are_of_what_is_there(archive) -> None:
    with pytest.raises(Refused) as caught:
        ingest.receipt(archive.database, "0" * 64)
    assert caught.value.reason == "submission_unknown"


def test_runs_without_a_gpu_and_without_energy_have_their_own_class(archive, me, tmp_path) -> None:
    me.push(campaign(tmp_path / "e", [[0.1]], energy_class="estimated"))
    me.push(campaign(tmp_path / "c", [[0.1]], energy_class="cpu"))
    me.push(campaign(tmp_path / "d", [[0.1]], energy_class="dram"))
    with archive.database.reading() as c:
        rows = c.execute(sa.select(CONFIG).order_by(CONFIG.c.energy_class)).all()
        energies = dict(
            c.execute(
                sa.select(CONFIG.c.energy_class, RUN.c.energy_per_output_token_j).join(
                    RUN, RUN.c.config_id == CONFIG.c.id
                )
            ).all()
        )
    assert [(r.energy_class, r.meter_class) for r in rows] == [
        ("cpu", "rapl"),
        ("estimated", "estimate"),
        ("none", "none"),
    ]
    assert {r.device_model for r in rows} == {"Test CPU (2 CPUs)"}
    assert energies == {"cpu": 0.1, "estimated": 0.1, "none": None}


def test_a_record_of_all_metrics_fills_its_columns(archive, me, whole) -> None:
    me.send(whole)
    record = Record.parse(text_of(whole, 0, "record"))
    with archive.database.reading() as c:
        row = c.execute(sa.select(RUN).where(RUN.c.number == 0)).one()
    energy = record.metrics["energy_per_output_token_j"]["gpu"]
    assert row.energy_per_output_token_j == energy.value
    assert row.energy_per_output_token_j_u == energy.uncertainty
    assert row.ttft_p99_s == record.metrics["ttft_s"].p99
    assert row.itl_p50_s == record.metrics["itl_s"].p50
    assert row.e2e_latency_p50_s is None and row.nll_per_token == 2.5
    assert row.started_at == datetime.fromisoformat(record.started_at).timestamp()
