"""What can be learned of one board's meter without a model: its tick, idle power, repeatability."""

import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from lem.contract.record import EnergyReading
from lem.errors import RunFailed
from lem.meters import readings, series, trace
from lem.meters.nvml import Nvml
from lem.meters.protocol import MeterSettings, Sample
from lem.meters.sampler import Sampler

POLL_S = 0.0005

CONTEXT = """
import sys
import torch
torch.zeros(1, device="cuda")
torch.cuda.synchronize()
print("ready", flush=True)
sys.stdin.read()
"""

LOAD = """
import sys
import torch
a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
b = a @ a
torch.cuda.synchronize()
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        torch.mm(a, a, out=b)
    torch.cuda.synchronize()
    print("done", flush=True)
"""


def tick(gpu: int, seconds: float) -> dict[str, Any]:
    """How often the energy counter moves, from polling it: milliseconds; and what a poll costs.

    Raises :class:`RunFailed` where it does not move at all.
    """
    meter = Nvml()
    device = meter.open(MeterSettings(gpus=(gpu,)))[0]
    try:
        if device.quantity != "energy_mj":
            raise RunFailed("unsupported", "this board has no energy counter")
        samples: list[Sample] = []
        costs_ns: list[int] = []
        end_ns = time.monotonic_ns() + int(seconds * 1e9)
        while (before_ns := time.monotonic_ns()) < end_ns:
            samples += meter.read("edge")
            costs_ns.append(time.monotonic_ns() - before_ns)
            time.sleep(POLL_S)
    finally:
        meter.close()
    points = series.tick_points(samples, "energy_mj", 1e-3)
    if len(points) < 3:
        raise RunFailed("meter", f"the counter moved {len(points)} times in {seconds:g} s")
    ticks_ms = [(b.t_ns - a.t_ns) / 1e6 for a, b in pairwise(points)]
    steps_mj = [(b.value - a.value) * 1e3 for a, b in pairwise(points)]
    polls = series.of(samples, "energy_mj")
    gaps_ms = [(b.t_ns - a.t_ns) / 1e6 for a, b in pairwise(polls)]
    return {
        "ticks": len(points),
        "tick_ms": _spread(ticks_ms),
        "step_mj": _spread(steps_mj),
        "poll_gap_ms": _spread(gaps_ms),
        "call_us": _spread([c / 1e3 for c in costs_ns]),
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
    }


def idle(gpu: int, seconds: float) -> dict[str, Any]:
    """Mean power of the board while nothing of ours runs on it, by counter, and what power readings
    say beside it."""
    with _watch(gpu) as watched:
        start_ns = watched.sampler.mark()
        time.sleep(seconds)
        end_ns = watched.sampler.mark()
    return _power(watched, start_ns, end_ns)


def idle_with_context(gpu: int, seconds: float) -> dict[str, Any]:
    """As :func:`idle`, with a CUDA context open in another process. Raises :class:`RunFailed`."""
    with _child(CONTEXT, gpu):
        time.sleep(1.0)
        return idle(gpu, seconds)


def same_twice(gpu: int, pairs: int, seconds: float) -> dict[str, Any]:
    """A/A: the same matrix products over and over, labelled A and B in turn (ABBA…). The ratio of
    their energies should be 1; its scatter is what this board's meter can tell apart."""
    with _child(LOAD, gpu) as child, _watch(gpu) as watched:
        start_s = time.monotonic()
        _products(child, 200)
        products = max(1, int(200 * seconds / (time.monotonic() - start_s)))
        _products(child, products)
        edges: list[tuple[str, int, int]] = []
        for pair in range(pairs):
            for label in ("AB", "BA")[pair % 2]:
                start_ns = watched.sampler.mark()
                _products(child, products)
                edges.append((label, start_ns, watched.sampler.mark()))
    energies: dict[str, list[float]] = {"A": [], "B": []}
    flags: set[str] = set()
    for label, start_ns, end_ns in edges:
        r = watched.reading(start_ns, end_ns)
        if r.energy_j is None:
            raise RunFailed("meter", f"no energy for a window: {', '.join(r.flags)}")
        flags |= set(r.flags)
        energies[label].append(r.energy_j / products)
    ratios = [math.log(b / a) for a, b in zip(energies["A"], energies["B"], strict=True)]
    deviation = statistics.stdev(ratios) if len(ratios) > 1 else None
    return {
        "products_per_window": products,
        "energy_per_product_j": energies,
        "log_ratio_mean": statistics.fmean(ratios),
        "log_ratio_sd": deviation,
        "pairs": len(ratios),
        "flags": sorted(flags),
    }


@dataclass
class Watched:
    """A sampler at work, and its samples once the context has been left."""

    sampler: Sampler
    samples: list[Sample] = field(default_factory=list)

    def reading(self, start_ns: int, end_ns: int) -> EnergyReading:
        return readings.readings(self.sampler.infos, self.samples, start_ns, end_ns)[0]


@contextmanager
def _watch(gpu: int) -> Iterator[Watched]:
    with tempfile.TemporaryDirectory(prefix="lem-gpu-check-") as folder:
        path = Path(folder) / "trace.csv.gz"
        # The load is a child of this process: it is ours, and no foreign process.
        settings = MeterSettings(gpus=(gpu,), process=os.getpid())
        with Sampler(["nvml"], settings, path) as sampler:
            if not sampler.infos:
                raise RunFailed("meter", sampler.unavailable.get("nvml", "NVML gives no device"))
            watched = Watched(sampler)
            yield watched
            time.sleep(0.2)
        watched.samples = trace.read(path)


def _power(watched: Watched, start_ns: int, end_ns: int) -> dict[str, Any]:
    r = watched.reading(start_ns, end_ns)
    seconds = (end_ns - start_ns) / 1e9
    polled = [
        w / 1e3
        for w in series.within(
            [s for s in watched.samples if s.meter == "nvml"], "power_mw", start_ns, end_ns
        )
    ]
    if r.energy_j is None or r.uncertainty_j is None:
        raise RunFailed("meter", f"no energy for the window: {', '.join(r.flags)}")
    return {
        "window_s": seconds,
        "mean_power_w": r.energy_j / seconds,
        "uncertainty_w": r.uncertainty_j / seconds,
        "budget_w": {k: v / seconds for k, v in r.budget_j.items()},
        "polled_power_w": _spread(polled) if polled else None,
        "flags": r.flags,
    }


@contextmanager
def _child(code: str, gpu: int) -> Iterator[subprocess.Popen[str]]:
    """A process that says "ready" once it uses the GPU; ended with its stdin."""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": str(gpu)},
    )
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    try:
        if child.stdout.readline() != "ready\n":
            last = child.stderr.read().strip().splitlines()[-1:]
            raise RunFailed("unsupported", "torch cannot use the GPU: " + "".join(last)[:500])
        yield child
    finally:
        child.stdin.close()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        child.stdout.close()
        child.stderr.close()


def _products(child: subprocess.Popen[str], count: int) -> None:
    assert child.stdin is not None and child.stdout is not None
    child.stdin.write(f"{count}\n")
    child.stdin.flush()
    if child.stdout.readline() != "done\n":
        raise RunFailed("engine_error", "the load ended early")
