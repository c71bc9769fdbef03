"""What the sampler's process does: regular rounds of readings, dense polls at edges, the trace."""

from __future__ import annotations

import importlib
import json
import os
import select
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from lem.errors import LemError
from lem.meters.protocol import Device, Meter, MeterSettings, Sample
from lem.meters.trace import TraceWriter

FLUSH_S = 0.5
"""What a crash may cost of the trace; also how often power is told."""
POLL_S = 0.0005
LEISURE_NS = 250_000_000
LONGEST_TICK_S = 1.25

Say = Callable[..., None]


class Rounds:
    """Opens the meters it is told to; reads them until it is told to stop."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self._interval_ns = int(max(0.001, float(orders["interval_s"])) * 1e9)
        self._trace = TraceWriter(Path(orders["trace"]))
        self._meters: list[Meter] = []
        self._devices: list[Device] = []
        self._unavailable: dict[str, str] = {}
        self._ticks: dict[tuple[str, str], TickWatch] = {}
        self._watts: dict[str, float] = {}
        self._temperatures: dict[str, float] = {}
        self._before: dict[str, Sample] = {}
        settings = settings_from(orders["settings"])
        self._watts_per_core = settings.watts_per_busy_core
        for name, (module, attribute) in orders["meters"].items():
            meter: Meter = getattr(importlib.import_module(module), attribute)()
            try:
                self._devices += meter.open(settings)
            except LemError as e:
                self._unavailable[name] = str(e)
                meter.close()
            else:
                self._meters.append(meter)
        if all(d.device_class in ("estimated", "sensor") for d in self._devices):
            # CPU time alone is read once a second: waking up oftener would only cost.
            self._interval_ns = max(self._interval_ns, LEISURE_NS)

    def introduce(self, say: Say) -> None:
        """Tell which devices there are, after one full reading of them."""
        self._read("full")
        self._note_own_cost(time.monotonic_ns())
        self._trace.flush()
        say(json.dumps({"devices": self._devices, "unavailable": self._unavailable}))

    def run(self, orders: int, say: Say) -> None:
        """Until ``stop``, or until nobody is left to give orders. Sleeps between rounds."""
        buffer = b""
        next_round_ns = time.monotonic_ns() + self._interval_ns
        next_flush_ns = time.monotonic_ns()
        while True:
            left_s = max(0, next_round_ns - time.monotonic_ns()) / 1e9
            if select.select([orders], [], [], left_s)[0]:
                data = os.read(orders, 4096)
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"note "):
                        self._note(line.decode())
                    elif line.startswith(b"mark "):
                        say(json.dumps({line.decode(): self._mark()}))
                        if len(self._ticks) > 1:
                            # The edge lies between two ticks of the other boards: see both.
                            self._next_ticks()
                        next_round_ns = time.monotonic_ns() + self._interval_ns
                if not data or b"stop" in lines:
                    self._read("full")
                    return
            now_ns = time.monotonic_ns()
            if now_ns >= next_round_ns:
                self._read("steady")
                # A late round is not made up for: two readings at once say nothing new.
                next_round_ns = max(next_round_ns + self._interval_ns, now_ns)
            if now_ns >= next_flush_ns:
                self._note_own_cost(now_ns)
                self._trace.flush()
                say(
                    json.dumps({"power": self._watts, "temperature": self._temperatures}),
                    wait=False,
                )
                next_flush_ns = now_ns + int(FLUSH_S * 1e9)

    def close(self) -> None:
        for meter in self._meters:
            meter.close()
        self._trace.close()

    def _read(self, pace: Any) -> None:
        for meter in self._meters:
            samples = meter.read(pace)
            self._trace.add(samples)
            for s in samples:
                self._look(s)

    def _look(self, s: Sample) -> None:
        """Keep what live views and edges need of a sample."""
        if s.quantity in ("power_mw", "power_average_mw", "power_instant_mw"):
            self._watts[s.device] = s.value / 1e3
        elif s.quantity in _WATTS:
            self._watts[s.device] = s.value * _WATTS[s.quantity]
        elif s.quantity == "temperature_c":
            self._temperatures[s.device] = s.value
        elif s.quantity in _PER_SECOND:
            if s.quantity == "energy_mj":
                self._ticks.setdefault((s.meter, s.device), TickWatch()).see(s)
                return
            before = self._before.get(s.device)
            if before is None or s.t_ns - before.t_ns > 400_000_000:
                self._before[s.device] = s
                if before is not None and s.value >= before.value:
                    scale = _PER_SECOND[s.quantity] or self._watts_per_core * 1e-9
                    span_s = (s.t_ns - before.t_ns) / 1e9
                    self._watts[s.device] = (s.value - before.value) * scale / span_s

    def _mark(self) -> int:
        """Poll until every ticking counter has ticked, then read everything. The edge's time."""
        edge_ns = self._next_ticks()
        self._read("full")
        self._note_own_cost(time.monotonic_ns())
        self._trace.flush()
        return edge_ns

    def _next_ticks(self) -> int:
        start_ns = time.monotonic_ns()
        ticking = [m for m in self._meters if self._poll(m)]
        awaited = {key for key in self._ticks if any(m.name == key[0] for m in ticking)}
        for key in awaited:
            self._ticks[key].ticked_ns = 0
        period_s = max((self._ticks[k].period_s() for k in awaited), default=0.0)
        deadline_ns = start_ns + int(2 * min(period_s, LONGEST_TICK_S) * 1e9)
        while time.monotonic_ns() < deadline_ns:
            if all(self._ticks[k].ticked_ns for k in awaited):
                return max(self._ticks[k].ticked_ns for k in awaited)
            time.sleep(POLL_S)
            for meter in ticking:
                self._poll(meter)
        return time.monotonic_ns()

    def _poll(self, meter: Meter) -> bool:
        samples = meter.read("edge")
        self._trace.add(samples)
        for s in samples:
            self._look(s)
        return bool(samples)

    def _note(self, order: str) -> None:
        """A row that the agent wants in the trace: ``note T_NS DEVICE QUANTITY VALUE``."""
        _, t_ns, device, quantity, value = order.split()
        self._trace.add([Sample(int(t_ns), "agent", device, quantity, float(value))])

    def _note_own_cost(self, now_ns: int) -> None:
        """What this process has cost so far, and how long the machine has slept."""
        slept_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
        self._trace.add(
            [
                Sample(now_ns, "sampler", "self", "cpu_time_ns", time.process_time_ns()),
                Sample(now_ns, "sampler", "clock", "suspended_ns", slept_ns // 10**6 * 10**6),
            ]
        )


_WATTS = {"power_w": 1.0, "power_uw": 1e-6}
"""Power quantity → W in a unit."""

_PER_SECOND = {"energy_mj": 1e-3, "energy_uj": 1e-6, "energy_j": 1.0, "cpu_time_ns": 0.0}
"""Counters → J in a unit (0: CPU time, whose power depends on the settings)."""


class TickWatch:
    """When one counter last moved, and how often it does."""

    def __init__(self) -> None:
        self._previous: Sample | None = None
        self._last_ns = 0
        self._periods_ns: deque[int] = deque(maxlen=9)
        self.ticked_ns = 0

    def see(self, s: Sample) -> None:
        previous, self._previous = self._previous, s
        if previous is None or s.value == previous.value:
            return
        # The same middle as lem.meters.series.tick_points computes from the trace.
        self.ticked_ns = previous.t_ns + (s.t_ns - previous.t_ns) // 2
        if self._last_ns:
            self._periods_ns.append(self.ticked_ns - self._last_ns)
        self._last_ns = self.ticked_ns

    def period_s(self) -> float:
        """0.1 s until three ticks were seen."""
        return median(self._periods_ns) / 1e9 if len(self._periods_ns) > 2 else 0.1


def settings_from(raw: dict[str, Any]) -> MeterSettings:
    """The settings as they came through JSON."""
    return MeterSettings(
        gpus=None if raw["gpus"] is None else tuple(raw["gpus"]),
        powercap_root=Path(raw["powercap_root"]),
        proc_root=Path(raw["proc_root"]),
        cgroup_root=Path(raw["cgroup_root"]),
        process=raw["process"],
        watts_per_busy_core=raw["watts_per_busy_core"],
        calibration=raw.get("calibration"),
        pm_counters_root=Path(raw["pm_counters_root"]),
        hwmon_root=Path(raw["hwmon_root"]),
        ipmi=None if raw["ipmi"] is None else tuple(raw["ipmi"]),
        external=tuple(raw["external"]),
        extra=raw["extra"],
    )
