"""The kernel's time stamps of received bytes (SO_TIMESTAMPNS, socket(7)), and how long bytes lay
there until they were read."""

import contextlib
import socket
import struct
import time
from collections.abc import Sequence
from functools import cache

SO_TIMESTAMPNS = 35
"""Of asm-generic/socket.h; Python has no name for it."""
STAMP = struct.Struct("@ll")


@cache
def wake_stamps() -> socket.socket:
    """The kernel begins to stamp a little after any socket asks for it, and ends when none does any
    more: one that asks for as long as this process lives."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ask_for(sock)
    return sock


def ask_for(sock: socket.socket) -> None:
    """Have what this socket receives stamped, where the kernel does that."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def wall_ns(told: Sequence[tuple[int, int, bytes]]) -> int | None:
    """The stamp in what recvmsg(2) told besides the data, by the wall clock; None where there is
    none. Of several pieces that were read at once it is the last one's."""
    if not told or told[0][1] != SO_TIMESTAMPNS or len(told[0][2]) != STAMP.size:
        return None
    seconds, nanoseconds = STAMP.unpack(told[0][2])
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def clock_difference_ns() -> int:
    """The wall clock less the monotonic one, read closely one after the other."""
    best = None
    for _ in range(5):
        before = time.monotonic_ns()
        wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
        took = time.monotonic_ns() - before
        if best is None or took < best[0]:
            best = took, wall - before - took // 2
        if took < 2_000:
            break
    assert best is not None
    return best[1]


BUCKETS = 4 * 64


def bucket(ns: int) -> int:
    """Four to each doubling."""
    bits = max(8, ns.bit_length())
    return min(BUCKETS - 1, 4 * bits + ((ns >> (bits - 3)) & 3))


def lag_ns(lags: list[int], q: float) -> int:
    """What the part ``q`` of the pieces was read within, in nanoseconds: at most a quarter more
    than the truth, and never less."""
    left = q * sum(lags)
    for place, n in enumerate(lags):
        left -= n
        if n and left <= 0:
            bits, quarter = divmod(place, 4)
            return (5 + quarter) << (bits - 3)
    return 0
