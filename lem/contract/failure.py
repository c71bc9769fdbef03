"""``failure.json``: why a run has no record. As typed as a result."""

from typing import Literal

from lem.contract.base import Document
from lem.errors import FailureKind


class Failure(Document):
    schema_version: Literal[1] = 1
    run_id: str
    arm_id: str
    block: int
    block_pass: int
    attempt: int
    kind: FailureKind
    phase: str
    message: str
    last_lines: list[str] = []
    """The engine's last words."""
    hint: str | None = None
    written_by: Literal["agent", "host"]
    started_at: str
    ended_at: str
    boot_id: str
    device_set: list[str]
