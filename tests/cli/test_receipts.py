"""What an archive says of submissions, in words."""

from typing import Any

from lem.cli.receipts import lines
from lem.contract.submission import Receipt


def receipt(*findings: tuple[str, int | None], **changes: Any) -> Receipt:
    return Receipt.model_validate(
        {
            "schema_version": 1,
            "submission": "a" * 64,
            "campaign": "b" * 64,
            "runs": 2,
            "received_at": "2026-05-04T12:00:00+00:00",
            "already_there": True,
            "campaign_state": "open",
            "missing": "block 3",
            "checks": "passed",
            "log_seq": 1,
            "log_hash": "c" * 64,
            "findings": [
                {"rule": rule, "consequence": "note", "detail": "why", "block": block}
                for rule, block in findings
            ],
            **changes,
        }
    )


def test_a_campaign_stands_as_its_newest_receipt_says() -> None:
    newest = receipt(campaign_state="complete", missing="", log_seq=7, checks="pending")
    assert list(lines([("c", receipt()), ("c", newest)])) == [
        "c: 4 runs are there; campaign bbbbbbbbbbbb is complete",
        "  checks: 1 passed, 1 pending; log entry 1, 7",
    ]
    assert list(lines([("c", receipt())]))[1:] == [
        "  not on the board yet: block 3",
        "  checks: passed; log entry 1",
    ]


def test_what_was_found_in_all_submissions_is_said_once() -> None:
    first = receipt(("estimated", 0), ("estimated", 0), ("odd", 1))
    second = receipt(("estimated", 2), ("whole", None))
    assert list(lines([("c", first), ("c", second)]))[3:] == [
        "  note: estimated: why (3 runs)",
        "  note: odd: why (block 2)",
        "  note: whole: why",
    ]


def test_of_a_campaign_that_was_taken_back_nothing_is_there() -> None:
    gone = receipt(campaign_state="retracted", checks="retracted")
    assert list(lines([("c", gone), ("c", gone)])) == [
        "c: campaign bbbbbbbbbbbb was taken back; nothing of it is there"
    ]
