"""A campaign folder as it may come from anywhere."""

import json
import os

import pytest

from lem.stores.folder import MAX_RECORD_BYTES, attempts, entries, outcomes
from tests import records

ARM = records.arm_name(0)


def test_records_failures_and_unfinished_attempts(tmp_path):
    records.place(tmp_path, records.record(block=0, attempt=2, flags=["throttled"]))
    records.place(tmp_path, records.failure(block=0, attempt=10, block_pass=1, kind="timeout"))
    unfinished = tmp_path / "blocks" / "0001" / ARM / "0"
    unfinished.mkdir(parents=True)
    (unfinished / "job.json").write_text('{"block_pass": 3}')
    (tmp_path / "blocks" / "0001" / ARM / "1").mkdir()
    found = outcomes(tmp_path)
    assert [(o.block, o.attempt, o.kind, o.block_pass) for o in found] == [
        (0, 2, "record", 0),
        (0, 10, "failure", 1),
        (1, 0, "open", 3),
        (1, 1, "open", 0),
    ]
    assert found[0].consequence == "exclude"
    assert found[0].boot_id == "boot-1" and found[0].device_set == ("cpu",)
    assert found[1].failure_kind == "timeout"
    assert found[0].path == f"blocks/0000/{ARM}/2"


def test_a_folder_without_blocks_is_empty(tmp_path):
    assert outcomes(tmp_path) == []


def test_names_that_are_none_of_ours_are_passed_over(tmp_path):
    records.place(tmp_path, records.record())
    for odd in ("blocks/x", "blocks/0000/.hidden/0", f"blocks/0000/{ARM}/x", "blocks/0000/a b/0"):
        (tmp_path / odd).mkdir(parents=True)
    (tmp_path / "blocks" / "0002").write_text("a file")
    assert len(list(attempts(tmp_path))) == 1


@pytest.mark.parametrize("level", ["block", "arm", "attempt", "record"])
def test_links_are_not_followed(tmp_path, level):
    real = tmp_path / "elsewhere"
    at = records.place(real, records.record())
    campaign = tmp_path / "campaign"
    link = {
        "block": campaign / "blocks" / "0000",
        "arm": campaign / "blocks" / "0000" / ARM,
        "attempt": campaign / "blocks" / "0000" / ARM / "0",
        "record": campaign / "blocks" / "0000" / ARM / "0" / "record.json",
    }[level]
    link.parent.mkdir(parents=True)
    target = {"block": at.parents[1], "arm": at.parent, "attempt": at, "record": at / "record.json"}
    link.symlink_to(target[level])
    assert [o for o in outcomes(campaign) if o.kind != "open"] == []


def test_a_pipe_in_place_of_a_record_does_not_hang(tmp_path):
    at = tmp_path / "blocks" / "0000" / ARM / "0"
    at.mkdir(parents=True)
    os.mkfifo(at / "record.json")
    assert [o.kind for o in outcomes(tmp_path)] == ["open"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda r: b"{", "not JSON"),
        (lambda r: b"[" * 100_000, "not JSON"),
        (lambda r: b"[]", "not a JSON object"),
        (lambda r: json.dumps({**r, "block": 1}).encode(), "another attempt"),
        (lambda r: json.dumps({**r, "arm_id": "b" * 64}).encode(), "another attempt"),
        (lambda r: json.dumps({**r, "started_at": "yesterday"}).encode(), "ISO 8601"),
        (lambda r: json.dumps({**r, "started_at": "2026-05-04T12:00"}).encode(), "ISO 8601"),
        (lambda r: json.dumps({**r, "schema_version": 99}).encode(), "newer"),
        (lambda r: json.dumps({**r, "extra": 1}).encode(), "extra"),
        (lambda r: json.dumps(r).replace("0.02", "NaN").encode(), ""),
        (lambda r: b" " * (MAX_RECORD_BYTES + 1), "larger than"),
        (lambda r: b"\xff\xfe", "not JSON"),
    ],
)
def test_a_document_that_cannot_be_used_is_as_none_with_the_reason(tmp_path, damage, reason):
    at = records.place(tmp_path, records.record())
    file = at / "record.json"
    file.write_bytes(damage(json.loads(file.read_text())))
    (entry,) = entries(tmp_path)
    assert entry.outcome.kind == "open" and entry.record is None
    assert entry.problem and reason in entry.problem


def test_a_failure_beside_a_record_takes_it_out(tmp_path):
    records.place(tmp_path, records.record())
    records.place(tmp_path, records.failure(kind="agent_lost"))
    (entry,) = entries(tmp_path)
    assert entry.outcome.failure_kind == "agent_lost" and entry.record is None
