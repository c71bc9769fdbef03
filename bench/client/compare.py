"""lem's client beside ``vllm bench serve`` and GuideLLM on one server: what each reports of one
load, and the CPU time that it takes.

``python -m bench.client.compare --vllm PYTHON --guidellm PYTHON --tokenizer FOLDER --model NAME
--port PORT`` from the clone's root; ``--fake`` starts a server that streams on a fixed schedule and
costs little. The tools take turns; figures are medians over the rounds. CPU time is of a tool's
whole process tree while requests were open: starting and loading are not in it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import Any

from lem.meters.process_tree import ProcessTree, cpu_clock_ns

DRIVERS = Path(__file__).parent / "drivers"
SERVER = Path(__file__).parents[2] / "tests" / "workloads" / "fake_server.py"
FIGURES = ("tokens_per_s", "ttft_p50_ms", "ttft_p99_ms", "tpot_p50_ms", "tpot_p99_ms",
           "itl_p50_ms", "itl_p99_ms", "cpu_us_per_token", "cpu_share")  # fmt: skip
LOOK_S = 0.02
LIMIT_S = 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vllm", help="Python that has vLLM")
    parser.add_argument("--guidellm", help="Python that has GuideLLM")
    parser.add_argument("--model", default="m")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--fake", action="store_true")
    parser.add_argument("--gap-ms", type=float, default=50.0, help="between chunks, with --fake")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--input-tokens", type=int, default=64)
    parser.add_argument("--output-tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--core",
        type=int,
        help="the one core that tools may use; with the server on others (`taskset -c 0 …`) a tool "
        "that works a lot takes nothing from it",
    )
    chosen = parser.parse_args()
    tools = {
        "lem_client": sys.executable,
        "vllm_client": chosen.vllm,
        "guidellm_client": chosen.guidellm,
    }
    tools = {name: python for name, python in tools.items() if python}
    task = {
        "host": "127.0.0.1",
        "port": chosen.port,
        **{k: getattr(chosen, k) for k in ("model", "tokenizer", "requests", "concurrency")},
        "input_tokens": chosen.input_tokens,
        "output_tokens": chosen.output_tokens,
        "extra": {"first_ms": 100, "gap_ms": chosen.gap_ms} if chosen.fake else {},
    }
    server = None
    if chosen.fake:
        server = subprocess.Popen(
            [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        task["port"] = int(server.stdout.readline())
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in tools}
    try:
        for turn in range(chosen.rounds):
            order = list(tools)
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                result = run(tools[name], name, task, chosen.core)
                print(name, json.dumps(result), file=sys.stderr, flush=True)
                found[name].append(result)
    finally:
        if server is not None:
            server.kill()
            server.communicate()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the end\n")
    print(f"| | {' | '.join(found)} |\n|{' --- |' * (1 + len(found))}")
    for figure in FIGURES:
        cells = [cell([r[figure] for r in results if figure in r]) for results in found.values()]
        print(f"| {figure} | {' | '.join(cells)} |")
    return 0


def cell(values: list[float]) -> str:
    """Median, and the range over the rounds."""
    if not values:
        return "–"
    middle = statistics.median(values)
    return f"{middle:.3g} ({min(values):.3g} to {max(values):.3g})"


def run(python: str, name: str, task: dict[str, Any], core: int | None = None) -> dict[str, Any]:
    """One tool once, with its CPU time; on ``core`` alone, where one is named."""
    pinned = [] if core is None else ["taskset", "--cpu-list", str(core)]
    environment = {
        **os.environ,
        "PYTHONPATH": "." if name == "lem_client" else "",
        "HF_HUB_OFFLINE": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
        "TORCHDYNAMO_DISABLE": "1",
    }
    with subprocess.Popen(
        [*pinned, python, str(DRIVERS / f"{name}.py"), json.dumps(task)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        tree = ProcessTree(process.pid, Path("/proc"), clock=cpu_clock_ns)
        seen: list[tuple[float, int]] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(LOOK_S):
                used = tree.cpu_time_ns()
                if used is not None:
                    seen.append((time.time(), used))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            output, _ = process.communicate(timeout=LIMIT_S)
        finally:
            process.kill()
            over.set()
            watcher.join()
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(f"{name} gave no result; run {DRIVERS / name}.py by hand")
    result: dict[str, Any] = json.loads(lines[-1])
    if result["failed"]:
        raise SystemExit(f"{name}: {result['failed']} requests failed")
    used_s = (at(seen, result["end"]) - at(seen, result["start"])) / 1e9
    seconds = result["end"] - result["start"]
    return {
        **result,
        "cpu_us_per_token": used_s / result["output_tokens"] * 1e6,
        "cpu_share": used_s / seconds,
    }


def at(seen: list[tuple[float, int]], moment: float) -> float:
    """CPU time at a moment, interpolated."""
    i = min(max(1, bisect_left(seen, (moment, 0))), len(seen) - 1)
    (a, x), (b, y) = seen[i - 1], seen[i]
    return x + (y - x) * min(1.0, max(0.0, (moment - a) / (b - a)))


if __name__ == "__main__":
    sys.exit(main())
