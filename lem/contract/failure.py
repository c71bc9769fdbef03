"""``failure.json``: why a run has no record. As typed as a result."""

from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Timestamp
from lem.errors import FailureKind


class Failure(Document):
    schema_version: Literal[1] = 1
    run_id: str
    arm_id: str
    block: Annotated[int, Field(ge=0)]
    block_pass: Annotated[int, Field(ge=0)]
    attempt: Annotated[int, Field(ge=0)]
    kind: FailureKind
    phase: str
    message: str
    last_lines: list[str] = []
    """The engine's last words."""
    hint: str | None = None
    written_by: Literal["agent", "host"]
    started_at: Timestamp
    ended_at: Timestamp
    boot_id: str
    device_set: list[str]
