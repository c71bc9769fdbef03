"""What can be learned of one board's meter with little or no load: what there is, its tick, its
power readings, what it draws idle, and what watching it costs."""

import math
import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from gpu_check import load
from gpu_check.watch import Watched, board_of, spread, watch
from lem.errors import RunFailed
from lem.meters import nvml_board, readings
from lem.meters.energy import part_time, series
from lem.meters.nvml import Nvml
from lem.meters.protocol import MeterSettings, Sample

POLL_S = 0.0005

LEARNING_S = 3.0
"""In which the sampler should have learned a counter's period."""


def meters(gpu: int) -> dict[str, Any]:
    """What ``lem meter list`` sees here."""
    infos, unavailable = readings.probe(MeterSettings(gpus=(gpu,)))
    return {
        "devices": [
            {**i.model_dump(mode="json"), "uncertainty": readings.stated_uncertainty(i)}
            for i in infos
        ],
        "unavailable": {n: {"reason": e.message, "fix": e.hint} for n, e in unavailable.items()},
    }


def tick(gpu: int, seconds: float) -> dict[str, Any]:
    """How often the energy counter moves, from polling it: milliseconds; and what a poll costs.

    Raises :class:`RunFailed` where it does not move at all.
    """
    meter = Nvml()
    device = board_of(meter.open(MeterSettings(gpus=(gpu,))))
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
    with watch(gpu) as watched:
        start_s = time.monotonic()
        learned = None
        while learned is None and time.monotonic() - start_s < LEARNING_S:
            watched.sampler.rest()
            learned = watched.sampler.periods().get(("nvml", device.device))
        took_s = time.monotonic() - start_s
    return {
        "learned_ms": None if learned is None else learned * 1e3,
        "learning_took_s": took_s,
        "ticks": len(points),
        "tick_ms": spread(ticks_ms),
        "step_mj": spread(steps_mj),
        "poll_gap_ms": spread(gaps_ms),
        "call_us": spread([c / 1e3 for c in costs_ns]),
    }


def power_readings(gpu: int, seconds: float) -> dict[str, Any]:
    """Which kinds of power the board tells, how often each changes, and what reading it costs.

    Raises :class:`RunFailed` where it tells none.
    """
    import pynvml

    pynvml.nvmlInit()
    try:
        board = pynvml.nvmlDeviceGetHandleByIndex(gpu)
        calls: dict[str, Any] = {
            "nvmlDeviceGetPowerUsage": nvml_board.power(pynvml, board),
            "fields": nvml_board.PowerFields(pynvml, board, nvml_board.SCOPE_GPU).read,
            "module_fields": nvml_board.PowerFields(pynvml, board, nvml_board.SCOPE_MODULE).read,
        }
        found = {name: _changes(call, seconds) for name, call in calls.items()}
    finally:
        pynvml.nvmlShutdown()
    if not any(found.values()):
        raise RunFailed("unsupported", "this board tells no power")
    quantities = ("power_average_mw (185)", "power_instant_mw (186)")
    return {"order_of_fields": quantities, **found}


def _changes(call: Any, seconds: float) -> dict[str, Any] | None:
    """None where it cannot be called."""
    times: list[int] = []
    costs_us: list[float] = []
    values: list[Any] = []
    end_ns = time.monotonic_ns() + int(seconds * 1e9)
    while (before_ns := time.monotonic_ns()) < end_ns:
        try:
            value = call()
        except nvml_board.CallFailed:
            return None
        after_ns = time.monotonic_ns()
        times.append(after_ns)
        costs_us.append((after_ns - before_ns) / 1e3)
        values.append(value if isinstance(value, list) else [value])
        time.sleep(POLL_S)
    columns = list(zip(*values, strict=True))
    periods = []
    for column in columns:
        changed = part_time.updates(list(zip(times, column, strict=True)))
        gaps_ms = [(b[0] - a[0]) / 1e6 for a, b in pairwise(changed)]
        periods.append(spread(gaps_ms) if gaps_ms else None)
    return {
        "values_mw": [spread(column) if None not in column else None for column in columns],
        "changes_every_ms": periods,
        "call_us": spread(costs_us),
    }


def idle(gpu: int, seconds: float) -> dict[str, Any]:
    """Mean power of the board while nothing of ours runs on it, by counter, and what power readings
    say beside it."""
    with watch(gpu) as watched:
        start_ns = watched.sampler.mark()
        time.sleep(seconds)
        end_ns = watched.sampler.mark()
    return mean_power(watched, start_ns, end_ns)


def idle_with_context(gpu: int, seconds: float) -> dict[str, Any]:
    """As :func:`idle`, with a CUDA context open in another process. Raises :class:`RunFailed`."""
    with load.context(gpu):
        time.sleep(1.0)
        return idle(gpu, seconds)


def mean_power(watched: Watched, start_ns: int, end_ns: int) -> dict[str, Any]:
    r = watched.reading(start_ns, end_ns)
    seconds = (end_ns - start_ns) / 1e9
    polled = {
        quantity: spread([w / 1e3 for w in inside])
        for quantity in ("power_average_mw", "power_instant_mw", "power_mw")
        if (inside := series.within(watched.board, quantity, start_ns, end_ns))
    }
    if r.energy_j is None or r.uncertainty_j is None:
        raise RunFailed("meter", f"no energy for the window: {', '.join(r.flags)}")
    return {
        "window_s": seconds,
        "mean_power_w": r.energy_j / seconds,
        "uncertainty_w": r.uncertainty_j / seconds,
        "budget_w": {k: v / seconds for k, v in r.budget_j.items()},
        "polled_power_w": polled,
        "temperature_c": series.last_value(watched.board, "temperature_c", end_ns),
        "flags": r.flags,
    }


def sampler_overhead(gpu: int, seconds: float) -> dict[str, Any]:
    """CPU time of the sampler's process ÷ time, and its memory, at the two usual intervals."""
    found: dict[str, Any] = {}
    for interval_s in (0.05, 0.1):
        with watch(gpu, interval_s) as watched:
            time.sleep(seconds)
            process = watched.sampler._process
            memory = _peak_memory_bytes(0 if process is None else process.pid)
        own = [s for s in watched.samples if s.quantity == "cpu_time_ns" and s.device == "self"]
        if len(own) < 3:
            raise RunFailed("meter", "the sampler did not tell what it cost")
        # From the second on: what starting Python costs is no part of a round.
        spent_ns, over_ns = own[-1].value - own[1].value, own[-1].t_ns - own[1].t_ns
        found[f"{interval_s * 1e3:g} ms"] = {
            "share_of_time": spent_ns / over_ns,
            "start_s": own[0].value / 1e9,
            "peak_memory_bytes": memory,
        }
    return found


def _peak_memory_bytes(pid: int) -> int | None:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def sampler_beside_load(gpu: int, pairs: int, seconds: float) -> dict[str, Any]:
    """How much longer the same products take while the sampler watches, relative."""
    ratios = []
    with load.loaded(gpu) as child:
        products = products_in(child, seconds)
        for pair in range(pairs):
            took: dict[bool, int] = {}
            for watched in ((True, False), (False, True))[pair % 2]:
                if watched:
                    with watch(gpu):
                        ((start_ns, end_ns),) = child.products(products)
                else:
                    ((start_ns, end_ns),) = child.products(products)
                took[watched] = end_ns - start_ns
            ratios.append(math.log(took[True] / took[False]))
    deviation = statistics.stdev(ratios) if len(ratios) > 1 else None
    return {"pairs": pairs, "log_ratio_mean": statistics.fmean(ratios), "log_ratio_sd": deviation}


def products_in(child: load.Load, seconds: float) -> int:
    """How many products take that long, after warming up."""
    ((start_ns, end_ns),) = child.products(200)
    products = max(1, int(200 * seconds * 1e9 / (end_ns - start_ns)))
    child.products(products)
    return products
