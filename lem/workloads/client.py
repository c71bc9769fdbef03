"""The client that all served engines share: sends requests to a server on the loopback as a source
asks for them, and tells a sink of every token at the time its bytes arrived.

Two threads. The one that calls :meth:`Client.serve` asks the source, which may take long at a
window's edge, and makes the requests; the other one has the sockets (:mod:`lem.workloads.sockets`)
and goes on meanwhile.
"""

import json
import queue
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lem.contract.base import Scalar
from lem.errors import RunFailed
from lem.workloads.load import Sink, Source
from lem.workloads.sockets import Ended, Sockets
from lem.workloads.stamps import BUCKETS, lag_ns, wake_stamps
from lem.workloads.wire import Wire

ASK_EVERY_NS = 50_000_000
"""How often the source is asked though nothing ended and nothing is due: windows begin and end in
that call."""
ROOM = 4096
"""Requests that may be open at once; more wait, and their waiting counts."""
SILENT_S = 600.0
"""After so long without a byte nobody waits for an answer any longer."""
FAILURES_IN_A_ROW = 32
DYING_S = 5.0
"""How long to wait for a server's end to be seen once it refuses connections."""


def _never_dies() -> str | None:
    return None


class Client:
    """Speaks to one server.

    ``died`` says how the server ended, None while it lives. ``room`` limits how many requests are
    open at once.
    """

    def __init__(
        self,
        address: tuple[str, int],
        wire: Wire,
        *,
        died: Callable[[], str | None] = _never_dies,
        room: int = ROOM,
        silent_s: float = SILENT_S,
        kernel_stamps: bool = True,
    ) -> None:
        if kernel_stamps:
            wake_stamps()
        self.flags: set[str] = set()
        self._address = address
        self._wire = wire
        self._died = died
        self._room = room
        self._silent_s = silent_s
        self._kernel_stamps = kernel_stamps
        self._cpu_ns = 0
        self._wall_ns = 0
        self._stamped = self._unstamped = 0
        self._lags = [0] * BUCKETS

    def serve(self, source: Source, sink: Sink) -> None:
        """As ``serve`` of a backend's engine."""
        _allow_files(self._room)
        with self._sockets(sink) as sockets:
            busy, failures, dry = 0, 0, False
            while True:
                if not dry:
                    taken = source.take(self._room - busy, busy)
                    dry = taken is None
                    for request in taken or ():
                        body = json.dumps(self._wire.body(request), separators=(",", ":"))
                        sockets.send(request, body.encode())
                        busy += 1
                if dry and not busy:
                    return
                for end in _ends(sockets, None if dry else source.due_ns()):
                    busy -= 1
                    failures = 0 if end.ok else failures + 1
                    self._check(end, failures)
                if (how := self._died()) is not None:
                    raise RunFailed("engine_error", how)

    def _check(self, end: Ended, failures: int) -> None:
        """Raise where going on makes no sense."""
        if end.error is not None:
            raise end.error
        if end.ok:
            return
        if end.refused:
            limit = time.monotonic() + DYING_S
            while (how := self._died()) is None and self._died is not _never_dies:
                if time.monotonic() > limit:
                    break
                time.sleep(0.02)
            raise RunFailed("engine_error", how or "the server refuses connections")
        if failures >= FAILURES_IN_A_ROW:
            raise RunFailed("engine_error", f"{failures} requests in a row failed; {end.why}")

    @contextmanager
    def _sockets(self, sink: Sink) -> Iterator[Sockets]:
        wall_ns, cpu_ns = time.monotonic_ns(), time.thread_time_ns()
        sockets = Sockets(
            self._address, self._wire, sink, self._silent_s, kernel_stamps=self._kernel_stamps
        )
        sockets.start()
        try:
            yield sockets
        finally:
            sockets.close()
            self._cpu_ns += sockets.cpu_ns + time.thread_time_ns() - cpu_ns
            self._wall_ns += time.monotonic_ns() - wall_ns
            self._stamped += sockets.stamped
            self._unstamped += sockets.unstamped
            self._lags = [a + b for a, b in zip(self._lags, sockets.lags, strict=True)]
            if sockets.spread:
                self.flags.add("tokens_spread")
            if sockets.assumed:
                self.flags.add("tokens_assumed")
            if sockets.other_inputs:
                self.flags.add("input_tokens_differ")

    def facts(self) -> dict[str, Scalar]:
        """As a record's ``client`` says them."""
        if not self._wall_ns:
            return {}
        stamps = "both" if self._stamped else "process"
        if not self._unstamped:
            stamps = "kernel"
        return {
            "client_cpu_share": round(self._cpu_ns / self._wall_ns, 4),
            "client_stamps": stamps,
            "client_read_p99_s": lag_ns(self._lags, 0.99) / 1e9 if self._stamped else None,
        }


def _ends(sockets: Sockets, due_ns: int | None) -> list[Ended]:
    """Those that have ended, once there is one, or ``due_ns`` has come, or 50 ms are over."""
    now = time.monotonic_ns()
    until = now + ASK_EVERY_NS if due_ns is None else min(due_ns, now + ASK_EVERY_NS)
    found = []
    try:
        found.append(sockets.ended.get(timeout=max(0, until - now) / 1e9))
        while True:
            found.append(sockets.ended.get_nowait())
    except queue.Empty:
        return found


def _allow_files(room: int) -> None:
    """Each open request is an open file; a process may raise its own limit up to the hard one."""
    wanted = room + 256
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
