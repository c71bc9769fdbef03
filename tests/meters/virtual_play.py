"""What the sampler would have written of a played board, without waiting for it.

The same C code that plays in real time is asked for other moments, so the trace, the tick and the
faults are those of ``played.Play``. A thousand pieces of work take seconds.
"""

import ctypes
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from lem.contract.record import MeterInfo
from lem.meters.protocol import Sample
from lem.meters.sampling import rounds
from tests.meters import played

BASE_NS = 1_000_000_000_000
"""The played t = 0 on the monotonic clock."""


@dataclass(frozen=True)
class Polling:
    """How the sampler gets to run, and how long a call into the library takes. Seconds."""

    poll_s: float = 0.0006
    call_s: float = 0.00003
    hiccup: float = 0.01
    """Share of polls after which the process is not run for a while (exponential, this mean):"""
    hiccup_s: float = 0.003
    interval_s: float = 0.1
    slow_share: float = 0.0
    slow_s: float = 0.0


class Library:
    """The played library in virtual time. One at a time in a process."""

    def __init__(self, library: Path, config: Path) -> None:
        self._c = ctypes.CDLL(str(library))
        for function in (self._c.played_counter, self._c.played_power):
            function.restype = ctypes.c_double
            function.argtypes = [ctypes.c_int, ctypes.c_double]
        self._config = config

    def play(self, what: played.Play) -> None:
        what.write(self._config)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LEM_PLAYED_NVML", str(self._config))
            self._c.load()

    def counter(self, t_s: float, device: int = 0) -> float:
        """mJ, or minus NVML's error code."""
        return float(self._c.played_counter(device, t_s))

    def power_mw(self, t_s: float, device: int = 0) -> float:
        """mW, or minus NVML's error code."""
        watts = float(self._c.played_power(device, t_s))
        return watts if watts < 0 else round(1e3 * watts)


def info(quantity: str = "energy_mj", device: int = 0) -> MeterInfo:
    return MeterInfo(
        meter="nvml",
        device=f"gpu{device}",
        device_class="gpu",
        quantity=quantity,
        unit="mJ" if quantity == "energy_mj" else "mW",
        description="played",
    )


def samples(
    library: Library,
    dense: Sequence[tuple[float, float]],
    until_s: float,
    rng: random.Random,
    polling: Polling = Polling(),
    device: int = 0,
    limit_w: float = 700.0,
    counts: bool = True,
    rest: bool = True,
) -> list[Sample]:
    """From 0 to ``until_s``: regular rounds with counter and power, and within the ``dense``
    stretches polls of the counter, as ``lem.meters.sampling.rounds`` makes them. ``rest``: that the
    device idles in these is said."""
    found: list[Sample] = []
    if rest:
        found += [_sample(begin_s, device, "rest", 1) for begin_s, _ in dense]
        found += [_sample(end_s, device, "rest", 0) for _, end_s in dense]
    next_round = t = 0.0
    n = 0
    while t < until_s:
        polled = any(a <= t < b for a, b in dense)
        if polled or t >= next_round:
            if counts:
                t = _read(library.counter, "energy_mj", t, found, rng, polling, device)
            if t >= next_round:
                t = _read(library.power_mw, "power_mw", t, found, rng, polling, device)
                found.append(_sample(t, device, "power_limit_mw", 1e3 * limit_w))
                n += 1
                next_round = max(next_round + polling.interval_s * rounds.dithered(n), t)
        pause_s = polling.poll_s * rng.uniform(0.8, 1.3)
        if not any(a <= t + pause_s < b for a, b in dense):
            starts = [a for a, _ in dense if a > t]
            pause_s = max(1e-5, min([next_round, *starts]) - t)
        if rng.random() < polling.hiccup:
            pause_s += rng.expovariate(1 / polling.hiccup_s)
        t += pause_s
    return sorted(found, key=lambda s: s.t_ns)


def _read(
    what: Callable[[float, int], float],
    quantity: str,
    t: float,
    found: list[Sample],
    rng: random.Random,
    polling: Polling,
    device: int,
) -> float:
    """One call; when it has returned. The library looks at its clock somewhere within it."""
    call_s = polling.call_s * rng.uniform(0.7, 1.5)
    if polling.slow_share and rng.random() < polling.slow_share:
        call_s += polling.slow_s
    value = what(t + call_s * rng.random(), device)
    middle = t + call_s / 2
    if value < 0:
        if quantity == "energy_mj":
            found.append(_sample(t, device, "nvml_error", -value))
    else:
        found.append(_sample(middle, device, quantity, value))
        if call_s > 0.0002:
            found.append(_sample(middle, device, "call_ns", round(call_s * 1e9)))
    return t + call_s


def _sample(t_s: float, device: int, quantity: str, value: float) -> Sample:
    return Sample(BASE_NS + round(t_s * 1e9), "nvml", f"gpu{device}", quantity, value)


def ns(t_s: float) -> int:
    return BASE_NS + round(t_s * 1e9)
