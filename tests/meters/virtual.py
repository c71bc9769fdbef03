"""Traces of the energy counter in virtual time: what the sampler would have written around one
piece of work, with the truth beside it. A thousand of them take seconds.

Power is given by its energy in closed form. The counter ticks evenly; polls are taken as the
sampler takes them: densely while the device rests, now and then in between.
"""

import bisect
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from lem.meters.protocol import Sample
from lem.meters.sampling import rounds

Energy = Callable[[float], float]
"""Seconds → J drawn since a fixed moment."""


class Piece(NamedTuple):
    """From ``start_s`` on (until the next piece): ``level_w`` + ``extra_w`` · e^(−t/``tau_s``),
    changing by ``slope_w_s`` watts per second; t counts from the piece's start."""

    start_s: float
    level_w: float
    extra_w: float = 0.0
    tau_s: float = 1.0
    slope_w_s: float = 0.0

    def energy_j(self, t: float) -> float:
        fading = self.extra_w * self.tau_s * -math.expm1(-t / self.tau_s) if self.extra_w else 0.0
        return self.level_w * t + fading + self.slope_w_s * t * t / 2

    def power_w(self, t: float) -> float:
        fading = self.extra_w * math.exp(-t / self.tau_s) if self.extra_w else 0.0
        return self.level_w + fading + self.slope_w_s * t


class Power:
    """Pieces, one after another; before the first one its power holds."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = list(pieces)
        self._starts = [p.start_s for p in pieces]
        self._sums = [0.0]
        for a, b in zip(self.pieces, self.pieces[1:], strict=False):
            self._sums.append(self._sums[-1] + a.energy_j(b.start_s - a.start_s))

    def energy_j(self, t: float) -> float:
        i = max(0, bisect.bisect_right(self._starts, t) - 1)
        return self._sums[i] + self.pieces[i].energy_j(t - self._starts[i])


@dataclass(frozen=True)
class Polling:
    """How well the sampler gets to run, and how the library answers. Seconds."""

    poll_s: float = 0.0006
    hiccup: float = 0.01
    """Share of polls after which the sampler is not run for a while."""
    hiccup_s: float = 0.004
    call_s: float = 0.00003
    interval_s: float = 0.05


@dataclass(frozen=True)
class Counter:
    tick_s: float = 0.1
    phase_s: float = 0.0
    quantum_mj: int = 1
    gain: float = 1.0
    offset_w: float = 0.0
    noise: float = 0.0
    """Relative standard deviation of the noise of each tick's energy."""
    jitter_s: float = 0.0
    """Standard deviation of when a tick shows, against the even grid."""
    start_mj: int = 5_000_000_000


@dataclass(frozen=True)
class Trace:
    samples: list[Sample]
    start_ns: int
    end_ns: int
    truth_j: float
    notes: dict[str, float] = field(default_factory=dict)


def take(
    power: Power,
    start_s: float,
    end_s: float,
    counter: Counter,
    polling: Polling,
    rng: random.Random,
    before_s: float = 1.2,
    after_s: float = 2.0,
    work_is_polled: bool = False,
) -> Trace:
    """What the sampler writes for work from ``start_s`` to ``end_s``: dense polls before and after
    it, regular rounds during it."""
    base_ns = 1_000_000_000_000
    first_s = start_s - before_s - counter.tick_s
    ticks = _ticks(power, counter, first_s - 1.0, end_s + after_s + 1.0, rng)
    times = [t for t, _ in ticks]
    samples: list[Sample] = []
    t = first_s
    while t < end_s + after_s:
        call_s = polling.call_s * rng.uniform(0.7, 1.5)
        middle = t + call_s / 2
        # The library looks at the counter somewhere within the call.
        looked = t + call_s * rng.random()
        value = ticks[bisect.bisect_right(times, looked) - 1][1]
        t_ns = base_ns + round(middle * 1e9)
        samples.append(Sample(t_ns, "nvml", "gpu0", "energy_mj", value))
        if call_s > 0.0002:
            samples.append(Sample(t_ns, "nvml", "gpu0", "call_ns", round(call_s * 1e9)))
        resting = t + call_s < start_s or t >= end_s or work_is_polled
        if resting:
            pause_s = polling.poll_s * rng.uniform(0.8, 1.3)
        else:
            pause_s = polling.interval_s * rounds.dithered(len(samples))
        if rng.random() < polling.hiccup:
            pause_s += rng.expovariate(1 / polling.hiccup_s)
        after = t + call_s + pause_s
        if resting and t < start_s < after and not work_is_polled:
            after = max(after, start_s + polling.interval_s * rng.random())
        if not resting and after > end_s:
            after = end_s + polling.poll_s * rng.random()
        t = after
    start_ns, end_ns = base_ns + round(start_s * 1e9), base_ns + round(end_s * 1e9)
    rests = ((samples[0].t_ns, 1), (start_ns, 0), (end_ns, 1), (samples[-1].t_ns, 0))
    samples += [Sample(t_ns, "nvml", "gpu0", "rest", begins) for t_ns, begins in rests]
    return Trace(
        sorted(samples, key=lambda s: s.t_ns),
        start_ns,
        end_ns,
        power.energy_j(end_s) - power.energy_j(start_s),
    )


def _ticks(
    power: Power, counter: Counter, from_s: float, until_s: float, rng: random.Random
) -> list[tuple[float, int]]:
    """When the counter changes, and to what."""
    found = []
    n = math.floor((from_s - counter.phase_s) / counter.tick_s)
    before_j = power.energy_j(counter.phase_s + n * counter.tick_s)
    counted_j = 0.0
    while True:
        t = counter.phase_s + n * counter.tick_s
        if t > until_s:
            return found
        energy_j = power.energy_j(t)
        step_j = counter.gain * (energy_j - before_j) + counter.offset_w * counter.tick_s
        counted_j += step_j * (1 + counter.noise * rng.gauss(0, 1))
        before_j = energy_j
        mj = counter.start_mj + int(1e3 * counted_j)
        shown = t + abs(rng.gauss(0, counter.jitter_s)) if counter.jitter_s else t
        found.append((shown, mj - mj % counter.quantum_mj))
        n += 1


def work(
    rng: random.Random,
    decay: bool = False,
    seconds: float = 1.0,
    drift: bool = True,
    tail: str = "decay",
    lead_s: float = 0.0,
    lag_s: float = 0.0,
) -> tuple[Power, float, float]:
    """One random piece of work between idle: (power, start, end). ``lead_s`` and ``lag_s``: how
    long after the start power rises, and how long before the end it falls (negative: after)."""
    idle_w = rng.uniform(40, 140)
    work_w = idle_w + rng.uniform(150, 550)
    slope = rng.uniform(-2, 2) if drift else 0.0
    start, end = 0.0, seconds
    up, down = start + lead_s, end - lag_s
    first = Piece(-10.0, idle_w - slope * 10, slope_w_s=slope)
    pieces = [first, Piece(up, work_w)]
    idle_after = idle_w + slope * up
    extra, tau = rng.uniform(40, 150), rng.uniform(0.1, 0.6)
    if not decay:
        pieces.append(Piece(down, idle_after, slope_w_s=slope))
    elif tail == "decay":
        pieces.append(Piece(down, idle_after, min(extra, work_w - idle_after), tau, slope))
    else:
        length = rng.uniform(0.1, 1.0)
        pieces.append(Piece(down, idle_after + extra, slope_w_s=-extra / length))
        pieces.append(Piece(down + length, idle_after, slope_w_s=slope))
    return Power(pieces), start, end
