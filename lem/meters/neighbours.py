"""Which of the processes on GPUs are the run's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lem.meters.process_tree import ProcessTree
from lem.meters.protocol import MeterSettings

Listed = Mapping[str, frozenset[int]]
"""Board → ids of the processes that the driver lists for it."""


class Neighbours:
    """How many of the processes that a driver lists for its boards are not the run's own.

    Drivers give process ids of the host. Inside a container they mean nothing, so there the run's
    own processes that hold ``device_file`` open are counted instead, and what is listed on all
    boards together beyond them is foreign, on a board that nobody can name: on each.
    """

    def __init__(self, settings: MeterSettings, device_file: str) -> None:
        root = os.getppid() if settings.process is None else settings.process
        self._proc = settings.proc_root
        self._device_file = Path(device_file)
        self._tree = ProcessTree(root, settings.proc_root)
        self._known: tuple[dict[str, frozenset[int]], dict[str, int] | None] = ({}, {})
        try:
            # The first process id namespace of a Linux machine has this fixed number.
            here = (self._proc / "self/ns/pid").readlink().name
            self._on_host = here == "pid:[4026531836]"
        except OSError:
            self._on_host = True

    def count(self, listed: Listed) -> dict[str, int] | None:
        """Board → foreign processes. None where it cannot be told: the run's tree cannot be read,
        or, in a container, the driver lists fewer processes than the run itself has on its GPUs.
        Looked up only when a list changes."""
        if listed != self._known[0] or self._known[1] is None:
            self._known = (dict(listed), self._count(listed))
        return self._known[1]

    def _count(self, listed: Listed) -> dict[str, int] | None:
        if self._tree.cpu_time_ns() is None:
            return None
        own = self._tree.members()
        if self._on_host:
            return {board: len(pids - own) for board, pids in listed.items()}
        foreign = len(frozenset().union(*listed.values())) - sum(map(self._computes, own))
        return None if foreign < 0 else dict.fromkeys(listed, foreign)

    def _computes(self, pid: int) -> bool:
        try:
            for link in (self._proc / str(pid) / "fd").iterdir():
                if link.readlink() == self._device_file:
                    return True
        except OSError:
            pass  # the process or the file has just gone
        return False
