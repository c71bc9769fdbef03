"""Isolated work in virtual time: errors and stated uncertainties against the known truth.

The study of a thousand traces is ``make coverage``'s; here some dozens of each kind, whose seeds
were not used while the model was made.
"""

import math
import random
from collections.abc import Callable
from statistics import mean, median

import pytest

from lem.meters.energy import isolated, series
from lem.meters.protocol import Sample
from tests.meters import virtual

N = 40
Draw = Callable[[random.Random], virtual.Trace]


def trace(
    rng: random.Random,
    counter: dict[str, float] | None = None,
    polling: dict[str, float] | None = None,
    **work: object,
) -> virtual.Trace:
    power, start, end = virtual.work(rng, **work)  # type: ignore[arg-type]
    tick_s = rng.uniform(0.02, 0.2)
    shown = virtual.Counter(tick_s, rng.uniform(0, tick_s), **(counter or {}))  # type: ignore[arg-type]
    return virtual.take(power, start, end, shown, virtual.Polling(**(polling or {})), rng)


def work(t: virtual.Trace) -> isolated.Work | None:
    return isolated.work(t.samples, "energy_mj", 1e-3, t.start_ns, t.end_ns)


def judged(name: str, draw: Draw, n: int = N) -> tuple[list[float], list[float]]:
    """Errors and gain-free expanded uncertainties, relative; a trace without a result fails."""
    rng = random.Random(f"judge {name}")
    errors, spreads = [], []
    for _ in range(n):
        t = draw(rng)
        found = work(t)
        assert found is not None
        errors.append(abs(found.energy_j - t.truth_j) / t.truth_j)
        u = math.hypot(found.tick_j, found.idle_j, found.sampling_j)
        spreads.append(2 * u / t.truth_j)
    return errors, spreads


def covered(errors: list[float], spreads: list[float]) -> float:
    return mean(e <= u for e, u in zip(errors, spreads, strict=True))


def test_work_between_idle_is_right_to_a_few_ten_thousandths() -> None:
    errors, spreads = judged("plain", lambda rng: trace(rng))
    assert mean(errors) <= 2e-4 and max(errors) <= 1e-3
    assert covered(errors, spreads) >= 0.95
    assert median(spreads) <= 3e-3


@pytest.mark.parametrize("tail", ["decay", "ramp"])
def test_power_that_fades_after_the_work(tail: str) -> None:
    errors, spreads = judged(tail, lambda rng: trace(rng, decay=True, tail=tail))
    assert mean(errors) <= 2e-3
    assert covered(errors, spreads) >= 0.95
    assert median(spreads) <= 3e-3


def test_power_that_rises_and_falls_some_time_within() -> None:
    errors, spreads = judged(
        "within", lambda rng: trace(rng, lead_s=rng.uniform(0, 0.2), lag_s=rng.uniform(0, 0.1))
    )
    assert mean(errors) <= 2e-3
    assert covered(errors, spreads) >= 0.95


def test_work_that_goes_on_after_its_end_is_told_from_idle() -> None:
    errors, spreads = judged("beyond", lambda rng: trace(rng, lag_s=-rng.uniform(0, 0.3)))
    assert median(errors) <= 2e-3
    assert covered(errors, spreads) >= 0.9


@pytest.mark.parametrize(
    ("counter", "polling", "most"),
    [
        ({"quantum_mj": 500}, {}, 0.01),
        ({"jitter_s": 0.001}, {}, 0.02),
        ({"noise": 0.01}, {}, 0.02),
        ({}, {"hiccup": 0.05, "hiccup_s": 0.008}, 0.01),
        ({}, {"call_s": 0.004}, 0.02),
    ],
    ids=["coarse steps", "late ticks", "noise", "busy machine", "slow calls"],
)
def test_what_disturbs_widens_the_uncertainty(
    counter: dict[str, float], polling: dict[str, float], most: float
) -> None:
    calm = judged("calm", lambda rng: trace(rng, decay=True), 15)
    errors, spreads = judged(
        f"disturbed {counter} {polling}",
        lambda rng: trace(rng, counter=counter, polling=polling, decay=True),
    )
    assert covered(errors, spreads) >= 0.9
    assert median(calm[1]) < median(spreads) < most


def test_a_board_ten_times_as_coarse_is_known_by_its_steps() -> None:
    t = trace(random.Random(1), counter={"quantum_mj": 250})
    points = series.tick_points(t.samples, "energy_mj", 1.0)
    assert isolated.quantum(points) == 250


def without_polls(t: virtual.Trace, before: bool) -> list[Sample]:
    """As if nobody had asked for rest on that side: readings every 50 ms."""
    kept, last_ns = [], 0
    for s in t.samples:
        outside = s.t_ns < t.start_ns if before else s.t_ns > t.end_ns
        if not outside or s.quantity == "rest" or s.t_ns - last_ns >= 50_000_000:
            kept.append(s)
            last_ns = s.t_ns if s.quantity != "rest" else last_ns
    return kept


@pytest.mark.parametrize("before", [True, False])
def test_without_ticks_that_were_polled_for_there_is_no_result(before: bool) -> None:
    t = trace(random.Random(2))
    assert work(t) is not None
    bare = without_polls(t, before)
    assert isolated.work(bare, "energy_mj", 1e-3, t.start_ns, t.end_ns) is None


@pytest.mark.parametrize("said", [(), (0, 1), (2, 3), (0, 1, 3)])
def test_idle_that_nobody_vouched_for_is_not_modelled(said: tuple[int, ...]) -> None:
    """Only rows ``rest`` make work isolated; dense polls happen around other edges too."""
    t = trace(random.Random(5))
    rests = [s for s in t.samples if s.quantity == "rest"]
    kept = [s for s in t.samples if s.quantity != "rest"] + [rests[i] for i in said]
    kept.sort(key=lambda s: s.t_ns)
    assert isolated.work(kept, "energy_mj", 1e-3, t.start_ns, t.end_ns) is None


def test_an_edge_that_is_a_tick_needs_no_model() -> None:
    t = trace(random.Random(3))
    points = series.tick_points(t.samples, "energy_mj", 1.0)
    edge_ns = next(p.t_ns for p in points if p.t_ns > t.end_ns)
    assert isolated.work(t.samples, "energy_mj", 1e-3, t.start_ns, edge_ns) is None


def test_a_device_that_does_not_idle_outside_is_not_modelled() -> None:
    """Bursts go on before and after: nothing there is idle power."""
    rng = random.Random(4)
    for _ in range(5):
        pieces = [
            virtual.Piece(at, rng.uniform(80, 600)) for i in range(120) for at in [-4 + 0.07 * i]
        ]
        tick_s = rng.uniform(0.05, 0.15)
        t = virtual.take(
            virtual.Power(pieces), 0.0, 1.0, virtual.Counter(tick_s), virtual.Polling(), rng
        )
        assert work(t) is None
