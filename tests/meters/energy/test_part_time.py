"""The window of a power sensor, told from a load that is switched on and off."""

import random

import pytest

from lem.meters.energy import part_time
from lem.meters.energy.counter import Point

MS = 10**6


def switched(rng: random.Random, seconds: float) -> list[tuple[int, int]]:
    """Square waves of several periods, one after the other."""
    on, t = [], 0.5
    periods = (0.04, 0.095, 0.1, 0.105, 0.25)
    for period in periods:
        end = t + seconds / len(periods)
        while t < end:
            on.append((int(t * 1e9), int((t + period / 2) * 1e9)))
            t += period + rng.uniform(0, 1e-3)
    return on


def on_until(on: list[tuple[int, int]], t_ns: float) -> float:
    return sum(max(0.0, min(t_ns, end) - start) for start, end in on if start < t_ns)


def sense(
    on: list[tuple[int, int]],
    window_ms: float,
    period_ms: float,
    delay_ms: float,
    noise_w: float,
    rng: random.Random,
) -> list[tuple[int, float]]:
    """Readings of a sensor, 90 W without and 600 W with load, polled every 5 ms."""
    polled = []
    value, k = 0.0, -1
    for i in range(int(on[-1][1] / (5 * MS))):
        t = i * 5 * MS
        if int((t - delay_ms * MS) // (period_ms * MS)) != k:
            k = int((t - delay_ms * MS) // (period_ms * MS))
            end = k * period_ms * MS
            share = (on_until(on, end) - on_until(on, end - window_ms * MS)) / (window_ms * MS)
            value = round(90 + 510 * share + rng.gauss(0, noise_w), 3)
        polled.append((t, value))
    return polled


@pytest.mark.parametrize(
    ("window_ms", "period_ms", "share"),
    [(25, 100, 0.25), (100, 100, 1.0), (10, 20, 0.5), (1000, 100, 1.0), (50, 100, 0.5)],
)
def test_the_share_of_the_time_that_a_sensor_looks(
    window_ms: float, period_ms: float, share: float
) -> None:
    rng = random.Random(7)
    on = switched(rng, 12)
    polled = sense(on, window_ms, period_ms, 12, 2.0, rng)
    found = part_time.sampled(part_time.updates(polled), on)
    assert found is not None
    assert found.period_ns == pytest.approx(period_ms * MS, rel=0.03)
    assert found.share == pytest.approx(share, abs=0.08)
    assert found.low_ns * 0.9 <= window_ms * MS <= found.high_ns * 1.1
    assert found.low_w == pytest.approx(90, abs=15)
    assert found.high_w == pytest.approx(600, abs=15)


def test_readings_that_do_not_follow_the_load_say_nothing() -> None:
    rng = random.Random(1)
    on = switched(rng, 6)
    noise = [(i * 100 * MS, rng.gauss(300, 50)) for i in range(60)]
    assert part_time.sampled(noise, on) is None
    flat = [(i * 100 * MS, 300.0) for i in range(60)]
    assert part_time.sampled(flat, on) is None
    assert part_time.sampled(flat[:5], on) is None
    assert part_time.sampled(flat, []) is None


def test_power_that_falls_with_the_load_is_not_that_load() -> None:
    rng = random.Random(2)
    on = switched(rng, 6)
    readings = part_time.updates(sense(on, 50, 100, 0, 1.0, rng))
    assert part_time.sampled([(t, 1000 - w) for t, w in readings], on) is None


def test_the_ticks_of_a_counter_are_readings_of_mean_power() -> None:
    points = [Point(0, 0, 0.0), Point(100 * MS, 0, 30.0), Point(200 * MS, 0, 40.0)]
    assert part_time.tick_power(points) == [
        (100 * MS, pytest.approx(300)),
        (200 * MS, pytest.approx(100)),
    ]
