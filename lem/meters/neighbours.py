"""Which of the processes on a GPU are the run's own."""

from __future__ import annotations

import os
from pathlib import Path

from lem.meters.process_tree import ProcessTree
from lem.meters.protocol import MeterSettings


class Neighbours:
    """How many of the processes that NVML lists for a GPU are not the run's own.

    NVML gives process ids of the host. Inside a container they mean nothing, so there the run's
    own CUDA processes (those that hold /dev/nvidia-uvm) are counted instead, and what is listed
    beyond them is foreign.
    """

    def __init__(self, settings: MeterSettings) -> None:
        root = os.getppid() if settings.process is None else settings.process
        self._proc = settings.proc_root
        self._tree = ProcessTree(root, settings.proc_root)
        self._known: tuple[frozenset[int], int | None] = (frozenset(), 0)
        try:
            # The first process id namespace of a Linux machine has this fixed number.
            here = (self._proc / "self/ns/pid").readlink().name
            self._on_host = here == "pid:[4026531836]"
        except OSError:
            self._on_host = True

    def count(self, pids: frozenset[int]) -> int | None:
        """None where the run's tree cannot be read. Looked up only when the list changes."""
        if pids != self._known[0]:
            self._known = (pids, self._count(pids))
        return self._known[1]

    def _count(self, pids: frozenset[int]) -> int | None:
        if self._tree.cpu_time_ns() is None:
            return None
        own = self._tree.members()
        if self._on_host:
            return len(pids - own)
        return max(0, len(pids) - sum(self._uses_cuda(pid) for pid in own))

    def _uses_cuda(self, pid: int) -> bool:
        try:
            for link in (self._proc / str(pid) / "fd").iterdir():
                if link.readlink() == Path("/dev/nvidia-uvm"):
                    return True
        except OSError:
            pass  # the process or the file has just gone
        return False
