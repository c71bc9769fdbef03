"""What the page of one campaign shows before its script takes over, and what that is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lem.analysis.text import plain

TEMPLATE = "live.html"
OVER = ("done", "failed", "cancelled")
MAX_LINE = 2000


@dataclass(frozen=True)
class LivePage:
    """One campaign. ``alone``: nothing is around it but its own events: no queue, and no site; its
    addresses are then relative."""

    id: str
    name: str
    state: str
    """As in :data:`lem.contract.queue.QueueState`."""
    events: str
    recording: str | None
    """None: there is none, neither of what went before nor for replays."""
    alone: bool = False
    position: int | None = None
    reason: str = ""
    yaml: str = ""
    facts: Sequence[tuple[str, str]] = ()
    """Names of texts below ``live``, and what is to be said."""
    declined: Sequence[tuple[str, str]] = ()
    archived: str | None = None
    """In the archive: what was measured of it."""
    compared: Sequence[tuple[str, str]] = ()
    """The question of the comparison that is offered, if one is."""
    queue: str | None = None
    """Where its state and its place in the queue are told."""
    cancel: str | None = None
    mine: bool = False
    """Whether whoever is signed in may cancel it."""
    others: Sequence[Mapping[str, str]] = field(default=())
    """``id`` and ``name`` of finished campaigns, to stand beside it."""
    other_recording: str | None = None
    """The address of their recordings, with ``ID`` for the id."""

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def lines(self) -> str:
        """Its YAML as text that only shows."""
        return "\n".join(plain(line, MAX_LINE) for line in self.yaml.splitlines())

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script is told (``About`` in web/src/live/about.ts)."""
        return {
            "id": self.id,
            "alone": self.alone,
            "events": None if self.is_over else self.events,
            "recording": self.recording,
            "queue": self.queue,
            "cancel": None if self.is_over else self.cancel,
            "mine": self.mine,
            "state": self.state,
            "position": self.position,
            "others": list(self.others),
            "other_recording": self.other_recording,
        }
