"""``python -m bench.live`` from the clone's root: a real server, a made runner, many who watch.

Prints a Markdown table. Server, runner and viewers share the machine: on two cores they share two.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from lem.archive.database import open_database
from tests.leases import held
from tests.server_process import Process

SETTLE_S = 4.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--viewers", type=int, nargs="+", default=[200, 500])
    parser.add_argument("--slow", type=int, default=5, help="viewers that read 2 KiB a second")
    parser.add_argument("--minutes", type=float, default=2.0)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"{os.cpu_count()} CPUs, load {load:.1f} at the beginning; ", end="")
    print(f"{chosen.minutes:g} minutes, {chosen.slow} slow viewers besides\n")
    print(
        "| viewers | batches/s | lost, twice, not there yet at the end | late: p50, p95, p99, most"
        " | server's memory: before, after a tenth, at the end | server's CPU | post: p50, p99 |\n|"
        + " --- |"
        * 7
    )
    for viewers in chosen.viewers:
        with tempfile.TemporaryDirectory(prefix="lem-bench-") as folder:
            print(measured(Path(folder), viewers, chosen.slow, 60 * chosen.minutes), flush=True)
    return 0


def measured(folder: Path, viewers: int, slow: int, seconds: float) -> str:
    server = Process(folder / "data", ("--trust-proxy", "127.0.0.1"))
    try:
        database = open_database(None, folder / "data")
        lease = held(database)
        database.close()
        # One round of everything, so that what is loaded late is loaded.
        run_runner(server.url, lease, 1.0).communicate()
        httpx.get(f"{server.url}/api/v1/campaigns/{lease.queued}/recording")
        time.sleep(1)
        before = memory_mib(server.process.pid)
        path = f"/api/v1/campaigns/{lease.queued}/events"
        arguments = [*("127.0.0.1", str(server.port), path), str(viewers), str(slow)]
        watching = subprocess.Popen(
            [sys.executable, "-m", "bench.live.viewers", *arguments, str(seconds + 2 * SETTLE_S)],
            stdout=subprocess.PIPE,
        )
        time.sleep(SETTLE_S)
        running = run_runner(server.url, lease._replace(fence=lease.fence), seconds)
        cpu, began = cpu_s(server.process.pid), time.monotonic()
        time.sleep(seconds / 10)
        early = memory_mib(server.process.pid)
        running.wait()
        busy = (cpu_s(server.process.pid) - cpu) / (time.monotonic() - began)
        after = memory_mib(server.process.pid)
        sent = json.loads(running.communicate()[0])
        seen = json.loads(watching.communicate()[0])
    finally:
        server.kill()
    return line(viewers, sent, seen, (before, early, after), busy, seconds)


def run_runner(url: str, lease: Any, seconds: float) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "bench.live.runner", url),
            *(lease.queued, str(lease.fence), str(seconds)),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(f"{lease.token}\n".encode())
    process.stdin.flush()
    return process


def line(
    viewers: int,
    sent: dict[str, Any],
    seen: dict[str, Any],
    mib: tuple[float, float, float],
    busy: float,
    seconds: float,
) -> str:
    late = {int(ms): n for ms, n in seen["late_ms"].items()}
    behind = sum(sent["batches"] - last for last in seen["last"])
    cells = [
        f"{viewers}",
        f"{sent['batches'] / seconds:.1f} ({sent['refused']} refused)",
        f"{seen['lost']}, {seen['twice']}, {behind}"
        f" (slow: {seen['slow_lost']}, {seen['slow_twice']})",
        ", ".join(f"{quantile(late, q)}" for q in (0.5, 0.95, 0.99, 1.0)) + " ms",
        f"{mib[0]:.0f}, {mib[1]:.0f}, {mib[2]:.0f} MiB",
        f"{100 * busy:.0f} % of a core (viewers' process: {seen['cpu_s'] / seconds:.0%})",
        f"{sent['post_p50_ms']:.0f}, {sent['post_p99_ms']:.0f} ms",
    ]
    return f"| {' | '.join(cells)} |"


def quantile(counts: dict[int, int], q: float) -> int:
    """Of a histogram: value → how often."""
    left = q * sum(counts.values())
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return max(counts, default=0)


def memory_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(x.split()[1]) for x in status.splitlines() if x.startswith("VmRSS")) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
