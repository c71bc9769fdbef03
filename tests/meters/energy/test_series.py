"""What a counter's readings say of the counter itself, on readings made by hand."""

from lem.meters.energy import series
from lem.meters.protocol import Sample


def test_a_counter_that_stopped_in_the_tick_of_an_edge_has_stopped() -> None:
    """Its last tick was seen only after the end: what it missed began within the window."""
    readings = [(i * 0.05, i * 0.05 // 0.2) for i in range(15)]  # the last at 0.7 s, tick at 0.6 s
    late = [(0.78 + i * 0.05, 4.0) for i in range(30)]
    samples = [
        Sample(int(t * 1e9), "nvml", "gpu0", "energy_mj", 1e3 * value)
        for t, value in [*readings, *late]
    ]
    stands = series.stands_still(samples, "energy_mj", 0, 775_000_000, 200_000_000)
    assert stands
    assert not series.stands_still(samples, "energy_mj", 0, 590_000_000, 200_000_000)
