"""What runs take, for limits and quotas, and rather too much than too little: of a run that has
ended, from its record; of one that goes on, has failed or was broken off, its time at the highest
power that is known."""

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from lem.contract.failure import Failure
from lem.contract.record import Gpu, Record, Window

J_PER_KWH = 3.6e6
WHOLE = "node"
"""The class of devices that contain the others."""
SHOWN_ONLY = "sensor"
PAY_S = 5.0
"""How often a run that goes on is paid for."""
BOARD_W, CORE_W = 700.0, 10.0
"""Of a board whose limit is not known, and of a core, where nothing reads their power."""
MAX_DEVICES = 64
MOST_W = 1e6


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


def assumed_w(boards: Sequence[Gpu], cores: int) -> float:
    """What a machine may draw, where nothing reads it: its boards' limits, or so much a core."""
    limits = [b.power_limit_w or BOARD_W for b in boards]
    return sum(limits) if limits else cores * CORE_W


class Spending:
    """What the runs of a campaign take while they go on.

    Its figures are as good as what an agent tells of power: where nothing tells any, a run counts
    as nothing until it has ended, and then as ``assumed_w`` all the time.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, assumed_w: float = 0.0) -> None:
        self._clock = clock
        self.assumed_w = assumed_w
        self._lock = threading.Lock()
        self._watts = 0.0
        """The highest mean power of a run so far."""
        self._began: float | None = None
        self._looked = 0.0
        self._paid_j = 0.0
        self._now_w: dict[str, tuple[str, float]] = {}
        """Device → its class and power."""
        self._sampled_j = self._sampled_s = 0.0
        self._sampled_at: float | None = None

    def begin(self) -> None:
        with self._lock:
            self._began = self._looked = self._clock()
            self._paid_j = self._sampled_j = self._sampled_s = 0.0
            self._sampled_at = None
            self._now_w = {}

    def sample(self, data: Mapping[str, Any]) -> None:
        """What an agent says of one device's power now."""
        watts, device = data.get("power_w"), str(data.get("device", ""))[:80]
        if isinstance(watts, bool) or not isinstance(watts, int | float):
            return
        with self._lock:
            if device not in self._now_w and len(self._now_w) >= MAX_DEVICES:
                return
            now = self._clock()
            if self._sampled_at is not None:
                took = now - self._sampled_at
                self._sampled_j += took * _power(self._now_w)
                self._sampled_s += took
            self._sampled_at = now
            power = min(float(watts), MOST_W) if math.isfinite(watts) and watts > 0 else 0.0
            self._now_w[device] = (str(data.get("class", "")), power)

    def due(self) -> float:
        """What is to be paid now of the run that goes on, in J; 0 where that was asked lately."""
        with self._lock:
            if self._began is None or self._clock() - self._looked < PAY_S:
                return 0.0
            self._looked = self._clock()
            return self._more(self._so_far(self._clock() - self._began))

    def end(self, result: Record | Failure | None) -> float:
        """What is still to be paid of a run that has ended, in J; ``None``: it was broken off.

        What was paid of it while it went on and turns out to be too much is not given back.
        """
        with self._lock:
            if self._began is None:
                return 0.0
            took = self._clock() - self._began if result is None else seconds(result)
            self._began = None
            spent = joules(result) if isinstance(result, Record) else 0.0
            if spent <= 0:
                spent = self._so_far(took)
            if spent <= 0:
                return self._more(took * self.assumed_w)
            if took > 0:
                self._watts = max(self._watts, spent / took)
            return self._more(spent)

    def _so_far(self, took: float) -> float:
        mean = self._sampled_j / self._sampled_s if self._sampled_s > 0 else 0.0
        return max(took * max(mean, self._watts), self._sampled_j)

    def _more(self, spent: float) -> float:
        more = max(0.0, spent - self._paid_j)
        self._paid_j += more
        return more


def _power(devices: Mapping[str, tuple[str, float]]) -> float:
    """Of a node, or of all that was told: parts of a module count twice, rather than not at all."""
    whole = sum(w for c, w in devices.values() if c == WHOLE)
    return max(whole, sum(w for c, w in devices.values() if c not in (WHOLE, SHOWN_ONLY)))
