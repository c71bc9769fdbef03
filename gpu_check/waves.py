"""The board under a load that is switched: counter beside power, step response, part-time sampling.

The functions that judge samples are pure; the others bring them about.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

from gpu_check import load
from gpu_check.load import Edges
from gpu_check.probe import products_in
from gpu_check.watch import poll, watch
from lem.errors import RunFailed
from lem.meters import nvml_power
from lem.meters.energy import counter, part_time, series
from lem.meters.energy.counter import Point
from lem.meters.protocol import Sample

BURSTS_S = (0.43, 0.30)
"""On and off, s: what a served model does, and no multiple of a sensor's period."""

SETTLES_S = 2.0
"""After work, until the mean of the last second knows nothing of it."""


def counter_against_power(gpu: int, seconds: float) -> dict[str, Any]:
    """Energy by the counter ÷ by each kind of power, integrated: idle, steady and in bursts."""
    found = {}
    with load.loaded(gpu) as child:
        products = products_in(child, seconds + 1)
        time.sleep(SETTLES_S)
        with watch(gpu) as idle:
            start_ns = idle.sampler.mark()
            time.sleep(seconds)
            end_ns = idle.sampler.mark()
        found["idle"] = beside(idle.board, start_ns, end_ns)
        with watch(gpu) as steady:
            steady.sampler.mark()
            ((start_ns, end_ns),) = child.products(products)
            steady.sampler.mark()
        # Within the load: its edges are the step response's business.
        found["steady"] = beside(steady.board, start_ns + 500_000_000, end_ns - 100_000_000)
        with watch(gpu) as bursts:
            bursts.sampler.mark()
            child.begin_wave([BURSTS_S] * int(seconds / sum(BURSTS_S) + 1))
            edges = child.edges()
            bursts.sampler.mark()
        found["bursts"] = beside(bursts.board, edges[0][0], edges[-1][1])
    return found


def beside(samples: Sequence[Sample], start_ns: int, end_ns: int) -> dict[str, Any]:
    """Counter and each kind of power over one stretch. Raises :class:`RunFailed`."""
    points = series.tick_points(samples, "energy_mj", 1e-3)
    moved = counter.between(points, start_ns, end_ns, reach_ns=150_000_000)
    if moved is None:
        raise RunFailed("meter", "the counter was not seen at both ends")
    by_power = {}
    for quantity in nvml_power.read_as(samples):
        own = [s for s in samples if s.quantity in (quantity, "architecture")]
        integrated = nvml_power.integrate(own, start_ns, end_ns)
        compared = nvml_power.compare(own, moved.amount, start_ns, end_ns)
        if integrated is None:
            continue
        by_power[quantity] = {
            "energy_j": integrated.energy_j,
            "uncertainty_without_sensor_j": 2 * integrated.sampling_j,
            "ratio": moved.amount / integrated.energy_j if integrated.energy_j else None,
            "tolerance": compared.tolerance if compared else None,
            "differs": compared.differs if compared else None,
        }
    return {
        "window_s": (end_ns - start_ns) / 1e9,
        "counter_j": moved.amount,
        "counter_uncertainty_j": 2 * moved.uncertainty,
        "by_power": by_power,
    }


def step_response(gpu: int, bursts: int, on_s: float, off_s: float) -> dict[str, Any]:
    """How late counter and power show a step of the load, and how the power fades after it."""
    with load.loaded(gpu) as child:
        child.begin_wave([(on_s, off_s)] * bursts)
        samples = poll(gpu, child.busy)
        edges = child.edges()
    return steps(samples, edges, off_s)


def steps(samples: Sequence[Sample], edges: Edges, off_s: float) -> dict[str, Any]:
    """From samples around a load with known edges; times in s. ``lag``: how much later than the
    load's own edge a step would have to be for the energy that was counted. ``reaches``: from the
    edge until this share of the step was first shown."""
    points = series.tick_points(samples, "energy_mj", 1e-3)
    found: dict[str, Any] = {}
    # The first burst comes after a warm-up of its own, and nothing is known of what was before.
    rising = [(on, min(off - on, int(off_s * 1e9))) for on, off in edges[1:]]
    falling = [(off, min(off - on, int(off_s * 1e9))) for on, off in edges[:-1]]
    for name, places in (("on", rising), ("off", falling)):
        lags = [lag_s(points, edge, length) for edge, length in places]
        known = [one for one in lags if one is not None]
        found[name] = {"counter_lag_s": statistics.median(known) if known else None}
        sources = {"counter": part_time.tick_power(points)}
        for quantity in nvml_power.read_as(samples):
            sources[quantity] = [(s.t_ns, s.value / 1e3) for s in series.of(samples, quantity)]
        for quantity, power in sources.items():
            found[name][quantity] = {
                f"reaches_{share:.0%}_after_s": _median(
                    [reaches_s(power, edge, length, share) for edge, length in places]
                )
                for share in (0.1, 0.5, 0.9)
            }
    return found


def _median(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def lag_s(points: Sequence[Point], edge_ns: int, length_ns: int) -> float | None:
    """How much later than ``edge_ns`` a step of power would have to come for the energy that the
    counter shows from half of ``length_ns`` before it to half after: the mean powers of the last
    third before and of the last third of ``length_ns`` after are the step's two levels.
    """
    before = _mean_w(points, edge_ns - length_ns // 3, edge_ns)
    after = _mean_w(points, edge_ns + 2 * length_ns // 3, edge_ns + length_ns)
    reach_ns = length_ns // 6
    around = counter.between(points, edge_ns - length_ns // 2, edge_ns + length_ns // 2, reach_ns)
    if before is None or after is None or around is None or abs(after - before) < 1:
        return None
    half_s = length_ns / 2e9
    return (half_s * (before + after) - around.amount) / (after - before)


def reaches_s(
    power: Sequence[tuple[int, float]], edge_ns: int, length_ns: int, share: float
) -> float | None:
    """From the edge until ``share`` of a step is first shown, s; None where it never is."""
    before = [w for t, w in power if edge_ns - length_ns // 3 <= t < edge_ns]
    after = [w for t, w in power if edge_ns + 2 * length_ns // 3 <= t < edge_ns + length_ns]
    if not before or not after:
        return None
    low, high = statistics.fmean(before), statistics.fmean(after)
    if abs(high - low) < 1:
        return None
    for t, watts in power:
        if edge_ns <= t < edge_ns + length_ns and (watts - low) / (high - low) >= share:
            return (t - edge_ns) / 1e9
    return None


def _mean_w(points: Sequence[Point], start_ns: int, end_ns: int) -> float | None:
    moved = counter.between(points, start_ns, end_ns, reach_ns=(end_ns - start_ns) // 2)
    return None if moved is None else moved.amount / ((end_ns - start_ns) / 1e9)


def part_time_sampling(gpu: int, period_s: float, seconds: float) -> dict[str, Any]:
    """Square waves shorter than the counter's tick (``period_s``), about as long, and longer."""
    wave = [p * period_s for p in (0.4, 0.95, 1.0, 1.05, 2.5, 7.3)]
    on_off = [(p / 2, p / 2) for p in wave for _ in range(max(2, round(seconds / p)))]
    with load.loaded(gpu) as child:
        child.begin_wave(on_off)
        samples = poll(gpu, child.busy)
        edges = child.edges()
    return looked(samples, edges, wave, [max(2, round(seconds / p)) for p in wave])


def looked(
    samples: Sequence[Sample], edges: Edges, wave: Sequence[float], each: Sequence[int]
) -> dict[str, Any]:
    """For counter and each kind of power: the part of the time in which the sensor looks; and for
    each period of the ``wave`` (s, ``each`` so often) the mean power that each of them shows."""
    points = series.tick_points(samples, "energy_mj", 1e-3)
    sources = {"counter": part_time.tick_power(points)}
    for quantity in nvml_power.read_as(samples):
        power = [(s.t_ns, s.value / 1e3) for s in series.of(samples, quantity)]
        sources[quantity] = part_time.updates(power)
    found: dict[str, Any] = {"sensor": {n: _said(power, edges) for n, power in sources.items()}}
    periods = []
    first = 0
    for period, count in zip(wave, each, strict=True):
        own = edges[first : first + count]
        first += count
        start_ns, end_ns = own[0][0], own[-1][1]
        on_ns = sum(off - on for on, off in own)
        shown = {"counter": _mean_w(points, start_ns, end_ns)}
        for quantity in nvml_power.read_as(samples):
            alone = [s for s in samples if s.quantity in (quantity, "architecture")]
            integrated = nvml_power.integrate(alone, start_ns, end_ns)
            length_s = (end_ns - start_ns) / 1e9
            shown[quantity] = None if integrated is None else integrated.energy_j / length_s
        periods.append(
            {
                "period_ms": period * 1e3,
                "window_s": (end_ns - start_ns) / 1e9,
                "on_share": on_ns / (end_ns - start_ns),
                "mean_power_w": shown,
            }
        )
    return found | {"periods": periods}


def _said(power: Sequence[tuple[int, float]], edges: Edges) -> dict[str, Any] | None:
    found = part_time.sampled(power, edges)
    if found is None:
        return None
    return {
        "share_of_time": found.share,
        "window_ms": found.window_ns / 1e6,
        "window_low_ms": found.low_ns / 1e6,
        "window_high_ms": found.high_ns / 1e6,
        "delay_ms": found.delay_ns / 1e6,
        "changes_every_ms": found.period_ns / 1e6,
        "r2": found.r2,
        "without_load_w": found.low_w,
        "with_load_w": found.high_w,
    }
