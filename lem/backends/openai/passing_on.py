"""Whether a server makes its answers itself, or asks another process for them, by what the kernel
knows of its connections (proc(5)).

A gateway (nginx, LiteLLM, any relay) holds a connection to the engine behind it while it answers.
An engine has connections among its own processes only. What cannot be seen: a connection by a
socket in the file system.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lem.backends.listener import LISTENING
from lem.meters.process_tree import ProcessTree

OPEN = ("01", "02")
"""Established, and being established."""
LOOPBACK = ("00000000000000000000000001000000", "00000000000000000000000000000001")
"""::1 on little- and big-endian machines."""
NOBODY = "0"
"""The inode of a connection that no process holds (any more, or yet)."""
LOOK_S = 0.002
LOOKS, ANSWERS = 5, 20
"""So many looks while an answer is being made are enough; so many answers are asked for them."""
MAPPED = "0000000000000000FFFF0000"
"""How an IPv4 address begins where it stands for an IPv6 one."""


class _Socket(NamedTuple):
    local: str
    remote: str
    state: str
    inode: str


def passes_on(pid: int, answer: Callable[[], None], proc: Path = Path("/proc")) -> bool:
    """Whether the process (with all below it) was connected to one outside while ``answer`` had a
    request answered by it. Raises what ``answer`` does.

    A short answer may be over before its connections were looked at: then it is asked for again.
    """
    return _seen(pid, connected_outside, answer, proc)


def is_reached(pid: int, port: int, answer: Callable[[], None], proc: Path = Path("/proc")) -> bool:
    """Whether anybody was connected to the process (or one below it) on this port, where it
    listens, while ``answer`` had a request answered by the gateway in front of it. Raises what
    ``answer`` does."""

    def served(pids: Iterable[int], at: Path) -> bool:
        return connected_inside(pids, port, at)

    return _seen(pid, served, answer, proc)


def _seen(
    pid: int,
    look: Callable[[Iterable[int], Path], bool],
    answer: Callable[[], None],
    proc: Path,
) -> bool:
    tree = ProcessTree(pid, proc)
    looks = 0
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="asking") as asking:
        for _ in range(ANSWERS):
            answered = asking.submit(answer)
            while True:
                tree.cpu_time_ns()
                if look(tree.members(), proc):
                    answered.result()
                    return True
                if answered.done():
                    break
                looks += 1
                time.sleep(LOOK_S)
            answered.result()
            if looks >= LOOKS:
                break
    return False


def connected_outside(pids: Iterable[int], proc: Path = Path("/proc")) -> bool:
    """Whether one of these processes has opened a connection to one that is none of them."""
    pids = list(pids)
    # Held before or after the tables are read: a connection may come or go meanwhile.
    inodes = {i for pid in pids for i in _inodes(proc / str(pid))}
    every = list(_sockets(proc))
    inodes |= {i for pid in pids for i in _inodes(proc / str(pid))}
    own = [s for s in every if s.inode in inodes]
    served = {_port(s.local) for s in own if s.state == LISTENING}
    held_by = {(s.local, s.remote): s.inode for s in every}

    def leads_outside(s: _Socket) -> bool:
        if s.state not in OPEN or _port(s.local) in served:
            return False  # the latter was opened from outside
        if not _is_loopback(s.remote):
            other = held_by.get((s.remote, s.local))
            return other is None or other not in inodes
        # One that is being closed, or not accepted yet, has nobody at its other end.
        other = held_by.get((s.remote, s.local), NOBODY)
        return _port(s.remote) not in served and other not in {*inodes, NOBODY}

    return any(map(leads_outside, own))


def connected_inside(pids: Iterable[int], port: int, proc: Path = Path("/proc")) -> bool:
    """Whether one of these processes holds a connection that came to this port."""
    own = {i for pid in pids for i in _inodes(proc / str(pid))}
    return any(
        s.state in OPEN and s.inode in own and int(_port(s.local), 16) == port
        for s in _sockets(proc)
    )


def _is_loopback(address: str) -> bool:
    """As the kernel writes it, in words of the machine's own order."""
    host = address.rpartition(":")[0]
    return host in LOOPBACK or (len(host) == 8 and "7F" in (host[:2], host[-2:]))


def _inodes(folder: Path) -> Iterator[str]:
    with suppress(OSError):
        for entry in os.scandir(folder / "fd"):
            with suppress(OSError):
                name = os.readlink(entry.path)  # noqa: PTH115 - thousands of them
                if name.startswith("socket:["):
                    yield name[len("socket:[") : -1]


def _sockets(proc: Path) -> Iterator[_Socket]:
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text("ascii", "replace").splitlines()[1:]:
                words = line.split()
                if len(words) > 9:
                    local, remote = (w.removeprefix(MAPPED) for w in words[1:3])
                    yield _Socket(local, remote, words[3], words[9])


def _port(address: str) -> str:
    return address.rpartition(":")[2]
