"""What a run took, for limits and quotas: from its record alone, and rather too much than too
little."""

from datetime import datetime

from lem.contract.failure import Failure
from lem.contract.record import Record, Window

J_PER_KWH = 3.6e6
WHOLE = "node"
"""The class of devices that contain the others."""
SHOWN_ONLY = "sensor"


def seconds(result: Record | Failure) -> float:
    """From its beginning to its end."""
    began, ended = (datetime.fromisoformat(t) for t in (result.started_at, result.ended_at))
    return max(0.0, (ended - began).total_seconds())


def joules(record: Record) -> float:
    """The run's energy, as if all of it had gone on like its windows."""
    took = sum((w.end_ns - w.start_ns) / 1e9 for w in record.windows)
    spent = sum(
        _of_window(w, {m.device for m in record.meters if m.part_of}) for w in record.windows
    )
    return spent / took * seconds(record) if took > 0 else 0.0


def _of_window(window: Window, parts: set[str]) -> float:
    classes: dict[str, float] = {}
    for reading in window.energy:
        if reading.energy_j is not None and reading.device not in parts:
            known = classes.get(reading.device_class, 0.0)
            classes[reading.device_class] = known + reading.energy_j
    parts_j = sum(v for c, v in classes.items() if c not in (WHOLE, SHOWN_ONLY))
    return max(classes.get(WHOLE, 0.0), parts_j)
