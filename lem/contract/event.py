"""``events.ndjson``: what the agent says while it works, one JSON object a line."""

from typing import Any, Literal

from lem.contract.base import Document

EventKind = Literal["phase", "window", "progress", "sample", "text", "flag", "log"]
Phase = Literal[
    "load",
    "warm_up",
    "idle",
    "window",
    "quality",
    "done",
    "cool_down",
    "settle",
    "prefill",
    "accuracy",
    "search",
]

PHASE_CODES: dict[Phase, int] = {
    "load": 0,
    "cool_down": 1,
    "warm_up": 2,
    "settle": 3,
    "idle": 4,
    "window": 5,
    "prefill": 6,
    "quality": 7,
    "done": 8,
    "accuracy": 9,
    "search": 10,
}
"""How a phase stands in the trace: meter ``agent``, device ``run``, quantity ``phase``."""


class Event(Document):
    """``t_ns`` is the agent's monotonic clock. ``data`` depends on ``kind``:

    - phase: ``{"phase": Phase}``
    - window: ``{"number", "begins", "output_tokens"}``: an edge of a measured window, counted from
      0; ``t_ns`` is the edge's own time, before that at which it is known. At its end, with the
      output tokens in it. Events from before it have none.
    - progress: ``{"output_tokens", "requests", "tokens_per_s"}``
    - sample: ``{"device", "class", "power_w"}``; without ``class`` in events from before it
    - text: ``{"request", "text", "end"}``: model output, to be shown as text only. Without ``end``,
      or where it is true, it ends the answer; else the request's next text goes on where this one
      stops. Pieces may be missing.
    - flag: ``{"flag", "message"}``
    - log: ``{"message"}``
    """

    schema_version: Literal[1] = 1
    t_ns: int
    kind: EventKind
    data: dict[str, Any] = {}
