"""When requests are sent in an open loop: seconds from the beginning of a phase, never earlier than
the one before, whatever the answers do.

A schedule is drawn from a seed alone, so it is the same for every backend of a block. Gaps are
drawn at rate 1 and then divided by the rate: the same seed gives the same pattern, faster or
slower, at every rate.
"""

import hashlib
import math
import random
from collections.abc import Iterator, Sequence

from lem.contract.workload import (
    Arrival,
    Concurrency,
    Constant,
    Gamma,
    Offline,
    Poisson,
    TraceArrival,
)
from lem.workloads.requests import Request


def seed_of(seed: int, block: int, phase: str) -> int:
    """The seed of a phase's schedule: of the campaign's seed, the block and the phase alone, so
    equal for every run of the block."""
    return int.from_bytes(hashlib.sha256(f"arrivals/{seed}/{block}/{phase}".encode()).digest()[:8])


def is_open(arrival: Arrival) -> bool:
    """Whether requests come by a schedule of their own rather than when others are answered."""
    return not isinstance(arrival, Offline | Concurrency)


def at_rate(arrival: Constant | Poisson | Gamma, rate: float, seed: int) -> Iterator[float]:
    """When each request is sent, in seconds; without end.

    Constant: the n-th at n ÷ rate. Otherwise the sum of gaps with mean 1 ÷ rate: exponential
    (Poisson), or gamma with shape ``burstiness``, whose squared coefficient of variation is 1 ÷
    ``burstiness``. The first request comes after one gap, so that the beginning of a phase is no
    arrival.
    """
    unit = _unit_gaps(arrival, random.Random(seed))
    passed = 0.0
    for n, gap in enumerate(unit, 1):
        # Sums of a constant gap would drift from the schedule by their rounding.
        passed = float(n) if isinstance(arrival, Constant) else passed + gap
        yield passed / rate


def _unit_gaps(arrival: Constant | Poisson | Gamma, draw: random.Random) -> Iterator[float]:
    while True:
        if isinstance(arrival, Gamma):
            yield gamma(arrival.burstiness, draw) / arrival.burstiness
        else:
            yield _exponential(draw) if isinstance(arrival, Poisson) else 1.0


# Backends may run on different versions of Python, of which only ``random()`` itself is promised to
# stay the same. So everything is drawn by that.


def _exponential(draw: random.Random) -> float:
    # 1 − u lies in (0, 1], so its logarithm exists.
    return -math.log(1.0 - draw.random())


def gamma(shape: float, draw: random.Random) -> float:
    """A gamma variate of mean ``shape`` (Marsaglia & Tsang 2000, doi:10.1145/358407.358414)."""
    if shape < 1:
        return gamma(shape + 1.0, draw) * math.pow(1.0 - draw.random(), 1.0 / shape)
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        # Box & Muller 1958.
        x = math.sqrt(2.0 * _exponential(draw)) * math.cos(2.0 * math.pi * draw.random())
        v = (1.0 + c * x) ** 3
        if v > 0 and math.log(1.0 - draw.random()) < 0.5 * x * x + d * (1.0 - v + math.log(v)):
            return d * v


def replayed(requests: Sequence[Request], first: int, speed: float) -> Iterator[float]:
    """A trace's own times, from the request with index ``first`` on, in seconds from that one.

    After its end the trace begins anew, one mean gap after its last request; requests without a
    time are sent with the one before them.
    """
    times = trace_times(requests)
    span_s = times[-1] - times[0]
    turn_s = span_s + (span_s / (len(times) - 1) if len(times) > 1 and span_s > 0 else 1.0)
    begun, n = times[first % len(times)], first % len(times)
    while True:
        turn, index = divmod(n, len(times))
        yield (times[index] + turn * turn_s - begun) / speed
        n += 1


def trace_times(requests: Sequence[Request]) -> list[float]:
    """Seconds from the first; they never fall."""
    times: list[float] = []
    for r in requests:
        now = times[-1] if times else 0.0
        times.append(max(now, r.at_s) if r.at_s is not None else now)
    return times


def mean_rate(arrival: Arrival, requests: Sequence[Request]) -> float | None:
    """Requests a second that the schedule has on average; None where it has none (a closed loop,
    or a rate that has yet to be found)."""
    if isinstance(arrival, TraceArrival):
        times = trace_times(requests)
        span_s = (times[-1] - times[0]) / arrival.speed
        return (len(times) - 1) / span_s if span_s > 0 else None
    if isinstance(arrival, Constant | Poisson | Gamma) and isinstance(arrival.rate, float | int):
        return float(arrival.rate)
    return None
