"""The sockets of the client for served engines: one thread that sends and takes in answers.

It is the measuring instrument of TTFT and ITL. A chunk's time is the kernel's own stamp of when its
bytes arrived (SO_TIMESTAMPNS, socket(7); on the loopback that is when the server wrote them), so
neither this thread's waiting for a processor or for the interpreter's lock nor the parsing of other
streams is in it. Where the kernel gives no stamp, it is when the bytes were read: everything that
is there is read before any of it is parsed, and parsing is cut into slices.
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections import deque
from queue import SimpleQueue
from typing import NamedTuple

from lem.workloads import stamps
from lem.workloads.answer import Answer
from lem.workloads.load import Sink
from lem.workloads.requests import Request
from lem.workloads.wire import Wire

READ_BYTES = 2**16
SLICE = 64
"""So many pieces are parsed before the sockets are looked at again."""
LOOK_S = 0.5
"""How often time limits are looked at."""
LINGER_S = 5.0


class Ended(NamedTuple):
    """A request's end, for the thread that serves."""

    ok: bool
    why: str = ""
    refused: bool = False
    """Nobody listens at the server's address."""
    error: BaseException | None = None
    """This thread itself has failed."""


class Connection:
    """A socket, and the answer that is being read from it."""

    __slots__ = (
        "answer",
        "drained_ns",
        "fd",
        "out",
        "poll_out",
        "request",
        "retried",
        "sock",
        "used",
    )

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.answer: Answer | None = None
        self.request: bytes = b""
        self.out: memoryview | None = None
        self.poll_out = False
        self.used = False
        """Whether it has carried an answer before."""
        self.retried = False
        self.drained_ns = 0
        """The last call that left nothing to be read began then: what is read later came later."""


class Sockets:
    """Connections to one server, as many as requests are open, kept for the next ones.

    ``send`` and ``cancel`` may be called from another thread; the sink is told from this one.
    """

    def __init__(
        self,
        address: tuple[str, int],
        wire: Wire,
        sink: Sink,
        silent_s: float,
        kernel_stamps: bool = True,
    ) -> None:
        self.ended: SimpleQueue[Ended] = SimpleQueue()
        self.answers = 0
        self.spread = 0
        self.assumed = 0
        self.other_inputs = 0
        """Answers whose input tokens the server counted otherwise."""
        self.cpu_ns = 0
        self.stamped = self.unstamped = 0
        """Pieces that came with the kernel's stamp, and without."""
        self.lags = [0] * stamps.BUCKETS
        """How many pieces were read how long after they had arrived (:mod:`.stamps`)."""
        self._family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._address = address
        self._wire = wire
        self._sink = sink
        self._silent_ns = round(silent_s * 1e9)
        self._kernel_stamps = kernel_stamps
        self._head = _head(address, wire)
        self._orders: deque[tuple[Request, bytes]] = deque()
        self._stop = False
        self._woken = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._woken, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._idle: list[Connection] = []
        self._backlog: deque[tuple[Connection, bytes | OSError, int]] = deque()
        self._clock_ns = 0
        """The wall clock less the monotonic one."""
        self._next_look_ns = 0
        self._thread = threading.Thread(target=self._run, name="sockets", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def send(self, request: Request, body: bytes) -> None:
        """Send this as soon as possible; its end will be in ``ended``."""
        self._orders.append((request, body))
        os.eventfd_write(self._woken, 1)

    def close(self) -> None:
        """Break off what is open (told as failed) and end the thread."""
        self._stop = True
        os.eventfd_write(self._woken, 1)
        self._thread.join(LINGER_S)
        if not self._thread.is_alive():
            self._epoll.close()
            os.close(self._woken)

    def _run(self) -> None:
        start_ns = time.thread_time_ns()
        try:
            while not self._stop:
                self._turn()
        except BaseException as e:  # noqa: BLE001 - raised again in the thread that serves
            self.ended.put(Ended(False, error=e))
        finally:
            now = time.monotonic_ns()
            while self._orders:
                request, _ = self._orders.popleft()
                self._sink.failed(request.id, "it was never sent: the client stopped", now)
            # Those that were seen to be gone, but not taken in yet, are in the backlog alone.
            unread = {c for c, _, _ in self._backlog}
            for connection in {*self._connections.values(), *unread}:
                if connection.answer is not None:
                    connection.answer.fail("the client stopped waiting", now)
                self._drop(connection)
            self.cpu_ns = time.thread_time_ns() - start_ns

    def _turn(self) -> None:
        """Take in all that is there, send what is to be sent, parse some of what came."""
        for fd, events in self._epoll.poll(0 if self._backlog else LOOK_S, 1024):
            if fd == self._woken:
                os.eventfd_read(self._woken)
                continue
            connection = self._connections.get(fd)
            if connection is None:
                continue
            if events & select.EPOLLOUT:
                self._write(connection)
            if events & ~select.EPOLLOUT:
                self._read(connection)
        while self._orders:
            request, body = self._orders.popleft()
            self._assign(Answer(request, self._wire, self._sink), self._frame(body))
        for _ in range(min(SLICE, len(self._backlog))):
            self._take_in(*self._backlog.popleft())
        now = time.monotonic_ns()
        if now >= self._next_look_ns:
            self._next_look_ns = now + round(LOOK_S * 1e9)
            self._clock_ns = stamps.clock_difference_ns()
            self._look_at_limits(now)

    def _read(self, connection: Connection) -> None:
        # After the call this thread may wait for the interpreter's lock, while more comes in.
        before_ns = time.monotonic_ns()
        try:
            data, told, _, _ = connection.sock.recvmsg(READ_BYTES, 64)
        except BlockingIOError:
            return
        except OSError as e:
            self._forget(connection)
            self._backlog.append((connection, e, time.monotonic_ns()))
            return
        now = time.monotonic_ns()
        at_ns = now
        if (wall_ns := stamps.wall_ns(told)) is not None:
            # Whatever the wall clock does: not before the socket was empty, not after now.
            at_ns = min(now, max(wall_ns - self._clock_ns, connection.drained_ns))
            self.stamped += 1
            self.lags[stamps.bucket(now - at_ns)] += 1
        elif data:
            self.unstamped += 1
        if len(data) < READ_BYTES:
            connection.drained_ns = before_ns
        if not data:
            self._forget(connection)
        self._backlog.append((connection, data, at_ns))

    def _take_in(self, connection: Connection, data: bytes | OSError, at_ns: int) -> None:
        answer = connection.answer
        if isinstance(data, OSError) or not data:
            why = data.strerror or str(data) if isinstance(data, OSError) else "it hung up"
            refused = isinstance(data, ConnectionRefusedError)
            self._lost(connection, f"the server: {why}", at_ns, refused)
            return
        if answer is None:
            # Nobody asked.
            self._drop(connection)
            return
        answer.feed(data, at_ns)
        if answer.status == "open":
            return
        if not answer.told:
            self._note(answer)
        if answer.reusable:
            connection.answer, connection.used, connection.retried = None, True, False
            self._idle.append(connection)
        elif answer.whole or answer.status != "done":
            self._drop(connection)
        # Else the answer is complete but not yet its HTTP frame.

    def _lost(self, connection: Connection, why: str, at_ns: int, refused: bool) -> None:
        """A connection is gone. One that had been used before may have been closed by the server
        just when the next request was sent: that request gets another chance, on a new one."""
        answer = connection.answer
        self._drop(connection)
        if answer is None or answer.told:
            return
        if connection.used and not answer.bytes and not connection.retried:
            self._assign(answer, connection.request, fresh=True)
            return
        answer.closed(at_ns, why)
        self._note(answer, refused)

    def _note(self, answer: Answer, refused: bool = False) -> None:
        """Tell the thread that serves."""
        answer.told = True
        self.answers += 1
        self.spread += answer.spread
        self.assumed += answer.assumed
        counted = answer.input_tokens
        self.other_inputs += counted is not None and counted != len(answer.request.input_ids)
        self.ended.put(Ended(answer.status == "done", answer.why, refused))

    def _assign(self, answer: Answer, request: bytes, fresh: bool = False) -> None:
        connection = self._idle.pop() if self._idle and not fresh else None
        if connection is None:
            try:
                connection = self._connect()
            except OSError as e:
                answer.closed(time.monotonic_ns(), e.strerror or str(e))
                self._note(answer, isinstance(e, ConnectionRefusedError))
                return
            connection.retried = fresh
        answer.heard_ns = time.monotonic_ns()
        connection.answer, connection.request = answer, request
        connection.out = memoryview(request)
        self._write(connection)

    def _connect(self) -> Connection:
        sock = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._kernel_stamps:
                stamps.ask_for(sock)
            with contextlib.suppress(BlockingIOError):
                sock.connect(self._address)
        except OSError:
            sock.close()
            raise
        connection = Connection(sock)
        connection.drained_ns = time.monotonic_ns()
        self._connections[connection.fd] = connection
        self._epoll.register(connection.fd, select.EPOLLIN)
        return connection

    def _write(self, connection: Connection) -> None:
        """Send as much as the kernel takes, and the rest when it takes more."""
        out = connection.out
        if out is None:
            return
        at_ns = time.monotonic_ns()
        try:
            sent = connection.sock.send(out, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            sent = 0
        except OSError as e:
            self._forget(connection)
            self._backlog.append((connection, e, at_ns))
            return
        left = out[sent:]
        connection.out = left if left else None
        if not left and connection.answer is not None:
            self._sink.written(connection.answer.request.id, at_ns)
            connection.answer.heard_ns = at_ns
        if bool(left) != connection.poll_out:
            connection.poll_out = bool(left)
            events = select.EPOLLIN | (select.EPOLLOUT if left else 0)
            self._epoll.modify(connection.fd, events)

    def _forget(self, connection: Connection) -> None:
        """Don't look at it any more."""
        if self._connections.pop(connection.fd, None) is not None:
            self._epoll.unregister(connection.fd)

    def _drop(self, connection: Connection) -> None:
        self._forget(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        connection.answer = None
        connection.sock.close()

    def _look_at_limits(self, now: int) -> None:
        for connection in list(self._connections.values()):
            answer = connection.answer
            if answer is None or now - answer.heard_ns < self._silent_ns:
                continue
            if any(c is connection for c, _, _ in self._backlog):
                continue
            answer.time_out(f"nothing came for {self._silent_ns / 1e9:g} s", now)
            if not answer.told:
                self._note(answer)
            self._drop(connection)

    def _frame(self, body: bytes) -> bytes:
        return self._head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _head(address: tuple[str, int], wire: Wire) -> bytes:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    fields = {
        "Host": f"{host}:{address[1]}",
        "Accept": "text/event-stream",
        "Content-Type": "application/json",
        **wire.headers,
    }
    lines = [f"POST {wire.path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items()), ""]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a line break in the head of a request")
    return "\r\n".join(lines).encode("latin-1")
