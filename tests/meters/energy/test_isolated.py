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


def judged(name: str, draw: Draw, n: int = N, without: int = 0) -> tuple[list[float], list[float]]:
    """Errors and gain-free expanded uncertainties, relative; more traces ``without`` a result than
    that fail."""
    rng = random.Random(f"judge {name}")
    errors, spreads = [], []
    for _ in range(n):
        t = draw(rng)
        found = work(t)
        if found is None:
            without -= 1
            assert without >= 0
            continue
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


def uneven(rng: random.Random, beyond_s: float) -> virtual.Trace:
    """A second of work whose power differs by 25 % from one twentieth to the next, and that goes on
    for some time after the end."""
    idle_w, work_w = rng.uniform(40, 120), rng.uniform(250, 600)
    pieces = [virtual.Piece(-10, idle_w)]
    starts = [i * 0.05 for i in range(int((1 + beyond_s) / 0.05) + 1)]
    pieces += [virtual.Piece(t, work_w * rng.uniform(0.75, 1.25)) for t in starts]
    pieces.append(virtual.Piece(1 + beyond_s, idle_w))
    tick_s = rng.choice([0.05, 0.1])
    shown = virtual.Counter(tick_s, rng.uniform(0, tick_s))
    return virtual.take(virtual.Power(pieces), 0.0, 1.0, shown, virtual.Polling(), rng)


def test_uneven_work_that_goes_on_after_its_end_leaves_open_how_long() -> None:
    errors, spreads = judged("uneven beyond", lambda rng: uneven(rng, rng.uniform(0.01, 0.1)))
    assert covered(errors, spreads) >= 0.85
    assert covered(errors, [math.hypot(s, 0.068) for s in spreads]) == 1
    errors, spreads = judged("uneven", lambda rng: uneven(rng, 0.0))
    assert covered(errors, spreads) >= 0.95
    assert median(errors) < 0.003 and median(spreads) < 0.02


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
    assert 0.9 * median(calm[1]) < median(spreads) < most


def after_the_end(
    rng: random.Random, more: Callable[[float], list[virtual.Piece]]
) -> virtual.Trace:
    """Even work of 0.4 to 2 s, and something more after its end."""
    idle_w, work_w, end = rng.uniform(40, 120), rng.uniform(250, 600), rng.uniform(0.4, 2)
    pieces = [virtual.Piece(-10, idle_w), virtual.Piece(0, work_w), virtual.Piece(end, idle_w)]
    pieces += [p._replace(level_w=idle_w + p.level_w) for p in more(end)]
    tick_s = rng.uniform(0.03, 0.2)
    shown = virtual.Counter(tick_s, rng.uniform(0, tick_s))
    return virtual.take(virtual.Power(pieces), 0.0, end, shown, virtual.Polling(), rng)


def test_something_else_that_the_board_does_right_after_the_work() -> None:
    """A pulse of 5 to 60 ms, 10 to 400 ms later: the board may not seem to idle at all."""

    def pulse(rng: random.Random, end: float) -> list[virtual.Piece]:
        at = end + rng.uniform(0.01, 0.4)
        return [
            virtual.Piece(at, rng.uniform(40, 200)),
            virtual.Piece(at + rng.uniform(0.005, 0.06), 0),
        ]

    errors, spreads = judged(
        "pulse", lambda rng: after_the_end(rng, lambda t: pulse(rng, t)), 60, 10
    )
    assert covered(errors, spreads) >= 0.85
    # With the board's gain beside it, which is stated too.
    assert covered(errors, [math.hypot(s, 0.068) for s in spreads]) >= 0.97
    assert median(spreads) < 0.04


def test_the_edge_lies_between_what_was_read_on_both_sides_of_it() -> None:
    """Whatever came after the end, here a jump: never less than the counter had shown before."""
    rng = random.Random(6)
    for _ in range(20):
        t = after_the_end(rng, lambda end: [])
        jump_ns = t.end_ns + int(rng.uniform(0.01, 0.5) * 1e9)
        samples = [
            s._replace(value=s.value + 200_000)
            if s.quantity == "energy_mj" and s.t_ns > jump_ns
            else s
            for s in t.samples
        ]
        found = isolated.work(samples, "energy_mj", 1e-3, t.start_ns, t.end_ns)
        assert found is None or found.energy_j > 0.8 * t.truth_j


@pytest.mark.parametrize("lost_ticks", [1, 2, 3])
def test_a_counter_that_stands_still_for_a_moment_says_so(lost_ticks: int) -> None:
    """What it slept through is lost; the even ticks show that there was none."""
    rng = random.Random(lost_ticks)
    for _ in range(10):
        idle_w, work_w, tick_s = rng.uniform(40, 100), rng.uniform(250, 500), 0.1
        pieces = [virtual.Piece(-10, idle_w), virtual.Piece(0, work_w), virtual.Piece(2, idle_w)]
        shown = virtual.Counter(tick_s, rng.uniform(0, tick_s))
        t = virtual.take(virtual.Power(pieces), 0.0, 2.0, shown, virtual.Polling(), rng)
        from_ns = t.start_ns + int(rng.uniform(0.5, 1.2) * 1e9)
        until_ns = from_ns + int(lost_ticks * tick_s * 1e9)
        counts = [s for s in t.samples if s.quantity == "energy_mj"]
        stood = next(s.value for s in reversed(counts) if s.t_ns <= from_ns)
        lost = next(s.value for s in reversed(counts) if s.t_ns <= until_ns) - stood
        samples = [
            s
            if s.quantity != "energy_mj" or s.t_ns <= from_ns
            else s._replace(value=stood if s.t_ns <= until_ns else s.value - lost)
            for s in t.samples
        ]
        found = isolated.work(samples, "energy_mj", 1e-3, t.start_ns, t.end_ns)
        assert found is not None and found.uneven == (lost > 0), "readings may miss the tick"
        u = 2 * math.hypot(found.tick_j, found.idle_j, found.sampling_j)
        assert abs(found.energy_j - t.truth_j) <= u
        sound = work(t)
        assert sound is not None and not sound.uneven


def test_a_board_ten_times_as_coarse_is_known_by_its_steps() -> None:
    t = trace(random.Random(1), counter={"quantum_mj": 250})
    points = series.tick_points(t.samples, "energy_mj", 1.0)
    assert isolated.quantum(points, 1.0) == 250


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
