"""When a counter ticks: its period learned from what it shows, and the next tick foretold.

Runs in the sampler's process. What was learned is kept for as long as the machine is not booted
again, in the user's cache folder; a file that is not what it should be is as good as none.
"""

from __future__ import annotations

import json
import math
import os
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lem.meters.energy.series import median
from lem.meters.protocol import Sample

POLLED_NS = 2_500_000
"""A change seen between two readings closer than this is a tick that was polled for. Where a
reading itself takes long (3.2 ms of an H200's counter): closer than twice what readings in a row
are apart."""
_SLOWEST_POLL_NS = 12_500_000
"""The most of that: of a counter whose readings in a row are farther apart nothing is learned. It
is polled for at every edge, and the ticks are as uncertain as the readings' distances say."""
_ROW_NS = 35_000_000
"""Readings farther apart than this are not in a row, but of regular rounds."""
USUAL_S = 0.1
SHORTEST_S, LONGEST_S = 0.005, 2.0
_MARGIN_NS = 1_200_000
"""How long before a foretold tick polling begins, at least. Where a reading itself takes long: as
long as two of them, since the first one ends so much later, and tells of the tick only what it was
in its middle."""
_FULL_LAPS = 3
"""After so many periods, each between two polled ticks with none unseen between, it is known."""
_FIRST_UNSURE_NS, _LEAST_UNSURE_NS = 800_000.0, 50_000.0
"""How far off the period may be when it has just been learned, and after many ticks."""
_TOO_LONG, _TOO_SHORT = 1.5, 0.75
"""A period from earlier does not hold between two ticks that are farther apart, or closer."""
_MOST_BYTES = 1 << 16


class TickWatch:
    """When one counter last moved, and how often it does."""

    def __init__(self, period_s: float | None = None) -> None:
        self._given_s = period_s
        """From an earlier process; believed until readings say otherwise."""
        self._previous: Sample | None = None
        self._still: Sample | None = None
        """The first reading of the present value."""
        self._before_ns = 0
        """When the last value but one was last read: the last tick came after that."""
        self._last_ns = 0
        self._coarse_ns: deque[int] = deque(maxlen=9)
        self._rows_ns: deque[int] = deque(maxlen=15)
        """Distances of readings in a row."""
        self._polled_limit_ns = POLLED_NS
        self._polled_ns = 0
        """The last tick that was polled for; 0 where how many came since is not known."""
        self._laps_ns: deque[tuple[int, bool]] = deque(maxlen=9)
        """Each from one polled tick to the next, and whether it follows on the one before."""
        self._follows = False
        self._anchor_ns = 0
        self._learned_ns = 0.0
        self._unsure_ns = 0.0
        self.ticked_ns = 0
        self.sharp = True
        """Whether that tick is known as well as readings in a row tell it. One that came during a
        reading that took unusually long is not."""
        self.ticks = 0
        """How often it was seen to move."""
        self.value = 0.0

    def see(self, s: Sample) -> None:
        previous, self._previous = self._previous, s
        if self._given_s is not None and self._contradicts(s):
            self._given_s = None
        if previous is None or s.value != previous.value:
            self._still = s
        if previous is None:
            return
        gap_ns = s.t_ns - previous.t_ns
        if gap_ns <= _ROW_NS:
            self._rows_ns.append(gap_ns)
        if s.value == previous.value:
            return
        self._before_ns = previous.t_ns
        # The same middle as lem.meters.energy.series.tick_points computes from the trace.
        self.ticked_ns = previous.t_ns + (s.t_ns - previous.t_ns) // 2
        self.ticks += 1
        self.value = s.value
        if self._last_ns:
            self._coarse_ns.append(self.ticked_ns - self._last_ns)
        self._last_ns = self.ticked_ns
        twice_ns = max(POLLED_NS, int(2 * median(self._rows_ns)) if self._rows_ns else 0)
        self._polled_limit_ns = min(twice_ns, _SLOWEST_POLL_NS)
        self.sharp = gap_ns <= twice_ns
        if gap_ns <= self._polled_limit_ns:
            self._polled(self.ticked_ns)
        elif not self._learned_ns:
            # Of how many ticks this change is, is not known: the next polled one follows on none.
            self._polled_ns = 0

    def _contradicts(self, s: Sample) -> bool:
        """Whether a reading does not go with the period from earlier: the counter has stood still
        for longer, or has moved twice in less. How closely it is read does not matter. One late or
        early tick is enough: a period that is looked for again costs little, a wrong one edges."""
        if self._still is None:
            return False
        given_ns = (self._given_s or 0.0) * 1e9
        if s.value == self._still.value:
            return s.t_ns - self._still.t_ns > _TOO_LONG * given_ns + POLLED_NS
        return bool(self._before_ns) and s.t_ns - self._before_ns < _TOO_SHORT * given_ns

    def _polled(self, t_ns: int) -> None:
        if self._learned_ns:
            since = t_ns - self._anchor_ns
            laps = round(since / self._learned_ns)
            unsure_ns = laps * self._unsure_ns
            off_ns = abs(since - laps * self._learned_ns)
            if unsure_ns > self._learned_ns / 4:
                self._anchor_ns = t_ns  # too long ago to say how many periods it was
            elif laps > 0 and off_ns < min(self._learned_ns / 4, 2 * self._margin_ns + unsure_ns):
                self._learned_ns = since / laps
                sharper_ns = max(_LEAST_UNSURE_NS, self._polled_limit_ns / 2 / laps)
                self._unsure_ns = min(self._unsure_ns, sharper_ns)
            else:
                self._learned_ns = 0.0
                self._laps_ns.clear()
                self._polled_ns = 0
        if not self._learned_ns and self._polled_ns:
            self._laps_ns.append((t_ns - self._polled_ns, self._follows))
            if len(self._laps_ns) >= _FULL_LAPS:
                laps = len(self._laps_ns)
                self._learned_ns = sum(lap for lap, _ in self._laps_ns) / laps
                self._given_s = None
                # Of laps in a row only the first and the last tick are uncertain.
                rows = 1 + sum(not follows for _, follows in list(self._laps_ns)[1:])
                self._unsure_ns = max(_FIRST_UNSURE_NS, rows * self._polled_limit_ns / laps)
                self._anchor_ns = t_ns
        self._follows = bool(self._polled_ns)
        self._polled_ns = t_ns

    @property
    def _margin_ns(self) -> float:
        slow = self._polled_limit_ns > POLLED_NS
        return float(self._polled_limit_ns if slow else _MARGIN_NS)

    def known(self) -> bool:
        """Whether the period was learned by this process from ticks that were polled for, or
        earlier since the machine was booted and not contradicted."""
        return bool(self._learned_ns or self._given_s)

    def learned_s(self) -> float | None:
        return self._learned_ns / 1e9 if self._learned_ns else None

    def period_s(self) -> float:
        """The best there is: learned, from earlier, from readings now and then, 0.1 s."""
        if self._learned_ns:
            return self._learned_ns / 1e9
        if self._given_s is not None:
            return self._given_s
        return median(self._coarse_ns) / 1e9 if len(self._coarse_ns) > 2 else USUAL_S

    def wake_ns(self, now_ns: int) -> int | None:
        """When polling for the next tick has to begin; None: now, because nothing is foretold or a
        foretold tick did not come (the counter has changed its rate)."""
        if not self._learned_ns or not self._polled_ns or self._previous is None:
            return None
        period_ns, polled_ns = self._learned_ns, self._polled_ns
        laps = max(0.0, now_ns - polled_ns) / period_ns
        margin_ns = self._margin_ns + self._unsure_ns * laps
        if margin_ns > period_ns / 3 or now_ns - self._last_ns > 1.5 * period_ns + margin_ns:
            return None
        seen_ns = max(self._previous.t_ns - margin_ns, self._last_ns + period_ns / 2)
        due_ns = polled_ns + period_ns * math.floor((seen_ns - polled_ns) / period_ns + 1)
        return int(due_ns - margin_ns)


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii")[:64].strip()
    except (OSError, ValueError):
        return ""


def cache_file(environment: Mapping[str, str]) -> Path | None:
    """Where learned periods are kept; None where the user has no such place."""
    named = environment.get("LEM_CACHE")
    if named:
        return Path(named) / "ticks.json"
    base = environment.get("XDG_CACHE_HOME") or ""
    if not base.startswith("/"):
        home = environment.get("HOME", "")
        if not home.startswith("/"):
            return None
        base = f"{home}/.cache"
    return Path(base) / "lem" / "ticks.json"


def remembered(file: Path | None, boot: str) -> dict[str, float]:
    """Board → period in s, learned since this boot. Empty where the file is missing, from another
    boot, or not what :func:`remember` writes."""
    if file is None or not boot:
        return {}
    try:
        with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb") as f:
            data = json.loads(f.read(_MOST_BYTES))
        if data["boot_id"] != boot:
            return {}
        return {
            str(board): float(period)
            for board, period in data["periods_s"].items()
            if isinstance(period, float) and SHORTEST_S <= period <= LONGEST_S
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def remember(file: Path | None, boot: str, periods_s: Mapping[str, float]) -> None:
    """Add to what is kept. Where it cannot be written nothing happens: it is learned anew."""
    if file is None or not boot or not periods_s:
        return
    known = remembered(file, boot)
    if all(abs(known.get(b, 0.0) - p) < 1e-3 for b, p in periods_s.items()):
        return
    aside = file.with_name(f".ticks.{os.getpid()}.json")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            aside.write_text(json.dumps({"boot_id": boot, "periods_s": {**known, **periods_s}}))
            aside.replace(file)
        finally:
            aside.unlink(missing_ok=True)
