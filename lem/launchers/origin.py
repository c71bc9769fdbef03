"""Which process started a container, so that it can be told later whether that process lives."""

import os
from pathlib import Path


def origin(pid: int | None = None, proc: Path = Path("/proc")) -> str:
    """A name for a process that no other process ever has: boot, pid namespace, pid, start time.

    Without a pid: this process.
    """
    pid = os.getpid() if pid is None else pid
    boot = (proc / "sys/kernel/random/boot_id").read_text().strip()
    namespace = (proc / "self/ns/pid").stat().st_ino
    return f"{boot}/{namespace}/{pid}/{_started(pid, proc)}"


def is_gone(name: str, proc: Path = Path("/proc")) -> bool:
    """Whether that process has surely ended. False where it cannot be told from here: a name of
    another pid namespace, or no name at all."""
    try:
        boot, namespace, pid, started = name.split("/")
        number, here = int(pid), origin(os.getpid(), proc).split("/")
    except (ValueError, OSError):
        return False
    if boot != here[0]:
        return True
    return namespace == here[1] and started != _started(number, proc)


def _started(pid: int, proc: Path) -> str:
    """Its start, in clock ticks since boot; empty where there is no such process."""
    try:
        stat = (proc / str(pid) / "stat").read_text()
    except OSError:
        return ""
    fields = stat[stat.rindex(")") + 2 :].split()
    # One that was killed but not yet collected does nothing any more.
    return "" if fields[0] == "Z" else fields[19]
