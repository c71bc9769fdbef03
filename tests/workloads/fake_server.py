"""A completions server that streams on a known schedule, and misbehaves on request.

Runs as a process of its own (``python fake_server.py [PORT]``): prints its port, then serves, where
it chose the port itself until its standard input ends. Any GET is answered by 200. Every chunk
holds, as its text, the server's monotonic time in nanoseconds just before it was written, so that a
client's stamps can be compared with the truth.

A request's ``prompt`` is a list; ``scene`` in its body says what to do:

- ``stream`` (default): ``max_tokens`` chunks, the first after ``first_ms``, then one each
  ``gap_ms``; all streams that were asked for with ``together`` write in one burst on a common beat.
- one of :data:`SCENES`.
"""

import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Any

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


def frame(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(text: str, n: int | None, finish: str | None = None, prompt: int | None = None) -> bytes:
    what: dict[str, Any] = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}],
    }
    if n is not None:
        what["usage"] = {"prompt_tokens": prompt, "completion_tokens": n, "total_tokens": n}
    return b"data: " + json.dumps(what).encode() + b"\n\n"


def now_text() -> str:
    return f"{time.monotonic_ns()} "


class Stream:
    """One answer on the way."""

    def __init__(self, sock: socket.socket, asked: dict[str, Any], begun: float) -> None:
        self.sock = sock
        self.asked = asked
        self.sent = 0
        self.per_chunk = int(asked.get("per_chunk", 1))
        self.total = int(asked["max_tokens"])
        self.due = begun + float(asked.get("first_ms", 1)) / 1e3
        self.gap_s = float(asked.get("gap_ms", 1)) / 1e3
        if asked.get("together"):
            beat = self.gap_s or 0.001
            self.due = (self.due // beat + 1) * beat

    def step(self) -> bool:
        """Write the next chunk; whether there are more."""
        n = min(self.per_chunk, self.total - self.sent)
        self.sent += n
        last = self.sent >= self.total
        usage = self.asked.get("usage", "each")
        out = HEAD if self.sent == n else b""
        prompt = len(self.asked["prompt"])
        told = self.sent if usage == "each" else None
        out += frame(event(now_text(), told, "length" if last else None, prompt))
        if last:
            if usage in ("each", "end"):
                final = {
                    "choices": [],
                    "usage": {"completion_tokens": self.total, "prompt_tokens": prompt},
                }
                out += frame(b"data: " + json.dumps(final).encode() + b"\n\n")
            out += frame(b"data: [DONE]\n\n") + frame(b"")
        self.sock.sendall(out)
        self.due += self.gap_s
        return not last


def hang_up(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_RDWR)


def whole(sock: socket.socket, status: str, media: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len(body)}"
    sock.sendall(head.encode() + b"\r\n\r\n" + body)


def start(sock: socket.socket, tokens: int = 0) -> None:
    sock.sendall(HEAD + b"".join(frame(event("x", i + 1)) for i in range(tokens)))


def break_off(sock: socket.socket) -> None:
    start(sock, 2)
    hang_up(sock)


def reset(sock: socket.socket) -> None:
    start(sock, 2)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


def stop_without_reason(sock: socket.socket) -> None:
    start(sock, 2)
    sock.sendall(frame(b""))


def error_in_stream(sock: socket.socket) -> None:
    start(sock, 2)
    sock.sendall(frame(b'data: {"error": {"message": "out of blocks", "code": 500}}\n\n'))


def garbage_event(sock: socket.socket) -> None:
    start(sock, 1)
    sock.sendall(frame(b"data: {nonsense\n\n"))


def list_event(sock: socket.socket) -> None:
    start(sock, 1)
    sock.sendall(frame(b"data: [1]\n\n"))


def deep_event(sock: socket.socket) -> None:
    start(sock, 1)
    sock.sendall(frame(b"data: " + b"[" * 100_000 + b"\n\n"))


def falling_count(sock: socket.socket) -> None:
    start(sock, 2)
    sock.sendall(frame(event("x", 1)))


def absurd_count(sock: socket.socket) -> None:
    start(sock, 1)
    sock.sendall(frame(event("x", 10**9)))


def endless_line(sock: socket.socket) -> None:
    start(sock)
    for _ in range(3 * 2**20 // 2**16):
        sock.sendall(frame(b"x" * 2**16))


def endless_head(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    for i in range(3000):
        sock.sendall(b"X-%d: %s\r\n" % (i, b"y" * 50))


SCENES = {
    "silence": lambda sock: None,
    "silence_later": lambda sock: start(sock, 2),
    "hang_up": hang_up,
    "break_off": break_off,
    "reset": reset,
    "no_reason": stop_without_reason,
    "error_in_stream": error_in_stream,
    "garbage_event": garbage_event,
    "list_event": list_event,
    "deep_event": deep_event,
    "falling_count": falling_count,
    "absurd_count": absurd_count,
    "endless_line": endless_line,
    "endless_head": endless_head,
    "not_http": lambda sock: sock.sendall(b"220 mail.example.org ESMTP\r\n"),
    "http_400": lambda sock: whole(
        sock, "400 Bad Request", "application/json", b'{"error": {"message": "too long"}}'
    ),
    "http_503": lambda sock: whole(sock, "503 Busy", "text/html", b"<p>busy</p>"),
    "unstreamed": lambda sock: whole(
        sock, "200 OK", "application/json", b'{"choices": [{"text": "x"}]}'
    ),
    "die": lambda sock: os.kill(os.getpid(), signal.SIGKILL),
}


class Server:
    def __init__(self, port: int = 0) -> None:
        self.listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.streams: list[Stream] = []

    def run(self) -> None:
        while True:
            wait = min((s.due for s in self.streams), default=1e18) - time.monotonic()
            for key, _ in self.selector.select(min(0.5, max(0.0, wait))):
                if key.data is None:
                    sock, _ = self.listener.accept()
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self.selector.register(sock, selectors.EVENT_READ, bytearray())
                else:
                    self.read(key.fileobj, key.data)  # type: ignore[arg-type]
            now = time.monotonic()
            for stream in [s for s in self.streams if s.due <= now]:
                try:
                    more = stream.step()
                except OSError:
                    more = False
                if not more:
                    self.streams.remove(stream)

    def read(self, sock: socket.socket, buffer: bytearray) -> None:
        try:
            data = sock.recv(2**16)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(sock)
            sock.close()
            self.streams = [s for s in self.streams if s.sock is not sock]
            return
        buffer += data
        head, found, rest = bytes(buffer).partition(b"\r\n\r\n")
        if not found:
            return
        if head.startswith(b"GET"):
            buffer.clear()
            whole(sock, "200 OK", "text/plain", b"fine")
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(rest) < length:
            return
        asked = json.loads(rest[:length])
        buffer[:] = rest[length:]
        if b"/v1/completions" in head:
            self.answer(sock, asked)
        else:
            whole(sock, "404 Not Found", "text/plain", b"there is no such place")

    def answer(self, sock: socket.socket, asked: dict[str, Any]) -> None:
        scene = asked.get("scene", "stream")
        if scene == "stream":
            self.streams.append(Stream(sock, asked, time.monotonic()))
            return
        if scene == "reset":
            self.selector.unregister(sock)
        with suppress(OSError):
            SCENES[scene](sock)


def leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    chosen = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    server = Server(chosen)
    print(server.listener.getsockname()[1], flush=True)
    if not chosen:
        threading.Thread(target=leave_with_parent, daemon=True).start()
    server.run()
