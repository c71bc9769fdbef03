"""Many who watch, in a process of their own: plain sockets on one event loop.

``python -m bench.live.viewers HOST PORT PATH VIEWERS SLOW SECONDS`` prints what they got as JSON.
Those that are slow read 2 KiB a second. A sample's lateness is from its own time stamp until its
bytes were read here, on one machine with one clock.
"""

import asyncio
import json
import sys
import time
from typing import Any

LONGEST_MS = 60_000
SLOW_BYTES_PER_S = 2048


class Watcher:
    """Reads one stream; counts what comes and notes how late it is."""

    def __init__(self, late: list[int]) -> None:
        self.late = late
        self.began_ms = time.time() * 1e3
        self.batches = 0
        self.last = 0
        self.lost = 0
        self.twice = 0
        self.samples = 0
        self.closed_early = False
        self._rest = b""

    def feed(self, data: bytes, now_ms: float) -> None:
        *frames, self._rest = (self._rest + data).split(b"\n\n")
        for frame in frames:
            at = frame.find(b"id: ")
            if at < 0 or b"\ndata: [" not in frame:
                continue
            number = int(frame[at + 4 : frame.index(b"\n", at)])
            self.lost += max(0, number - self.last - 1)
            self.twice += number <= self.last
            self.last = max(self.last, number)
            self.batches += 1
            self.samples += frame.count(b'"k":"power"')
            newest = int(frame.rpartition(b'"at":')[2].partition(b",")[0].rstrip(b"}]"))
            # What was there before says nothing of lateness.
            if newest >= self.began_ms:
                self.late[min(LONGEST_MS - 1, max(0, int(now_ms - newest)))] += 1


class Reading(asyncio.Protocol):
    """One connection. Those that are slow stop reading for as long as what came would take them."""

    def __init__(self, watcher: Watcher, head: bytes, slow: bool) -> None:
        self.watcher = watcher
        self._head = head
        self._slow = slow
        self._data = b""
        self._begun = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._head)

    def data_received(self, data: bytes) -> None:
        now_ms = time.time() * 1e3
        self._data += data
        if not self._begun:
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 200 " not in head.partition(b"\r\n")[0]:
                raise RuntimeError(head.decode("latin-1"))
            self._begun, self._data = True, rest
        # Frames are found across the chunks of HTTP, whose lengths stand between them.
        while b"\r\n" in self._data:
            line, _, rest = self._data.partition(b"\r\n")
            size = int(line, 16)
            if len(rest) < size + 2:
                break
            self.watcher.feed(rest[:size], now_ms)
            self._data = rest[size + 2 :]
        if self._slow:
            self.transport.pause_reading()
            loop = asyncio.get_running_loop()
            loop.call_later(len(data) / SLOW_BYTES_PER_S, self.transport.resume_reading)

    def connection_lost(self, error: Exception | None) -> None:
        self.watcher.closed_early = True


async def watch(host: str, port: int, path: str, n: int, watcher: Watcher, slow: bool) -> Reading:
    # Each from a network of its own, as far as a server that trusts this one can tell.
    address = f"10.{n // 65536}.{n // 256 % 256}.{n % 256}"
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {address}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    _, made = await loop.create_connection(lambda: Reading(watcher, head, slow), host, port)
    return made


async def main(host: str, port: int, path: str, viewers: int, slow: int, seconds: float) -> Any:
    late = [0] * LONGEST_MS
    own = [0] * LONGEST_MS
    until = time.monotonic() + seconds
    fast = [Watcher(late) for _ in range(viewers)]
    lagging = [Watcher(own) for _ in range(slow)]
    began = time.process_time()
    for n, watcher in enumerate([*fast, *lagging]):
        await watch(host, port, path, n, watcher, n >= viewers)
        if n % 50 == 49:
            await asyncio.sleep(0.2)
    await asyncio.sleep(until - time.monotonic())
    return {
        "last": [w.last for w in fast],
        "lost": sum(w.lost for w in fast),
        "twice": sum(w.twice for w in fast),
        "samples": sum(w.samples for w in fast),
        "closed_early": sum(w.closed_early for w in fast),
        "slow_lost": sum(w.lost for w in lagging),
        "slow_twice": sum(w.twice for w in lagging),
        "slow_closed": sum(w.closed_early for w in lagging),
        "late_ms": {str(i): n for i, n in enumerate(late) if n},
        "cpu_s": time.process_time() - began,
    }


if __name__ == "__main__":
    host, port, path, viewers, slow, seconds = sys.argv[1:]
    found = asyncio.run(main(host, int(port), path, int(viewers), int(slow), float(seconds)))
    print(json.dumps(found))
