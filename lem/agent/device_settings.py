"""Whether the boards of a run had the power limit and the clock that its experiment asks for. Pure.

The host sets them; here, in the run's own trace, is what was in force while it was measured.
"""

import statistics
from collections.abc import Callable, Sequence

from lem.contract.record import Gpu
from lem.contract.spec import DeviceSettings
from lem.meters.protocol import Sample

LIMIT_TOLERANCE_W = 1.0
"""Boards round."""
CLOCK_TOLERANCE = 0.02
"""A step of the SM clock is about 1 %; reading it may fall into a change of clocks."""
REACH_NS = 2_000_000_000
"""Limits and clocks are read once a second: a shorter window is judged by what was read beside
it."""

Stretch = tuple[int, int]


def flags(
    wanted: DeviceSettings,
    samples: Sequence[Sample],
    windows: Sequence[Stretch],
    gpus: Sequence[Gpu],
) -> set[str]:
    """What is not as asked, or is not known. ``windows``: monotonic ns. ``gpus``: the run's."""
    found = set()
    limit_w, clock_mhz = wanted.power_limit_w, wanted.sm_clock_mhz
    devices = [f"gpu{g.index}" for g in gpus]

    def holds(quantity: str, good: Callable[[list[float]], bool]) -> bool:
        """In every window, on every board."""
        return bool(devices) and all(
            bool(seen := _seen(samples, device, quantity, window)) and good(seen)
            for device in devices
            for window in windows
        )

    if limit_w is not None and not holds(
        "power_limit_mw",
        lambda seen: all(abs(mw / 1e3 - limit_w) <= LIMIT_TOLERANCE_W for mw in seen),
    ):
        found.add("power_limit_not_as_asked")
    if clock_mhz is not None and not holds(
        "sm_clock_mhz",
        lambda seen: abs(statistics.median(seen) - clock_mhz) <= CLOCK_TOLERANCE * clock_mhz,
    ):
        found.add("clock_not_as_asked")
    return found


def _seen(samples: Sequence[Sample], device: str, quantity: str, window: Stretch) -> list[float]:
    """The values in the window; where there are none, the nearest to it that is near enough."""
    own = [s for s in samples if s.device == device and s.quantity == quantity]
    start_ns, end_ns = window
    inside = [s.value for s in own if start_ns <= s.t_ns <= end_ns]
    if inside:
        return inside
    near = [
        (distance, s.value)
        for s in own
        if (distance := max(start_ns - s.t_ns, s.t_ns - end_ns)) <= REACH_NS
    ]
    return [min(near)[1]] if near else []
