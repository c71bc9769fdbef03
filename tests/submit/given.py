"""Campaign folders with traces and responses, and an archive's answers, for tests of submitting."""

import gzip
import json
from pathlib import Path
from typing import Any

from lem.contract.submission import ArchiveInfo
from tests import records

SALT = "0123456789abcdef" * 2
TRACE = (
    "t_ns,meter,device,quantity,value\n"
    "1000,nvml,gpu0,energy_mj,12345678901234567\n"
    "1001,nvml,gpu0,power_mw,4.5000000000000001e2\n"
    "1002,agent,run,phase,5\n"
)
RESPONSES = (
    "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns\n"
    "alice@example.org-1,done,10,20,40,7,3,5 15,41\n"
    '"a, b",failed,11,,,7,0,,\n'
    "alice@example.org-1,done,50,60,60,7,1,,61\n"
)


def info(**changes: Any) -> ArchiveInfo:
    return ArchiveInfo.model_validate(
        {
            "metric_semantics_version": 4,
            "archive": "a" * 64,
            "board_salt": SALT,
            "enrolment": "open",
            "lem_version": "0.1.0",
            "max_submission_bytes": 2**26,
            "runs": 0,
            "configurations": 0,
            "data_version": 1,
            **changes,
        }
    )


def campaign(folder: Path, blocks: int = 2, **common: Any) -> Path:
    """Two arms of so many blocks; every run has a trace and responses of its own."""
    records.campaign(folder, {1: [0.01] * blocks, 2: [0.02] * blocks}, **common)
    for i, record in enumerate(sorted(folder.glob("blocks/*/*/*/record.json"))):
        trace = f"{TRACE}{2000 + i},nvml,gpu0,power_mw,{i}\n"
        (record.parent / "trace.csv.gz").write_bytes(gzip.compress(trace.encode()))
        (record.parent / "responses.csv.gz").write_bytes(gzip.compress(RESPONSES.encode()))
    return folder


def change(path: Path, **at: Any) -> None:
    """Set values of a document on disk; ``a__b__0`` is the place a.b[0]."""
    raw = json.loads(path.read_text())
    for place, value in at.items():
        inner = raw
        *keys, last = [int(k) if k.isdigit() else k for k in place.split("__")]
        for key in keys:
            inner = inner[key]
        inner[last] = value
    path.write_text(json.dumps(raw))
