"""``events.ndjson``: what the agent says while it works, one JSON object a line."""

from typing import Any, Literal

from lem.contract.base import Document

EventKind = Literal["phase", "progress", "sample", "text", "flag", "log"]
Phase = Literal["load", "warm_up", "idle", "window", "quality", "done"]


class Event(Document):
    """``t_ns`` is the agent's monotonic clock. ``data`` depends on ``kind``:

    - phase: ``{"phase": Phase}``
    - progress: ``{"output_tokens", "requests", "tokens_per_s"}``
    - sample: ``{"device", "power_w"}``
    - text: ``{"request", "text"}``: model output, to be shown as text only
    - flag: ``{"flag", "message"}``
    - log: ``{"message"}``
    """

    schema_version: Literal[1] = 1
    t_ns: int
    kind: EventKind
    data: dict[str, Any] = {}
