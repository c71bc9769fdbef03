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

BUCKET_MS = 1
LONGEST_MS = 60_000


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


async def watch(
    host: str, port: int, path: str, n: int, watcher: Watcher, slow: bool, until: float
) -> None:
    reader, writer = await asyncio.open_connection(host, port, limit=2**16)
    # Each from a network of its own, as far as a server that trusts this one can tell.
    address = f"10.{n // 65536}.{n // 256 % 256}.{n % 256}"
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {address}\r\n"
    writer.write(f"{head}Last-Event-ID: {watcher.last}\r\n\r\n".encode())
    await writer.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in answer.partition(b"\r\n")[0]:
        raise RuntimeError(answer.decode("latin-1"))
    try:
        # Frames are found across the chunks of HTTP, whose lengths stand between them.
        while (left := until - time.monotonic()) > 0:
            try:
                line = await asyncio.wait_for(reader.readline(), left)
                size = int(line, 16)
                data = await asyncio.wait_for(reader.readexactly(size + 2), max(0.1, left))
            except TimeoutError:
                break
            except (ValueError, asyncio.IncompleteReadError, ConnectionError):
                watcher.closed_early = True
                break
            watcher.feed(data[:-2], time.time() * 1e3)
            if slow:
                await asyncio.sleep(size / 2048)
    finally:
        writer.close()


async def main(host: str, port: int, path: str, viewers: int, slow: int, seconds: float) -> Any:
    late = [0] * LONGEST_MS
    own = [0] * LONGEST_MS
    until = time.monotonic() + seconds
    fast = [Watcher(late) for _ in range(viewers)]
    lagging = [Watcher(own) for _ in range(slow)]
    tasks = []
    for n, watcher in enumerate([*fast, *lagging]):
        is_slow = n >= viewers
        tasks.append(asyncio.ensure_future(watch(host, port, path, n, watcher, is_slow, until)))
        if n % 50 == 49:
            await asyncio.sleep(0.2)
    began = time.process_time()
    await asyncio.gather(*tasks)
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
