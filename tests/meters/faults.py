"""Everything that can be wrong with a counter, played around a piece of work or in a window.

A figure is *wrong* where energy is told, its error is larger than its own expanded uncertainty, and
no flag says that the run is not to be used. There may be none.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from lem.contract.flags import worst
from lem.contract.record import EnergyReading
from lem.meters import readings
from lem.meters.energy import series
from tests.meters import played, virtual_play
from tests.meters.virtual_play import Library, Polling, ns

Mode = Literal["isolated", "window"]


class Around(NamedTuple):
    """When the work (or the window) begins and ends, and how the counter ticks. Seconds."""

    start_s: float
    end_s: float
    tick_s: float

    def inside(self, rng: random.Random) -> float:
        return rng.uniform(self.start_s, self.end_s)

    def near(self, rng: random.Random) -> float:
        """Somewhere from two ticks before to two ticks after."""
        return rng.uniform(self.start_s - 2 * self.tick_s, self.end_s + 2 * self.tick_s)


Options = Callable[[Around, random.Random], dict[str, float]]


@dataclass(frozen=True)
class Fault:
    name: str
    options: Options
    counts: bool = True
    """Whether the meter found an energy counter when it was opened."""
    polling: Polling = field(default_factory=Polling)


def _always(**options: float) -> Options:
    return lambda around, rng: dict(options)


def _freeze(a: Around, rng: random.Random) -> dict[str, float]:
    from_s = a.near(rng)
    lasts_s = rng.choice([1.5 * a.tick_s, 3 * a.tick_s, 0.3, 0.8, 5.0])
    return {"freeze_s": from_s, "thaw_s": from_s + lasts_s}


def _lossy_freeze(a: Around, rng: random.Random, short: bool = False) -> dict[str, float]:
    """Long enough to be seen at ten readings a second, or too short for that."""
    from_s = a.near(rng)
    seen_s = 6 * a.tick_s + 0.5
    lasts_s = rng.uniform(0.5, 4) * a.tick_s if short else seen_s + rng.choice([0.0, 0.5, 5.0])
    return {"freeze_s": from_s, "thaw_s": from_s + lasts_s, "thaw_loses": 1}


def _moment(name: str, **more: float) -> Options:
    return lambda a, rng: {name: a.near(rng), **more}


def _outage(from_name: str, until_name: str, **more: float) -> Options:
    def options(a: Around, rng: random.Random) -> dict[str, float]:
        from_s = a.near(rng)
        return {from_name: from_s, until_name: from_s + rng.choice([0.05, 0.4, 2.0]), **more}

    return options


def _wrap(a: Around, rng: random.Random) -> dict[str, float]:
    start_mj = 1e6
    return {"start_mj": start_mj, "wrap_mj": start_mj + rng.uniform(2e5, 1.2e6)}


def _scale(*factors: float) -> Options:
    return lambda a, rng: {"second_scale_s": a.near(rng), "second_scale": rng.choice(factors)}


def _small_step(when: str, how_much: str) -> Options:
    """20 to 150 J."""
    return lambda a, rng: {when: a.near(rng), how_much: rng.uniform(2e4, 1.5e5)}


def _tick(a: Around, rng: random.Random) -> dict[str, float]:
    return {"tick_change_s": a.near(rng), "second_tick_ms": rng.choice([20.0, 50.0, 100.0, 200.0])}


FAULTS = [
    Fault("none", _always()),
    Fault("freeze for good", lambda a, rng: {"freeze_s": a.near(rng)}),
    Fault("frozen from the beginning", _always(freeze_s=-1.0)),
    Fault("freeze, then catch up", _freeze),
    Fault("freeze, and what it slept through is lost", _lossy_freeze),
    Fault("jump back by 1 kJ", _moment("backwards_s")),
    Fault("jump back to nothing", _moment("backwards_s", back_mj=4.99e9)),
    Fault("jump forward by 5 kJ", _moment("jump_s", jump_mj=5e6)),
    Fault("jump forward by 1 MJ", _moment("jump_s", jump_mj=1e9)),
    Fault("wrap", _wrap),
    Fault("a unit a thousand times smaller from now on", _scale(1000.0)),
    Fault("another tick from now on", _tick),
    Fault("NOT_SUPPORTED from the beginning", _always(no_energy=1), counts=False),
    Fault("neither energy nor power", _always(no_energy=1, no_power=1), counts=False),
    Fault("NOT_SUPPORTED from now on", _moment("unsupported_s")),
    Fault("NOT_SUPPORTED for a while", _outage("unsupported_s", "supported_s")),
    Fault("lost from now on", _moment("lost_s")),
    Fault("lost, power alone", _moment("lost_s", no_energy=1), counts=False),
    Fault("unknown error for a while", _outage("error_s", "error_end_s")),
    Fault("time-out for a while", _outage("error_s", "error_end_s", error_code=10)),
    Fault(
        "slow calls as of an H200",
        _always(jitter_ms=1.5),
        polling=Polling(call_s=0.0032, slow_share=0.02, slow_s=0.0135),
    ),
    Fault("slow calls, 4 ms", _always(), polling=Polling(call_s=0.004)),
    Fault("slow calls, 13 ms", _always(), polling=Polling(call_s=0.013)),
    Fault("slow calls, 30 ms", _always(), polling=Polling(call_s=0.030)),
    Fault("now and then a call of 60 ms", _always(), polling=Polling(slow_share=0.05, slow_s=0.06)),
    Fault("the sampler is starved", _always(), polling=Polling(hiccup=0.3, hiccup_s=0.03)),
    Fault("gain 3 % up", _always(gain=1.03)),
    Fault("gain 3 % down", _always(gain=0.97)),
    Fault("offset of 3 W", _always(offset_w=3)),
    Fault("noise of 5 W a tick", _always(noise_w=5)),
    Fault("ticks jitter by 5 ms", _always(jitter_ms=5)),
    Fault("steps of 1 J", _always(quantum_mj=1000)),
    Fault("a tick shows what was true 15 ms ago", _always(late_ms=15)),
    Fault("power stands still", _always(power_update_ms=1e9)),
    Fault("no power reading", _always(no_power=1)),
]

UNDECIDABLE = [
    Fault(
        "a short freeze, and what it slept through is lost", lambda a, r: _lossy_freeze(a, r, True)
    ),
    Fault("jump back by less than it rises in that time", _small_step("backwards_s", "back_mj")),
    Fault("jump forward by what the board might draw", _small_step("jump_s", "jump_mj")),
    Fault("the sensor looks for a quarter of the time", _always(duty=0.25)),
    Fault("a larger unit from now on", _scale(0.001, 0.1)),
    Fault("a unit ten times smaller from now on", _scale(10.0)),
]
"""Nothing but a second meter tells these from a change of power. Studied, and told in the
documentation; not held to."""


class Case(NamedTuple):
    fault: str
    mode: Mode
    seed: int
    truth_j: float
    reading: EnergyReading

    @property
    def error_j(self) -> float | None:
        return None if self.reading.energy_j is None else self.reading.energy_j - self.truth_j

    @property
    def wrong(self) -> bool:
        if self.error_j is None:
            return False
        beyond = abs(self.error_j) > (self.reading.uncertainty_j or 0.0)
        return beyond and worst(self.reading.flags) == "info"

    @property
    def silent(self) -> bool:
        """No figure, and nothing that says why."""
        return self.error_j is None and not self.reading.flags


def cases(library: Library, fault: Fault, mode: Mode, seeds: range) -> Iterator[Case]:
    for seed in seeds:
        rng = random.Random(f"{fault.name} {mode} {seed}")
        tick_s = rng.choice([0.02, 0.05, 0.1, 0.1, 0.2, rng.uniform(0.02, 0.2)])
        make = _isolated if mode == "isolated" else _window
        what, around = make(fault, tick_s, rng)
        library.play(what)
        dense = _dense(around, mode)
        samples = virtual_play.samples(
            library,
            dense,
            dense[-1][1] + 0.5,
            rng,
            fault.polling,
            counts=fault.counts,
            rest=mode == "isolated",
        )
        start_ns, end_ns = ns(around.start_s), ns(around.end_s)
        if mode == "window":
            ticks = [p.t_ns for p in series.tick_points(samples, "energy_mj", 1e-3)]
            start_ns, end_ns = (_next(ticks, ns(a), ns(b)) for a, b in dense)
        quantity = "energy_mj" if fault.counts else "power_mw"
        if not fault.counts and what.options.get("no_power"):
            quantity = "none"
        info = virtual_play.info(quantity)
        reading = readings.readings([info], samples, start_ns, end_ns)[0]
        yield Case(fault.name, mode, seed, what.energy_j(start_ns, end_ns), reading)


def _isolated(fault: Fault, tick_s: float, rng: random.Random) -> tuple[played.Play, Around]:
    """Idle, work of 0.5 to 3 s, idle; half of them with a tail."""
    start_s = 1.5 + rng.uniform(0, tick_s)
    around = Around(start_s, start_s + rng.uniform(0.5, 3), tick_s)
    idle_w, work_w = rng.uniform(40, 120), rng.uniform(200, 650)
    tail_w, tau_s = (rng.uniform(40, 80), rng.uniform(0.1, 0.6)) if rng.random() < 0.5 else (0, 0)
    segments = played.step(*around[:2], idle_w, work_w, tail_w, tau_s)
    return _play(fault, segments, around, rng), around


def _window(fault: Fault, tick_s: float, rng: random.Random) -> tuple[played.Play, Around]:
    """A load that goes up and down; the window is about 2 to 12 s of it."""
    around = Around(1.5, 1.5 + rng.choice([2.0, 4.0, 12.0]), tick_s)
    segments = played.bursts(
        rng.uniform(90, 200), rng.uniform(250, 650), rng.uniform(0.3, 1.5), 0.6, around.end_s + 4
    )
    return _play(fault, segments, around, rng), around


def _play(fault: Fault, segments: played.Segments, a: Around, rng: random.Random) -> played.Play:
    options = {
        "tick_ms": a.tick_s * 1e3,
        "phase_ms": rng.uniform(0, a.tick_s * 1e3),
        "power_average_ms": rng.choice([25.0, 1000.0]),
        "power_update_ms": 100.0,
        "seed": rng.randrange(10**6),
    }
    return played.Play(segments, options | fault.options(a, rng), t0_ns=virtual_play.BASE_NS)


def _dense(a: Around, mode: Mode) -> list[tuple[float, float]]:
    """When the sampler polls: at rest around isolated work, for up to two ticks at an edge."""
    if mode == "isolated":
        return [(a.start_s - max(0.4, 4 * a.tick_s), a.start_s), (a.end_s, a.end_s + 2.0)]
    return [(t, t + 2 * a.tick_s) for t in (a.start_s, a.end_s)]


def _next(ticks: list[int], from_ns: int, until_ns: int) -> int:
    """As ``Sampler.mark`` chooses an edge: the first tick, or the end of the wait for it."""
    return next((t for t in ticks if from_ns < t <= until_ns), until_ns)
