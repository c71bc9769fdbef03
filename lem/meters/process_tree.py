"""CPU time of a process and all its descendants, those that have ended included.

Three ways time could be lost or counted twice, and what is done about each:

- A child that was waited for: the kernel adds its time to its parent's ``cutime``/``cstime``, which
  are summed too. A child may be waited for while the tree is being read, so the reading is
  repeated until nothing of that kind happened in between.
- A descendant whose parent left before it: remembered by process id and start time.
- One that ends without anyone in the tree waiting for it: its last known time is kept, so the sum
  never falls; at most what it used after the last reading is missing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CpuClock = Callable[[int], int | None]


class Times(NamedTuple):
    """One process: its parent, start (clock ticks since boot), own CPU time and that of children
    that it has waited for, in nanoseconds."""

    parent: int
    start: int
    own_ns: int
    reaped_ns: int


def cpu_clock_ns(pid: int) -> int | None:
    """CPU time of a process to the nanosecond, ended threads included; None where it is gone.

    The clock id is what clock_getcpuclockid(3) gives on Linux; ``/proc/PID/stat`` has only
    hundredths of a second.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return None


def parse_stat(text: str, ticks_per_s: int) -> Times | None:
    """One ``/proc/PID/stat``; None where it is damaged. The command may hold spaces and
    parentheses, so fields are counted from the last closing one."""
    fields = text[text.rfind(")") + 1 :].split()
    try:
        parent, user, system, reaped_user, reaped_system = (
            int(fields[i]) for i in (1, 11, 12, 13, 14)
        )
        start = int(fields[19])
    except (IndexError, ValueError):
        return None
    tick_ns = 10**9 // ticks_per_s
    return Times(
        parent, start, (user + system) * tick_ns, max(0, reaped_user + reaped_system) * tick_ns
    )


class ProcessTree:
    """The tree below ``root``, without the processes below ``without`` (the sampler itself)."""

    def __init__(
        self,
        root: int,
        proc_root: Path,
        without: int | None = None,
        ticks_per_s: int = 100,
        clock: CpuClock | None = None,
    ) -> None:
        self.root = root
        self._proc = str(proc_root)
        self._without = without
        self._ticks_per_s = ticks_per_s
        self._clock = clock
        self._parents: dict[int, int] = {}
        """Every process seen in the last look round and its parent then."""
        self._starts: dict[int, int] = {}
        """The members and their starts, so that a reused process id is noticed."""
        self._kept_ns = 0
        self._last_ns = 0

    def members(self) -> frozenset[int]:
        """Process ids of the tree at the last reading."""
        return frozenset(self._starts)

    def cpu_time_ns(self) -> int | None:
        """CPU time of the tree since its processes began. Never falls. None where the root is
        gone."""
        sum_ns = self._consistent()
        if sum_ns is None:
            return None
        total = sum_ns + self._kept_ns
        if total < self._last_ns:
            self._kept_ns += self._last_ns - total
            total = self._last_ns
        self._last_ns = total
        return total

    def _consistent(self) -> int | None:
        self._look_round()
        before = self._read()
        for _ in range(5):
            after = self._read()
            if {p: t.reaped_ns for p, t in before.items()} == {
                p: t.reaped_ns for p, t in after.items()
            }:
                break
            before = after
        if self.root not in after:
            return None
        self._starts = {p: t.start for p, t in after.items()}
        return sum(t.own_ns + t.reaped_ns for t in after.values())

    def _look_round(self) -> None:
        """Find new members. Only processes not seen before are opened."""
        now = {int(name) for name in _names(self._proc) if name.isdecimal()}
        for gone in self._parents.keys() - now:
            del self._parents[gone]
            self._starts.pop(gone, None)
        for new in now - self._parents.keys():
            times = self._stat(new)
            if times is not None:
                self._parents[new] = times.parent
        members = {self.root, *self._starts}
        added = True
        while added:
            found = {p for p, parent in self._parents.items() if parent in members} - members
            found.discard(self._without or 0)
            members |= found
            added = bool(found)
        for pid in members:
            self._starts.setdefault(pid, -1)

    def _read(self) -> dict[int, Times]:
        found: dict[int, Times] = {}
        for pid, start in self._starts.items():
            times = self._stat(pid)
            if times is None:
                continue
            if start not in (-1, times.start):
                self._parents.pop(pid, None)
                continue
            own_ns = self._clock(pid) if self._clock else None
            found[pid] = times if own_ns is None else times._replace(own_ns=own_ns)
        return found

    def _stat(self, pid: int) -> Times | None:
        try:
            with open(f"{self._proc}/{pid}/stat", encoding="utf-8", errors="replace") as f:  # noqa: PTH123
                return parse_stat(f.read(4096), self._ticks_per_s)
        except OSError:
            return None


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names only; this runs several times a second
    except OSError:
        return []
