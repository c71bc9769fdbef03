"""Which of the processes on GPUs are the run's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lem.meters.process_tree import ProcessTree
from lem.meters.protocol import MeterSettings

Listed = Mapping[str, frozenset[int] | None]
"""Board → ids of the processes that the driver lists for it; None where it gives no list."""
Foreign = dict[str, int | None]
"""Board → processes that are not the run's; None where that cannot be told."""


class _Holder(NamedTuple):
    """A process that has the device file open."""

    parent: int
    stack: int
    """Where its stack begins: chosen anew by every exec, handed down by a fork. 0: not told."""


class Neighbours:
    """How many of the processes that a driver lists for its boards are not the run's own.

    Drivers give process ids of the host. Inside a container they mean nothing, so there the run's
    own processes that hold ``device_file`` open are counted instead, and what is listed on all
    boards together beyond them is foreign, on a board that nobody can name: on each.

    A worker that was forked from one of them has the file open without using it, as a rule: neither
    CUDA nor ROCm work across a fork. It may have opened one of its own all the same. So what is
    listed beyond the others, and might be such workers or strangers, cannot be told. Nor is a
    stranger noticed beside a process of the run that holds the file and is not listed.
    """

    def __init__(self, settings: MeterSettings, device_file: str) -> None:
        root = os.getppid() if settings.process is None else settings.process
        self._proc = settings.proc_root
        self._device_file = Path(device_file)
        self._tree = ProcessTree(root, settings.proc_root)
        self._known: tuple[Listed, Foreign] = ({}, {})
        try:
            # The first process id namespace of a Linux machine has this fixed number.
            here = (self._proc / "self/ns/pid").readlink().name
            self._on_host = here == "pid:[4026531836]"
        except OSError:
            self._on_host = True

    def count(self, listed: Listed) -> Foreign:
        """For each board. None where the driver gives no list or the run's tree cannot be read; in
        a container for all boards where one has no list, where fewer processes are listed than the
        run itself has on its GPUs, or where what is listed may be forked workers of the run.
        Looked up only when a list changes, and while something cannot be told."""
        if listed != self._known[0] or None in self._known[1].values():
            self._known = (dict(listed), self._count(listed))
        return self._known[1]

    def _count(self, listed: Listed) -> Foreign:
        if self._tree.cpu_time_ns() is None:
            return dict.fromkeys(listed)
        own = self._tree.members()
        if self._on_host:
            return {b: None if pids is None else len(pids - own) for b, pids in listed.items()}
        told = [pids for pids in listed.values() if pids is not None]
        if len(told) < len(listed):
            return dict.fromkeys(listed)
        return dict.fromkeys(listed, self._beyond(len(frozenset().union(*told)), own))

    def _beyond(self, listed: int, own: frozenset[int]) -> int | None:
        """How many of so many listed processes are not among the run's ``own``."""
        holders = {pid: found for pid in own if (found := self._holder(pid)) is not None}
        forked = sum(_is_fork(h, holders.get(h.parent)) for h in holders.values())
        least, most = len(holders) - forked, len(holders)
        if listed == least:
            return 0
        return listed - most if listed > most else None

    def _holder(self, pid: int) -> _Holder | None:
        folder = self._proc / str(pid)
        try:
            if not any(f.readlink() == self._device_file for f in (folder / "fd").iterdir()):
                return None
            text = (folder / "stat").read_text("utf-8", "replace")
            # The command may hold spaces and parentheses: fields 4 and 28 of proc(5).
            fields = text[text.rfind(")") + 1 :].split()
            return _Holder(int(fields[1]), int(fields[25]))
        except (OSError, IndexError, ValueError):
            return None  # the process or the file has just gone


def _is_fork(holder: _Holder, parent: _Holder | None) -> bool:
    """Whether a process is a copy of its parent, and so may have its files from there. Programs
    that were started anew have none of them: the vendors' libraries open them close-on-exec."""
    return parent is not None and holder.stack != 0 and holder.stack == parent.stack
