"""Logs whose hashes are worked out here, and receipts of their entries."""

import hashlib
from collections.abc import Sequence

from lem.archive.log import LogEntry
from lem.contract.base import canonical_json
from lem.contract.submission import Receipt

AT = "2026-05-04T12:00:00.000+00:00"
SUBMISSIONS = [f"{n:064x}" for n in range(5)]


def chain(*submissions: str, after: Sequence[LogEntry] = ()) -> list[LogEntry]:
    """A log that accepts these."""
    made = list(after)
    for submission in submissions:
        raw = {
            "seq": len(made) + 1,
            "at": AT,
            "kind": "accepted",
            "payload": {"submission": submission},
            "previous": made[-1].hash if made else "0" * 64,
        }
        digest = hashlib.sha256(canonical_json(raw)).hexdigest()
        made.append(LogEntry.model_validate({**raw, "hash": digest}))
    return made


def receipt(entry: LogEntry, **changes: object) -> Receipt:
    return Receipt.model_validate(
        {
            "submission": entry.payload["submission"],
            "campaign": "c" * 64,
            "received_at": AT,
            "already_there": False,
            "runs": 1,
            "campaign_state": "open",
            "checks": "pending",
            "log_seq": entry.seq,
            "log_hash": entry.hash,
            **changes,
        }
    )
