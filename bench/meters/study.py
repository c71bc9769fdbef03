"""A thousand pieces of work between idle, in virtual time: error and uncertainty of what the
product computes, beside a naive difference and a short idle bracket.

    python -m bench.meters.study [--traces 1000] [--seed 20261124] [--cell NAME]... [--out CSV]

The played library (tests/meters/played_trace.c) says what the counter shows; the samples are those
that the sampler takes; the energy comes from ``lem.meters.readings``, as in every record. Seeds
below 1000 were for looking at traces while the model was made; what is published has another one.
"""

import argparse
import csv
import math
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import Literal, NamedTuple

from bench.meters import estimators
from bench.meters.estimators import Figure
from lem.meters import readings
from lem.meters.protocol import Sample
from tests.meters import played, virtual_play
from tests.meters.virtual_play import ns

REST_TICKS = 3
LEAST_BEFORE_S = 1.0


@dataclass(frozen=True)
class Cell:
    """One line of the table: how the traces are drawn. Pairs are ranges."""

    name: str
    tick_ms: tuple[float, float] = (20, 200)
    seconds: tuple[float, float] = (1, 1)
    tail_w: tuple[float, float] = (0, 0)
    tau_s: tuple[float, float] = (0.1, 0.6)
    second_tau_s: tuple[float, float] = (0, 0)
    """Where it is given, half of the tail fades with this time constant."""
    shape: Literal["exponential", "hyperbolic", "straight"] = "exponential"
    """How the tail fades: hyperbolic as 1 ÷ (1 + t/τ)², which is none of the model's shapes."""
    lead_s: tuple[float, float] = (0, 0)
    trail_s: tuple[float, float] = (0, 0)
    """So much of the measured time is idle before the work and after it; less than nothing: the
    work goes on."""
    uneven: float = 0.0
    """By so much, relatively, power differs from one twentieth of a second of work to the next
    (standard deviation)."""
    drift_w_s: float = 0.0
    settle_s: float = 2.0
    options: dict[str, float] = field(default_factory=dict)
    polling: virtual_play.Polling = field(default_factory=virtual_play.Polling)


DECAY = (40.0, 150.0)
CELLS = [
    *(Cell(f"1 s, tick {t} ms", (t, t)) for t in (20, 50, 100, 200)),
    Cell("1 s, tick 20–200 ms"),
    *(Cell(f"1 s, decay, tick {t} ms", (t, t), tail_w=DECAY) for t in (20, 50, 100, 200)),
    Cell("1 s, decay, tick 20–200 ms", tail_w=DECAY),
    Cell("1 s, decay with two time constants", tail_w=DECAY, second_tau_s=(0.3, 1.5)),
    Cell("1 s, tail as 1/(1 + t/τ)²", tail_w=DECAY, shape="hyperbolic"),
    Cell("1 s of work within 1–3 s", lead_s=(0.001, 1), trail_s=(0.001, 1)),
    Cell("1 s of work, decay, 0–0.1 s more", tail_w=DECAY, lead_s=(0, 1), trail_s=(0.0003, 0.1)),
    Cell(
        "1 s of work, straight decay, 0–0.1 s more",
        tail_w=DECAY,
        tau_s=(0.15, 1.5),
        shape="straight",
        lead_s=(0, 1),
        trail_s=(0.0003, 0.1),
    ),
    Cell("1–3 s of uneven work", seconds=(1, 3), uneven=0.25),
    Cell("1–3 s of uneven work, decay", seconds=(1, 3), uneven=0.25, tail_w=DECAY),
    Cell("1–3 s of even work, not yet done", seconds=(1, 3), trail_s=(-0.1, -0.001)),
    Cell("1–3 s of uneven work, not yet done", seconds=(1, 3), uneven=0.25, trail_s=(-0.1, -0.001)),
    Cell("0.3 s", seconds=(0.3, 0.3)),
    Cell("0.3 s, decay", seconds=(0.3, 0.3), tail_w=DECAY),
    Cell("10 s", seconds=(10, 10)),
    Cell("10 s, decay", seconds=(10, 10), tail_w=DECAY),
    Cell("1–3 s, idle drifts by up to 3 W/s", seconds=(1, 3), drift_w_s=3),
    Cell("1–3 s, decay, idle drifts", seconds=(1, 3), tail_w=DECAY, drift_w_s=3),
    Cell("1–3 s, sensor noise 1 W a tick", seconds=(1, 3), options={"noise_w": 1}),
    Cell("1–3 s, ticks jitter by 2 ms", seconds=(1, 3), options={"jitter_ms": 2}),
    Cell("1–3 s, steps of 1 J", seconds=(1, 3), options={"quantum_mj": 1000}),
    Cell(
        "1–3 s, decay, a busy machine",
        seconds=(1, 3),
        tail_w=DECAY,
        polling=virtual_play.Polling(hiccup=0.1, hiccup_s=0.01, slow_share=0.05, slow_s=0.003),
    ),
]


class Work(NamedTuple):
    samples: list[Sample]
    start_ns: int
    end_ns: int
    truth_j: float


class Outcome(NamedTuple):
    truth_j: float
    lem: Figure | None
    own: float
    """Expanded uncertainty without the gain's part, J."""
    flags: tuple[str, ...]
    naive: Figure | None
    bracket: Figure | None


def outcomes(cell: Cell, traces: int, seed: int, folder: Path) -> Iterator[Outcome]:
    library = virtual_play.Library(played.build_library(folder), folder / "play.txt")
    for i in range(traces):
        rng = random.Random(f"{seed} {cell.name} {i}")
        work = draw(cell, library, rng)
        r = readings.readings([virtual_play.info()], *work[:3])[0]
        own = [u for part, u in r.budget_j.items() if part != "gain"]
        yield Outcome(
            work.truth_j,
            None if r.energy_j is None else Figure(r.energy_j, r.uncertainty_j),
            2 * sum(u * u for u in own) ** 0.5,
            tuple(r.flags),
            estimators.naive(*work[:3]),
            estimators.bracket(*work[:3]),
        )


def draw(cell: Cell, library: virtual_play.Library, rng: random.Random) -> Work:
    """One random trace of this kind, as the sampler sees it."""
    tick_s = rng.uniform(*cell.tick_ms) / 1e3
    seconds = rng.uniform(*cell.seconds)
    idle_w, work_w = rng.uniform(30, 140), rng.uniform(180, 690)
    start_s = max(LEAST_BEFORE_S, (REST_TICKS + 1) * tick_s) + rng.uniform(0, tick_s)
    begun_s = start_s + (rng.uniform(*cell.lead_s) if any(cell.lead_s) else 0.0)
    ended_s = begun_s + seconds
    end_s = ended_s + (rng.uniform(*cell.trail_s) if any(cell.trail_s) else 0.0)
    tail_w = min(rng.uniform(*cell.tail_w), work_w - idle_w)
    tau_s = rng.uniform(*cell.tau_s) if tail_w else 0.0
    drift = rng.uniform(-1, 1) * cell.drift_w_s
    segments: list[tuple[float, ...]] = [(begun_s, idle_w - drift * begun_s, idle_w)]
    while cell.uneven and segments[-1][0] < ended_s - 0.1:
        level_w = idle_w + (work_w - idle_w) * max(0.1, rng.gauss(1, cell.uneven))
        segments.append((segments[-1][0] + 0.05, level_w, level_w))
    segments.append((ended_s, work_w, work_w))
    halves = [(tail_w, tau_s)]
    if cell.second_tau_s[1]:
        halves = [(tail_w / 2, tau_s), (tail_w / 2, rng.uniform(*cell.second_tau_s))]
    segments += _after(ended_s, idle_w, halves, drift, cell.shape)
    what = played.Play(
        segments,
        {
            "tick_ms": tick_s * 1e3,
            "phase_ms": rng.uniform(0, tick_s * 1e3),
            "seed": rng.randrange(10**9),
            **cell.options,
        },
        t0_ns=virtual_play.BASE_NS,
    )
    library.play(what)
    rest_s = (REST_TICKS + 0.5) * tick_s
    after_s = rest_s + (cell.settle_s if tail_w else max(0.0, 1.0 - rest_s))
    dense = [(0.0, start_s), (end_s, end_s + after_s)]
    samples = virtual_play.samples(library, dense, end_s + after_s + 0.3, rng, cell.polling)
    window = (ns(start_s), ns(end_s))
    return Work(samples, *window, what.energy_j(*window))


def _after(
    end_s: float,
    idle_w: float,
    tails: Sequence[tuple[float, float]],
    drift: float,
    shape: str,
) -> list[tuple[float, ...]]:
    """Idle again, with what is left of the work (W, time constant in s). Where no one segment can
    be that, in straight pieces of 10 ms."""
    tail_w, tau_s = tails[0]
    if not tail_w and not drift:
        return [(played.NEVER, idle_w, idle_w)]
    if not drift and len(tails) == 1 and shape == "exponential":
        return [(played.NEVER, idle_w + tail_w, idle_w, tau_s)]
    if not drift and shape == "straight":
        return [(end_s + tau_s, idle_w + tail_w, idle_w), (played.NEVER, idle_w, idle_w)]

    def left(x: float) -> float:
        return (1 + x) ** -2 if shape == "hyperbolic" else math.exp(-x)

    level = [
        idle_w + drift * k / 100 + sum(w * left(k / 100 / tau) for w, tau in tails if w)
        for k in range(501)
    ]
    pieces = [(end_s + (k + 1) / 100, level[k], level[k + 1]) for k in range(500)]
    return [*pieces, (played.NEVER, level[-1], level[-1])]


class Summary(NamedTuple):
    n: int
    null: int
    mean: float
    """Of the error, signed, relative."""
    mean_absolute: float
    worst: float
    inside: float
    """Share of figures whose error is within U."""
    inside_own: float
    """… within the part of U that is not gain (the played gain is exactly 1)."""
    own: float
    """Median of that part, relative."""
    naive: float
    bracket: float
    bracket_worst: float
    bracket_inside: float


def summary(found: Sequence[Outcome]) -> Summary:
    told = [o for o in found if o.lem is not None]
    errors = [(o.lem.energy_j - o.truth_j) / o.truth_j for o in told if o.lem]
    inside = [abs(o.lem.energy_j - o.truth_j) <= (o.lem.uncertainty_j or 0) for o in told if o.lem]
    own = [abs(e) * o.truth_j <= o.own for e, o in zip(errors, told, strict=True)]
    naive = [abs(o.naive.energy_j - o.truth_j) / o.truth_j for o in found if o.naive]
    bracketed = [
        (abs(o.bracket.energy_j - o.truth_j), o.bracket.uncertainty_j or 0, o.truth_j)
        for o in found
        if o.bracket
    ]
    return Summary(
        len(found),
        len(found) - len(told),
        fmean(errors),
        fmean(map(abs, errors)),
        max(map(abs, errors)),
        fmean(inside),
        fmean(own),
        median(o.own / o.truth_j for o in told),
        fmean(naive),
        fmean(e / j for e, _, j in bracketed),
        max(e / j for e, _, j in bracketed),
        fmean(e <= u for e, u, _ in bracketed),
    )


HEAD = (
    "Work",
    "traces",
    "without a figure",
    "mean error",
    "mean size of the error",
    "worst",
    "truth inside U",
    "truth inside U without gain",
    "that U, median",
    "naive difference: mean size",
    "bracket: mean size",
    "bracket: worst",
    "bracket: truth inside its U",
)


def line(name: str, s: Summary) -> list[str]:
    def percent(x: float, digits: int = 4) -> str:
        return f"{100 * x:.{digits}f} %"

    return [
        name,
        str(s.n),
        str(s.null),
        f"{100 * s.mean:+.4f} %",
        percent(s.mean_absolute),
        percent(s.worst, 3),
        percent(s.inside, 1),
        percent(s.inside_own, 1),
        percent(s.own, 3),
        percent(s.naive, 2),
        percent(s.bracket),
        percent(s.bracket_worst, 3),
        percent(s.bracket_inside, 1),
    ]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.meters.study", description=__doc__)
    parser.add_argument("--traces", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--cell", action="append", help="only cells whose name contains this")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    cells = [c for c in CELLS if not options.cell or any(n in c.name for n in options.cell)]
    lines = []
    print(f"Seed {options.seed}\n\n| {' | '.join(HEAD)} |\n|{' --- |' * len(HEAD)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="lem-study-") as folder:
        for cell in cells:
            found = list(outcomes(cell, options.traces, options.seed, Path(folder)))
            lines.append(line(cell.name, summary(found)))
            print(f"| {' | '.join(lines[-1])} |", flush=True)
    if options.out is not None:
        with options.out.open("w", newline="") as f:
            csv.writer(f, lineterminator="\n").writerows([HEAD, *lines])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
