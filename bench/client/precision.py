"""Time stamps against the truth: ``python -m bench.client.precision`` from the clone's root.

A server in a process of its own streams to many connections at once, all chunks in one burst on a
common beat, and writes into each chunk the time just before it was sent. Prints one Markdown table.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from lem.workloads.client import Client
from lem.workloads.latency import quantile
from lem.workloads.load import Log, Response
from lem.workloads.requests import Request
from lem.workloads.sources import ClosedLoop
from lem.workloads.stock import Stock
from lem.workloads.wire import Wire

SERVER = Path(__file__).parents[2] / "tests" / "workloads" / "fake_server.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=40, help="chunks of each answer")
    parser.add_argument("--gap-ms", type=float, default=40.0)
    parser.add_argument("--turns", type=int, default=5, help="answers for each stream")
    chosen = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the beginning\n")
    print("| stamps by | chunks/s | CPU/chunk | | p50 | p99 | largest error |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kernel in (True, False):
        for line in lines(chosen, kernel):
            print(line, flush=True)
    return 0


def lines(chosen: argparse.Namespace, kernel: bool) -> list[str]:
    log, seconds, cpu_s = run(chosen, kernel)
    answers = list(log.responses.values())
    if bad := [r for r in answers if r.status != "done"]:
        raise SystemExit(f"{len(bad)} requests failed: {bad[0].text}")
    chunks = sum(len(r.token_ns) for r in answers)
    first = [(r.token_ns[0] - r.sent_ns, written_ns(r)[0] - r.sent_ns) for r in answers]
    gaps = [
        (seen, true)
        for r in answers
        for seen, true in zip(gaps_of(r.token_ns), gaps_of(written_ns(r)), strict=True)
    ]
    name = "kernel" if kernel else "process"
    head = f"| {name} | {chunks / seconds:,.0f} | {cpu_s / chunks * 1e6:.1f} µs"
    return [
        f"{head if what == 'TTFT' else '| | |'} | {what} | {off(both, 0.5)} | {off(both, 0.99)} | "
        f"{max(abs(seen - true) for seen, true in both) / 1e6:.2f} ms |"
        for what, both in (("TTFT", first), ("ITL", gaps))
    ]


def off(both: Sequence[tuple[int, int]], q: float) -> str:
    """A quantile as it was read, and how far that is from the true one."""
    seen = quantile(sorted(a / 1e6 for a, _ in both), q)
    true = quantile(sorted(b / 1e6 for _, b in both), q)
    return f"{seen:.2f} ms ({seen - true:+.3f})"


def run(chosen: argparse.Namespace, kernel: bool) -> tuple[Log, float, float]:
    """The log, the seconds it took, and the client's CPU time."""
    with subprocess.Popen(
        [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        address = ("127.0.0.1", int(server.stdout.readline()))

        def body(r: Request) -> dict[str, object]:
            return {
                "prompt": r.input_ids,
                "max_tokens": r.output_tokens,
                "stream": True,
                "first_ms": 50,
                "gap_ms": chosen.gap_ms,
                "together": True,
            }

        log, n = Log(), chosen.streams * chosen.turns
        stock = Stock([Request(f"r{i}", [1, 2, 3], chosen.tokens, "") for i in range(n)])
        client = Client(address, Wire("/v1/completions", body), kernel_stamps=kernel)
        start, cpu = time.monotonic(), time.process_time()
        client.serve(ClosedLoop(chosen.streams, stock, log, limit=n), log)
        took = time.monotonic() - start, time.process_time() - cpu
        server.kill()
    return log, *took


def written_ns(response: Response) -> list[int]:
    return [int(t) for t in response.text.split()]


def gaps_of(times: Sequence[int]) -> list[int]:
    return [b - a for a, b in pairwise(times)]


if __name__ == "__main__":
    sys.exit(main())
