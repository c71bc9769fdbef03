"""A PostgreSQL that is killed, by SIGKILL to all of its processes or to one, and started again."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from postgres import Server, running


@pytest.fixture
def cluster() -> Iterator[Server]:
    """A PostgreSQL of its own, since it is killed. It writes to disk as in production."""
    with running() as server:
        yield server


def kill_postgres(server: Server, chance: random.Random) -> None:
    """SIGKILL to its first process, or to one that it started: then it starts all of them anew,
    or, where that one was mending what a crash had left, ends."""
    first = first_process(server)
    if first is not None and chance.random() < 0.5 and (others := children(first)):
        with suppress(ProcessLookupError):
            os.kill(chance.choice(others), signal.SIGKILL)
        return
    # As when the power goes: all of it, first process first. One that recovers outlives it.
    for _ in range(100):
        if not (left := of_cluster(server)):
            break
        for pid in sorted(left, key=lambda p: p != first):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    start_postgres(server)


def of_cluster(server: Server) -> list[int]:
    """Its processes: they work in its folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if place.readlink() == server.folder / "data":
                found.append(int(place.parent.name))
    return found


def start_postgres(server: Server) -> None:
    """Where it does not run."""
    for _ in range(50):
        if first_process(server) is not None:
            return
        with suppress(RuntimeError):
            server.start()
            return
        time.sleep(0.2)
    raise AssertionError("PostgreSQL did not start again")


def first_process(server: Server) -> int | None:
    """Its process id; None where it does not run."""
    try:
        pid = server.process_id()
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError, ValueError):
        return None
    return None if state == "Z" else pid


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
