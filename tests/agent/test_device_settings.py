"""Whether a run's trace shows the power limit and the clock that were asked for."""

from collections.abc import Sequence

import pytest

from lem.agent.device_settings import flags
from lem.contract.record import Gpu
from lem.contract.spec import DeviceSettings
from lem.meters.protocol import Sample

S = 10**9
WINDOW = (10 * S, 20 * S)
LIMIT = DeviceSettings(power_limit_w=300)
CLOCK = DeviceSettings(sm_clock_mhz=1410)
NOT_LIMIT, NOT_CLOCK = {"power_limit_not_as_asked"}, {"clock_not_as_asked"}


def gpus(n: int = 1) -> list[Gpu]:
    return [Gpu(index=i, name="G", uuid=f"GPU-{i}", driver="0", memory_bytes=1) for i in range(n)]


def samples(
    quantity: str, values: Sequence[float], first_s: float = 10, gpu: int = 0
) -> list[Sample]:
    """One a second."""
    return [
        Sample(int((first_s + i) * S), "nvml", f"gpu{gpu}", quantity, v)
        for i, v in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        (LIMIT, samples("power_limit_mw", [300_000] * 11), set()),
        (LIMIT, samples("power_limit_mw", [300_900] * 11), set()),
        (LIMIT, samples("power_limit_mw", [301_100] * 11), NOT_LIMIT),
        (LIMIT, samples("power_limit_mw", [300_000] * 10 + [700_000]), NOT_LIMIT),
        (LIMIT, samples("power_limit_mw", [700_000] * 3, first_s=7), NOT_LIMIT),
        (LIMIT, [], NOT_LIMIT),
        # Before the window is not in it.
        (LIMIT, samples("power_limit_mw", [700_000] * 3 + [300_000] * 9, first_s=7), set()),
        (CLOCK, samples("sm_clock_mhz", [1410] * 11), set()),
        (CLOCK, samples("sm_clock_mhz", [1395] * 11), set()),
        (CLOCK, samples("sm_clock_mhz", [1380] * 11), NOT_CLOCK),
        (CLOCK, samples("sm_clock_mhz", [1440] * 11), NOT_CLOCK),
        # One reading beside it, of eleven, may be one of a change.
        (CLOCK, samples("sm_clock_mhz", [1410] * 10 + [210]), set()),
        (CLOCK, samples("power_limit_mw", [300_000] * 11), NOT_CLOCK),
        (DeviceSettings(), [], set()),
    ],
)
def test_what_is_in_force_in_the_window_counts(
    wanted: DeviceSettings, found: list[Sample], expected: set[str]
) -> None:
    assert flags(wanted, found, [WINDOW], gpus()) == expected


def test_a_window_between_two_readings_is_judged_by_the_nearest() -> None:
    window = (int(10.2 * S), int(10.3 * S))
    near = samples("power_limit_mw", [300_000, 700_000])
    assert flags(LIMIT, near, [window], gpus()) == set()
    late = (int(10.8 * S), int(10.9 * S))
    assert flags(LIMIT, near, [late], gpus()) == NOT_LIMIT
    far = samples("power_limit_mw", [300_000], first_s=5)
    assert flags(LIMIT, far, [window], gpus()) == NOT_LIMIT


def test_every_board_and_every_window_must_have_it() -> None:
    both = [s for i in range(2) for s in samples("power_limit_mw", [300_000] * 31, gpu=i)]
    later = (25 * S, 35 * S)
    assert flags(LIMIT, both, [WINDOW, later], gpus(2)) == set()
    assert flags(LIMIT, both, [WINDOW, later], gpus(3)) == NOT_LIMIT
    changed = both + samples("power_limit_mw", [250_000], first_s=30, gpu=1)
    assert flags(LIMIT, changed, [WINDOW], gpus(2)) == set()
    assert flags(LIMIT, changed, [WINDOW, later], gpus(2)) == NOT_LIMIT


def test_without_a_board_nothing_is_as_asked() -> None:
    assert flags(LIMIT, [], [WINDOW], []) == NOT_LIMIT
