"""What the sampler's process does: regular rounds of readings, dense polls at edges, the trace."""

from __future__ import annotations

import importlib
import json
import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lem.errors import LemError
from lem.meters.protocol import Device, Meter, MeterSettings, Sample
from lem.meters.sampling import ticks
from lem.meters.sampling.settling import Settling
from lem.meters.sampling.ticks import TickWatch
from lem.meters.sampling.trace import TraceWriter

FLUSH_S = 0.8
"""What a crash may cost of the trace."""
TELL_S = 0.8
"""How often power is told."""
STALE_NS = 3_000_000_000
"""Power that is older is not told, or where its device is read less often, after three times its
period."""
POLL_S = 0.0005
LEISURE_NS = 250_000_000
LONGEST_TICK_S = 1.25
LEARN_S = 2.5
"""How long a counter's period is looked for before that is given up until somebody asks."""
DITHER = 0.2
"""Regular rounds are up to this part of their interval early or late: at even intervals all would
meet a counter's ticks, or a load's bursts, at the same phase."""
SPARE_NS = 3_000_000
"""Regular readings are made while polling only where no tick is due within this time."""

Say = Callable[..., None]


def dithered(n: int) -> float:
    """The ``n``-th pause between rounds, as a factor about 1: multiples of the golden ratio, which
    are spread evenly and never repeat."""
    return 1 + DITHER * (2 * (n * 0.618034 % 1) - 1)


class Rounds:
    """Opens the meters it is told to; reads them until it is told to stop."""

    def __init__(self, orders: dict[str, Any]) -> None:
        self._interval_ns = int(max(0.001, float(orders["interval_s"])) * 1e9)
        self._tell_ns = int(max(0.02, float(orders.get("tell_s", TELL_S))) * 1e9)
        self._power_span_ns = min(400_000_000, self._tell_ns * 9 // 10)
        """Over so long at least a counter's power is taken."""
        self._trace = TraceWriter(Path(orders["trace"]))
        self._meters: list[Meter] = []
        self._devices: list[Device] = []
        self._unavailable: dict[str, str] = {}
        self._ticks: dict[tuple[str, str], TickWatch] = {}
        self._watts: dict[tuple[str, str], tuple[int, float]] = {}
        """(meter, device) → when its power was last read, and W."""
        self._period_ns: dict[tuple[str, str], int] = {}
        """From one reading of it that says something new to the next."""
        self._temperatures: dict[str, float] = {}
        self._before: dict[tuple[str, str], Sample] = {}
        self._ticking: list[Meter] = []
        self._pending: list[Sample] = []
        self._next_round_ns = 0
        self._paused = 0
        self._boot = ticks.boot_id()
        self._cache = ticks.cache_file(os.environ)
        self._kept_s: dict[str, float] | None = None
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
        for d in self._devices:
            period_ns = max(self._interval_ns, int((d.update_period_s or 0) * 1e9))
            self._period_ns[d.meter, d.device] = period_ns

    def introduce(self, say: Say) -> None:
        """Tell which devices there are, after one full reading of them."""
        self._read("full")
        self._ticking = [m for m in self._meters if self._poll(m)]
        self._note_own_cost(time.monotonic_ns())
        self._flush()
        say(json.dumps({"devices": self._devices, "unavailable": self._unavailable}))

    def run(self, orders: int, say: Say) -> None:
        """Until ``stop``, or until nobody is left to give orders. Sleeps between rounds."""
        buffer = b""
        self._next_round_ns = time.monotonic_ns() + self._pause_ns()
        next_flush_ns = next_tell_ns = time.monotonic_ns()
        learn_until_ns = next_flush_ns + int(LEARN_S * 1e9)
        poller = select.poll()
        poller.register(orders, select.POLLIN | select.POLLHUP)
        while True:
            now_ns = time.monotonic_ns()
            wake_ns = self._next_round_ns
            learning = now_ns < learn_until_ns and not self._all_known()
            if learning:
                wake_ns = now_ns + int(POLL_S * 1e9)
            # Whole milliseconds, rounded up: a regular round has no reason to be earlier.
            left_ms = max(0, wake_ns - now_ns) / 1e6
            if poller.poll(left_ms):
                data = os.read(orders, 4096)
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self._obey(line.decode("ascii", "replace"), say)
                if not data or b"stop" in lines:
                    self._read("full")
                    return
            now_ns = time.monotonic_ns()
            if learning:
                for meter in self._ticking:
                    self._poll(meter)
            self._read_when_due(now_ns)
            if now_ns >= next_flush_ns:
                self._note_own_cost(now_ns)
                self._flush()
                next_flush_ns = now_ns + int(FLUSH_S * 1e9)
            if now_ns >= next_tell_ns:
                say(json.dumps(self._told(now_ns)), wait=False)
                next_tell_ns = now_ns + self._tell_ns

    def _told(self, now_ns: int) -> dict[str, Any]:
        """What live views are told: of devices whose last reading is good and not old, with its
        time and the device's period in ns."""
        power = []
        for key, (t_ns, watts) in self._watts.items():
            period_ns = self._period_ns.get(key, self._interval_ns)
            if now_ns - t_ns <= max(STALE_NS, 3 * period_ns):
                power.append((*key, watts, t_ns, period_ns))
        return {"power": power, "t_ns": now_ns, "temperature": self._temperatures}

    def _obey(self, order: str, say: Say) -> None:
        name, _, rest = order.partition(" ")
        if name == "note":
            self._note(order)
        elif name == "mark":
            edge_ns = self._mark()
            say(json.dumps({order: edge_ns, "periods": self._periods()}))
            if len(self._ticks) > 1:
                # The edge lies between two ticks of the other boards: see both.
                self._wait_for(1)
        elif name == "rest":
            _, count, settle_s = rest.split()
            self._rest(int(count), float(settle_s))
            say(json.dumps({order: time.monotonic_ns(), "periods": self._periods()}))
        else:
            return
        self._next_round_ns = time.monotonic_ns() + self._pause_ns()

    def _pause_ns(self) -> int:
        """From one regular round to the next."""
        self._paused += 1
        return int(self._interval_ns * dithered(self._paused))

    def _read_when_due(self, now_ns: int) -> None:
        if now_ns >= self._next_round_ns:
            self._read("steady")
            # A late round is not made up for: two readings at once say nothing new.
            self._next_round_ns = max(self._next_round_ns + self._pause_ns(), now_ns)

    def close(self) -> None:
        self._remember()
        for meter in self._meters:
            meter.close()
        self._flush()
        self._trace.close()

    def _flush(self) -> None:
        self._trace.add(self._pending)
        self._pending.clear()
        self._trace.flush()

    def _read(self, pace: Any) -> None:
        for meter in self._meters:
            self._take(meter.read(pace))

    def _look(self, s: Sample) -> None:
        """Keep what live views and edges need of a sample."""
        key = s.meter, s.device
        if s.quantity in ("power_mw", "power_average_mw", "power_instant_mw"):
            self._watts[key] = s.t_ns, s.value / 1e3
        elif s.quantity in _WATTS:
            self._watts[key] = s.t_ns, s.value * _WATTS[s.quantity]
        elif s.quantity == "temperature_c":
            self._temperatures[s.device] = s.value
        elif s.quantity == "read_error":
            self._watts.pop(key, None)
            self._before.pop(key, None)
        elif s.quantity in _PER_SECOND:
            if s.quantity == "energy_mj":
                watch = self._ticks.get(key)
                if watch is None:
                    watch = self._ticks[key] = TickWatch(self._kept(s))
                watch.see(s)
                return
            before = self._before.get(key)
            if before is None or s.t_ns - before.t_ns > self._power_span_ns:
                self._before[key] = s
                if before is not None and s.value >= before.value:
                    scale = _PER_SECOND[s.quantity] or self._watts_per_core * 1e-9
                    span_s = (s.t_ns - before.t_ns) / 1e9
                    self._watts[key] = s.t_ns, (s.value - before.value) * scale / span_s

    def _mark(self) -> int:
        """Poll until every ticking counter has ticked, then read everything. The edge's time. A
        tick that came while one was read unusually slowly makes no good edge: then once more."""
        for meter in self._ticking:
            self._poll(meter)
        for watch in self._ticks.values():
            watch.ticked_ns = 0
        found = self._wait_for(1)
        if found and not all(w.sharp for w in self._ticks.values()):
            found = self._wait_for(1)
        ticked = [w.ticked_ns for w in self._ticks.values()]
        edge_ns = max(ticked) if found and ticked else time.monotonic_ns()
        self._read("full")
        self._note_own_cost(time.monotonic_ns())
        self._flush()
        return edge_ns

    def _rest(self, count: int, settle_s: float) -> None:
        """The device idles: see every counter tick ``count`` times, and then on for up to
        ``settle_s`` until its power has settled. Counters that move all the time are read at the
        beginning and at the end."""
        for meter in self._meters:
            if meter not in self._ticking:
                self._take(meter.read("full"))
        start_ns = time.monotonic_ns()
        self._note_rest(start_ns, 1)
        self._wait_for(count)
        if settle_s > 0:
            settled_ns = start_ns + int(settle_s * 1e9)
            settling = {key: Settling() for key in self._ticks}
            while time.monotonic_ns() < settled_ns:
                if not self._poll_until(1, min(settled_ns, self._deadline_ns(1))):
                    if not self._ticks:
                        time.sleep(min(0.2, settle_s))
                        break
                    continue
                for key, watch in self._ticks.items():
                    settling[key].see(watch.ticked_ns, watch.value)
                if all(s.settled() for s in settling.values()):
                    break
        self._read("full")
        self._note_rest(time.monotonic_ns(), 0)
        self._note_own_cost(time.monotonic_ns())
        self._flush()
        self._remember()

    def _deadline_ns(self, count: int) -> int:
        """Until when ``count`` ticks of the slowest counter are waited for."""
        slowest_s = max((w.period_s() for w in self._ticks.values()), default=0.0)
        if self._ticks and not self._all_known():
            slowest_s = max(slowest_s, 0.25)
        wait_s = (count + 1) * min(slowest_s, LONGEST_TICK_S)
        return time.monotonic_ns() + int(wait_s * 1e9)

    def _wait_for(self, count: int) -> bool:
        """See every counter tick ``count`` times; False where it does not in the time that this
        takes. Waits anew where a period that was believed has turned out wrong meanwhile."""
        believed = self._all_known()
        found = self._poll_until(count, self._deadline_ns(count))
        if not found and believed and not self._all_known():
            found = self._poll_until(count, self._deadline_ns(count))
        return found

    def _poll_until(self, count: int, deadline_ns: int) -> bool:
        """Poll until every counter has ticked ``count`` times from now on; False where that was not
        seen until the deadline. Sleeps while no tick is foretold, and reads what is due then."""
        # A tick since the last regular round is known no better than that round's distance.
        for meter in self._ticking:
            self._poll(meter)
        wanted = {key: w.ticks + count for key, w in self._ticks.items()}
        if not wanted:
            return False
        while any(w.ticks < wanted[key] for key, w in self._ticks.items()):
            now_ns = time.monotonic_ns()
            if now_ns >= deadline_ns:
                return False
            wakes = [w.wake_ns(now_ns) for k, w in self._ticks.items() if w.ticks < wanted[k]]
            wake_ns = now_ns if None in wakes else min(w for w in wakes if w is not None)
            if wake_ns - now_ns > SPARE_NS or now_ns - self._next_round_ns > 4 * self._interval_ns:
                self._read_when_due(now_ns)
                now_ns = time.monotonic_ns()
                if self._next_round_ns < wake_ns - SPARE_NS:
                    # Other meters must not go without readings until a slow counter ticks.
                    wake_ns = self._next_round_ns
            time.sleep(max(POLL_S, (min(wake_ns, deadline_ns) - now_ns) / 1e9))
            for meter in self._ticking:
                self._poll(meter)
        return True

    def _all_known(self) -> bool:
        return all(w.known() for w in self._ticks.values())

    def _periods(self) -> dict[str, float]:
        return {
            f"{meter}/{device}": learned
            for (meter, device), w in self._ticks.items()
            if (learned := w.learned_s()) is not None
        }

    def _kept(self, s: Sample) -> float | None:
        """What was learned of this counter earlier."""
        if self._kept_s is None:
            self._kept_s = ticks.remembered(self._cache, self._boot)
        name = self._board(s.meter, s.device)
        return None if name is None else self._kept_s.get(name)

    def _remember(self) -> None:
        ticks.remember(
            self._cache,
            self._boot,
            {
                name: learned
                for (meter, device), w in self._ticks.items()
                if (learned := w.learned_s()) is not None
                and (name := self._board(meter, device)) is not None
            },
        )

    def _board(self, meter: str, device: str) -> str | None:
        """A name for the board that stays with it (its UUID), where the meter knows one."""
        for m in self._meters:
            name_of = getattr(m, "identity", None)
            if m.name == meter and name_of is not None:
                name: str | None = name_of(device)
                return name
        return None

    def _poll(self, meter: Meter) -> bool:
        samples = meter.read("edge")
        self._take(samples)
        return bool(samples)

    def _take(self, samples: list[Sample]) -> None:
        # Written out with the next flush: one long go costs less than many short ones.
        self._pending += samples
        for s in samples:
            self._look(s)

    def _note(self, order: str) -> None:
        """A row that the agent wants in the trace: ``note T_NS DEVICE QUANTITY VALUE``."""
        _, t_ns, device, quantity, value = order.split()
        self._pending.append(Sample(int(t_ns), "agent", device, quantity, float(value)))

    def _note_rest(self, t_ns: int, begins: int) -> None:
        """That somebody said the devices idle, for each counter that moves in ticks."""
        self._pending += [Sample(t_ns, m, device, "rest", begins) for m, device in self._ticks]

    def _note_own_cost(self, now_ns: int) -> None:
        """What this process has cost so far, and how long the machine has slept."""
        slept_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
        self._pending += [
            Sample(now_ns, "sampler", "self", "cpu_time_ns", time.process_time_ns()),
            Sample(now_ns, "sampler", "clock", "suspended_ns", slept_ns // 10**6 * 10**6),
        ]


_WATTS = {"power_w": 1.0, "power_uw": 1e-6}
"""Power quantity → W in a unit."""

_PER_SECOND = {"energy_mj": 1e-3, "energy_uj": 1e-6, "energy_j": 1.0, "cpu_time_ns": 0.0}
"""Counters → J in a unit (0: CPU time, whose power depends on the settings)."""


def settings_from(raw: dict[str, Any]) -> MeterSettings:
    """The settings as they came through JSON."""
    return MeterSettings(
        gpus=None if raw["gpus"] is None else tuple(raw["gpus"]),
        powercap_root=Path(raw["powercap_root"]),
        proc_root=Path(raw["proc_root"]),
        cgroup_root=Path(raw["cgroup_root"]),
        process=raw["process"],
        driver=raw.get("driver"),
        watts_per_busy_core=raw["watts_per_busy_core"],
        calibration=raw.get("calibration"),
        pm_counters_root=Path(raw["pm_counters_root"]),
        hwmon_root=Path(raw["hwmon_root"]),
        ipmi=None if raw["ipmi"] is None else tuple(raw["ipmi"]),
        external=tuple(raw["external"]),
        extra=raw["extra"],
    )
