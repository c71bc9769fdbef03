"""The host process while a campaign runs: its memory, and that it idles."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Line

_CAMPAIGN = """\
version: 1
name: bench
models: [{synthetic: {hidden_size: 64, layers: 2, heads: 4, vocab_size: 512}, id: bench}]
backends: {transformers: {}}
sweep: {engine.max_batch_size: [1, 4]}
workload: {requests: 64, dataset: {kind: random, input_tokens: 16, output_tokens: 16}}
measure: {preset: quick, max_blocks: 2}
launcher: process
submit: never
"""


def lines(folder: Path) -> Iterator[Line]:
    file = folder / "campaign.yaml"
    file.write_text(_CAMPAIGN)
    lem = str(Path(sys.executable).parent / "lem")
    variables = os.environ | {"OMP_NUM_THREADS": "1", "LEM_CACHE": str(folder / "cache")}
    log = (folder / "log").open("w+")
    arguments = [lem, "campaign", "run", str(file), "--out", str(folder / "out"), "--blocks", "2"]
    process = subprocess.Popen(arguments, stdout=log, stderr=log, env=variables)
    peak_kib, seen = 0, []
    while process.poll() is None:
        if (now := _read(process.pid)) is not None:
            peak_kib = max(peak_kib, now[0])
            measuring = any((folder / "out").glob("blocks/*/*/*/events.ndjson"))
            seen += [(time.perf_counter(), now[1])] if measuring else []
        time.sleep(0.2)
    if process.returncode != 0 or len(seen) < 2:
        log.seek(0)
        last = (log.read().strip().splitlines() or ["it said nothing"])[-1]
        yield Line("the host process", f"not measured: the campaign failed: {last}")
        return
    busy = (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])
    yield Line("the host process, memory", f"{peak_kib / 1024:.0f} MiB at most", goal="≤ 100 MB")
    yield Line(
        "the host process, CPU while runs are made",
        f"{100 * busy:.1f} % of a core over {seen[-1][0] - seen[0][0]:.0f} s",
        "starting and ending short runs included",
        "≤ 1 % within a run",
    )


def _read(pid: int) -> tuple[int, float] | None:
    """Peak resident memory in KiB and CPU seconds so far of one process, children left out."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
    ticks = int(fields[11]) + int(fields[12])
    return int(peak), ticks / os.sysconf("SC_CLK_TCK")
