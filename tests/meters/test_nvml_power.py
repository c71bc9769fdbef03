"""Power fields, modules, integrated power, and the counter beside it."""

import ctypes
import math
import random
import time
from collections.abc import Callable, Sequence

import pytest

from lem.agent import environment
from lem.contract.flags import worst
from lem.contract.record import EnergyReading, MeterInfo
from lem.errors import MeterUnavailable
from lem.meters import nvml_board, nvml_energy, nvml_power, readings
from lem.meters.energy import combine, series
from lem.meters.nvml import Nvml
from lem.meters.protocol import MeterSettings, Sample
from tests.meters import played

Begin = Callable[[played.Play], played.Play]
STEADY = ((played.NEVER, 300.0, 300.0),)
S = 10**9


def watch(seconds: float) -> tuple[list[MeterInfo], list[Sample]]:
    meter = Nvml()
    infos = [readings.info_of(d) for d in meter.open(MeterSettings())]
    samples: list[Sample] = []
    end_ns = time.monotonic_ns() + int(seconds * 1e9)
    while time.monotonic_ns() < end_ns:
        samples += meter.read("full")
        time.sleep(0.02)
    meter.close()
    return infos, samples


def lost_from(t_s: float) -> dict[int, played.Board]:
    return {1: played.Board(options={"lost_s": t_s})}


def values(samples: Sequence[Sample], device: str, quantity: str) -> set[float]:
    return {s.value for s in samples if s.device == device and s.quantity == quantity}


@pytest.mark.parametrize("field_type", [0, 1, 2, 3])
def test_both_fields_are_read_whatever_type_the_driver_gives_them(
    play: Begin, field_type: int
) -> None:
    play(played.Play(STEADY, {"fields": 3, "field_type": field_type}))
    _, samples = watch(0.1)
    for quantity in ("power_average_mw", "power_instant_mw"):
        # The player's mean may end in …999.99…, of which a whole number loses the fraction.
        found = values(samples, "gpu0", quantity)
        assert found and all(v == pytest.approx(300_000, abs=1) for v in found)
    assert values(samples, "gpu0", "power_mw") == set()


@pytest.mark.parametrize(("fields", "quantities"), [(0, {"power_mw"}), (2, {"power_instant_mw"})])
def test_boards_without_a_field_are_read_by_what_they_have(
    play: Begin, fields: int, quantities: set[str]
) -> None:
    play(played.Play(STEADY, {"fields": fields}))
    _, samples = watch(0.1)
    assert {s.quantity for s in samples if "power_" in s.quantity} - {
        "power_limit_mw"
    } == quantities


def test_a_module_is_a_device_of_its_own(play: Begin) -> None:
    """GPU by its counter, the module by its power; their classes keep them apart."""
    what = play(played.Play(STEADY, {"fields": 11, "module_w": 150.0}))
    infos, samples = watch(2.2)
    assert [(i.device, i.device_class, i.quantity) for i in infos] == [
        ("gpu0", "gpu", "energy_mj"),
        ("module0", "module", "power_mw"),
    ]
    start_ns, end_ns = what.t0_ns + S // 2, what.t0_ns + 3 * S // 2
    gpu, module = readings.readings(infos, samples, start_ns, end_ns)
    assert gpu.energy_j == pytest.approx(300, rel=0.05)
    assert module.energy_j == pytest.approx(450, rel=0.05)
    assert "power_integrated" in module.flags


@pytest.mark.parametrize("options", [{"ignores_scope": 1.0, "module_w": 99.0}, {}])
def test_no_module_where_the_scope_changes_nothing(play: Begin, options: dict[str, float]) -> None:
    play(played.Play(STEADY, {"fields": 11, **options}))
    infos, _ = watch(0.05)
    assert [i.device for i in infos] == ["gpu0"]


def test_a_package_without_scopes_sees_no_module(
    play: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older nvidia-ml-py: the field's scope had another name and no meaning."""
    import pynvml

    class Old(ctypes.Structure):
        _fields_ = [
            ("unused" if name == "scopeId" else name, kind)
            for name, kind in pynvml.c_nvmlFieldValue_t._fields_
        ]

    monkeypatch.setattr(pynvml, "c_nvmlFieldValue_t", Old)
    play(played.Play(STEADY, {"fields": 11, "module_w": 150.0}))
    infos, samples = watch(0.05)
    assert [i.device for i in infos] == ["gpu0"]
    assert values(samples, "gpu0", "power_instant_mw") == {300_000}


def test_a_field_that_a_driver_leaves_untouched_is_not_read_as_zero(play: Begin) -> None:
    import pynvml

    play(played.Play(STEADY, {"fields": 3}))
    pynvml.nvmlInit()
    try:
        board = pynvml.nvmlDeviceGetHandleByIndex(0)
        fields = nvml_board.PowerFields(pynvml, board, nvml_board.SCOPE_GPU)
        assert fields.read() == [300_000, 300_000]
        fields._call = lambda: 0
        with pytest.raises(nvml_board.CallFailed):
            fields.read()
    finally:
        pynvml.nvmlShutdown()


def test_a_partitioned_board_names_its_partitions(play: Begin) -> None:
    play(played.Play(STEADY, {"mig": 1, "mig_devices": 2}))
    infos, _ = watch(0.05)
    assert infos[0].description.endswith(
        "shared by its partitions (MIG): Played GPU MIG 1g.10gb, Played GPU MIG 1g.10gb"
    )
    (gpu,) = environment.gpus(None)
    assert (gpu.mig, gpu.partitions) == (True, ["1g.10gb", "1g.10gb"])


def test_one_lost_board_of_two_is_kept_in_view_without_a_figure(play: Begin) -> None:
    what = play(played.Play(STEADY, {"devices": 2}, boards=lost_from(-1.0)))
    infos, samples = watch(0.8)
    assert [(i.device, i.quantity) for i in infos] == [("gpu0", "energy_mj"), ("gpu1", "none")]
    assert "does not answer" in infos[1].description
    well, lost = readings.readings(infos, samples, what.t0_ns + S // 4, what.t0_ns + S // 2)
    assert well.energy_j == pytest.approx(75, rel=0.1)
    assert lost.energy_j is None
    assert "no_meter" in lost.flags


def test_one_board_of_two_that_is_lost_while_running(play: Begin) -> None:
    what = play(played.Play(STEADY, {"devices": 2}, boards=lost_from(0.6)))
    infos, samples = watch(1.2)
    assert len(infos) == 2
    well, lost = readings.readings(infos, samples, what.t0_ns + S // 4, what.t0_ns + S)
    assert well.energy_j == pytest.approx(225, rel=0.05)
    assert lost.energy_j is None
    assert "meter_lost" in lost.flags


def test_a_module_whose_power_goes_away_has_no_figure(play: Begin) -> None:
    options = {"fields": 11, "module_w": 150.0, "lost_s": 0.6}
    what = play(played.Play(STEADY, options))
    infos, samples = watch(1.2)
    _, module = readings.readings(infos, samples, what.t0_ns + S // 4, what.t0_ns + S)
    assert module.energy_j is None
    assert "meter_lost" in module.flags


def test_all_boards_lost_is_no_meter(play: Begin) -> None:
    play(played.Play(STEADY, {"lost_s": -1.0}))
    with pytest.raises(MeterUnavailable, match="bus") as caught:
        Nvml().open(MeterSettings())
    assert caught.value.hint == "restart the machine"


# Integrated power, over traces that are computed.


def energy_of(segments: Sequence[tuple[float, float]], t: float) -> float:
    """J from 0 s to ``t`` s of a power that steps: (until s, W)."""
    total, start = 0.0, 0.0
    for until, watts in segments:
        total += watts * (min(t, until) - start)
        if t <= until:
            break
        start = until
    return total


def sensed(
    segments: Sequence[tuple[float, float]],
    quantity: str,
    *,
    window_s: float,
    update_s: float,
    poll_s: float = 0.05,
    until_s: float = 30.0,
    phase_s: float = 0.0,
    seen: Callable[[float], bool] = lambda t: True,
) -> list[Sample]:
    """What polling says of a sensor that is updated every ``update_s`` with the mean of the last
    ``window_s``."""
    samples = []
    for i in range(int(until_s / poll_s)):
        t = i * poll_s
        last = math.floor((t - phase_s) / update_s) * update_s + phase_s
        watts = (energy_of(segments, last) - energy_of(segments, last - window_s)) / window_s
        if seen(t):
            samples.append(Sample(int(t * 1e9), "nvml", "gpu0", quantity, round(watts * 1e3)))
    return samples


STEPS = ((5.0, 90.0), (17.0, 600.0), (1e9, 90.0))


@pytest.mark.parametrize(
    ("quantity", "window_s", "generation"),
    [
        ("power_average_mw", 1.0, 9),
        ("power_instant_mw", 0.1, 6),
        ("power_mw", 1.0, 9),
        ("power_mw", 0.02, 7),
        ("power_mw", 1.0, 7),
        ("power_mw", 0.02, 5),
        ("power_mw", 1.0, None),
    ],
)
def test_the_edges_cost_what_is_stated(
    quantity: str, window_s: float, generation: int | None
) -> None:
    """Work of 12 s between idle, measured from its first to its last moment, and from elsewhere:
    the error without the sensor's own is inside two standard uncertainties."""
    for phase_s in (0.0, 0.013, 0.07):
        samples = sensed(STEPS, quantity, window_s=window_s, update_s=0.1, phase_s=phase_s)
        if generation is not None:
            samples.insert(0, Sample(0, "nvml", "gpu0", "architecture", generation))
        for start, end in ((5.0, 17.0), (4.7, 17.3), (5.5, 16.5), (7.0, 15.0), (3.0, 19.0)):
            found = nvml_power.integrate(samples, int(start * S), int(end * S))
            assert found is not None
            truth = energy_of(STEPS, end) - energy_of(STEPS, start)
            assert abs(found.energy_j - truth) <= 2 * found.sampling_j + 0.002 * truth
            assert found.sampling_j < 0.08 * truth


@pytest.mark.parametrize(
    ("quantity", "window_s", "generation", "least_s"),
    [
        ("power_instant_mw", 0.02, 9, 0.4),
        ("power_mw", 0.02, 5, 0.4),
        ("power_average_mw", 1.0, 9, 1.0),
        ("power_mw", 1.0, 9, 1.0),
    ],
)
def test_work_too_short_for_the_sensor_has_no_figure(
    quantity: str, window_s: float, generation: int, least_s: float
) -> None:
    """Between two readings nothing of it would be seen, and an average of a second shows a tenth of
    what a tenth of a second draws; no U of 40 % covers that."""
    for seconds in (0.02, 0.05, 0.1, 0.3, 0.9, 1.5, 4.0):
        work = ((5.0, 90.0), (5.0 + seconds, 600.0), (1e9, 90.0))
        for phase_s in (0.0, 0.03, 0.07):
            samples = sensed(
                work, quantity, window_s=window_s, update_s=0.1, until_s=15.0, phase_s=phase_s
            )
            samples.insert(0, Sample(0, "nvml", "gpu0", "architecture", generation))
            r = nvml_energy.energy(POWER, samples, 5 * S, int((5 + seconds) * S))
            if seconds < least_s / 2:
                assert r.energy_j is None and "too_few_updates" in r.flags
            elif r.energy_j is not None:
                assert r.uncertainty_j is not None
                assert abs(r.energy_j - 600 * seconds) <= r.uncertainty_j
            if seconds > least_s:
                assert r.energy_j is not None


POWER = MeterInfo(
    meter="nvml",
    device="gpu0",
    device_class="gpu",
    quantity="power_mw",
    unit="mW",
    description="played",
)


@pytest.mark.parametrize("poll_s", [0.01, 0.05, 0.1])
def test_readings_that_repeat_count_for_as_long_as_they_were_held(poll_s: float) -> None:
    """Dropping the repeats would halve the energy of a sensor that is updated every 0.5 s while
    power is high and low by turns."""
    wave = tuple((i + 1.0, 600.0 if i % 2 else 100.0) for i in range(40))
    samples = sensed(wave, "power_instant_mw", window_s=0.02, update_s=0.5, poll_s=poll_s)
    found = nvml_power.integrate(samples, 4 * S, 24 * S)
    assert found is not None
    assert found.energy_j == pytest.approx(350 * 20, rel=0.02)
    assert nvml_power.update_period_ns([(s.t_ns, s.value) for s in samples]) == pytest.approx(
        1.0 * S, rel=0.1
    )


def test_power_that_is_truly_constant_is_taken_as_it_is() -> None:
    samples = sensed(((1e9, 250.0),), "power_instant_mw", window_s=0.02, update_s=0.1)
    found = nvml_power.integrate(samples, 2 * S, 12 * S)
    assert found is not None
    assert found.energy_j == pytest.approx(2500)
    assert found.sampling_j == pytest.approx(0, abs=1e-6)


def test_of_two_powers_the_more_certain_is_taken() -> None:
    """A long window by the average, which misses nothing between; a short one by present power."""
    rng = random.Random(3)
    wave = tuple(((i + 1) * 0.31, rng.uniform(100, 700)) for i in range(120))
    samples = sensed(wave, "power_average_mw", window_s=1.0, update_s=0.1)
    samples += sensed(wave, "power_instant_mw", window_s=0.025, update_s=0.1)
    samples.sort()
    long = nvml_power.integrate(samples, 3 * S, 27 * S)
    assert long is not None
    assert long.energy_j == pytest.approx(energy_of(wave, 27) - energy_of(wave, 3), rel=0.02)
    step = ((5.0, 90.0), (6.0, 600.0), (1e9, 90.0))
    samples = sensed(step, "power_average_mw", window_s=1.0, update_s=0.1)
    samples += sensed(step, "power_instant_mw", window_s=0.025, update_s=0.1)
    samples.sort()
    short = nvml_power.integrate(samples, 5 * S, 6 * S)
    assert short is not None and short.quantity == "power_instant_mw"


@pytest.mark.parametrize("stopped", ["power_instant_mw", "power_average_mw"])
def test_a_power_that_stopped_is_relied_on_by_nobody(stopped: str) -> None:
    """400 W for 20 s; one sensor tells 60 W as it did before."""
    rng = random.Random(3)

    def told(quantity: str, dead: bool) -> list[Sample]:
        return [
            Sample(
                int(t * S),
                "nvml",
                "gpu0",
                quantity,
                60e3 if dead else round(1e3 * ((60 if t < 2 else 400) + rng.gauss(0, 1))),
            )
            for t in (i * 0.05 for i in range(480))
        ]

    alone = nvml_energy.energy(POWER, told(stopped, True), 2 * S, 22 * S)
    assert alone.flags == ["never_changed", "power_integrated"]
    assert worst(alone.flags) == "exclude"
    other = next(q for q in ("power_instant_mw", "power_average_mw") if q != stopped)
    both = sorted([*told(stopped, True), *told(other, False)])
    r = nvml_energy.energy(POWER, both, 2 * S, 22 * S)
    assert r.energy_j == pytest.approx(8000, rel=0.03) and r.flags == ["power_integrated"]


@pytest.mark.parametrize("interval_s", [0.1, 0.05, 0.01])
def test_what_a_counter_may_not_have_seen_does_not_depend_on_how_often_power_is_read(
    interval_s: float,
) -> None:
    rng = random.Random(5)
    updates = [1e3 * rng.uniform(100, 500) for _ in range(200)]
    samples = [
        Sample(int(i * interval_s * S), "nvml", "gpu0", "power_instant_mw", updates[int(x)])
        for i in range(int(19 / interval_s))
        if (x := i * interval_s / 0.1 + 1e-6) < 200
    ]
    unseen_j = nvml_power.unseen_j(samples, 2 * S, 18 * S, S // 10)
    # Between two levels at random: 400 W ÷ √12, over √(16 s × 0.1 s).
    assert unseen_j == pytest.approx(400 / math.sqrt(12) * math.sqrt(1.6), rel=0.15)


def test_isolated_work_in_bursts_may_have_been_seen_in_part_only() -> None:
    rng = random.Random(6)
    noise = [rng.gauss(0, 2) for _ in range(200)]

    def unseen(watts: Callable[[float], float], architecture: int = 9) -> float:
        samples = [Sample(0, "nvml", "gpu0", "architecture", architecture)]
        samples += [
            Sample(
                int(i * 0.05 * S), "nvml", "gpu0", "power_instant_mw", 1e3 * (watts(i * 0.05) + e)
            )
            for i, e in enumerate(noise)
        ]
        return nvml_power.unseen_j(samples, 2 * S, 8 * S, S // 10, edges=1)

    bursts = unseen(lambda t: 60 if not 3 <= t < 7 else rng.choice([150, 550]))
    assert bursts == pytest.approx(150 * math.sqrt(0.6), rel=0.4)
    assert unseen(lambda t: 60 if not 3 <= t < 7 else 400) < 3, "its own beginning and end"
    assert unseen(lambda t: 60 if not 3 <= t < 7 else rng.choice([150, 550]), 5) == 0


def test_at_low_power_a_sensor_is_no_better_than_its_least_and_its_gain_does_not_cancel() -> None:
    """12 W of work beside 10 W of idle: the difference has the gain's part at least."""
    info = POWER.model_copy(update={"quantity": "energy_mj"})

    def reading(watts: float) -> EnergyReading:
        counts = [
            Sample(i * S // 10, "nvml", "gpu0", "energy_mj", i * watts * 100) for i in range(300)
        ]
        return nvml_energy.energy(info, counts, 5 * S, 25 * S)

    work, idle = reading(12), reading(10)
    for r, watts in ((work, 12), (idle, 10)):
        gain, offset = r.budget_j["gain"], r.budget_j["offset"]
        assert gain == pytest.approx(0.034 * 20 * watts)
        assert math.hypot(gain, offset) == pytest.approx(1.5 * 20)
    u = combine.expanded_j([combine.Term(1.0, work), combine.Term(-1.0, idle)])
    assert u is not None and u >= 2 * 0.034 * 20 * (12 - 10)


def test_a_gap_is_flagged_and_costs() -> None:
    samples = sensed(
        STEPS, "power_instant_mw", window_s=0.02, update_s=0.1, seen=lambda t: not 8 < t < 9
    )
    whole = sensed(STEPS, "power_instant_mw", window_s=0.02, update_s=0.1)
    assert nvml_power.gap_flags(samples, 4 * S, 18 * S) == ["sampler_gap"]
    assert nvml_power.gap_flags(samples, 10 * S, 18 * S) == []
    found, without = (nvml_power.integrate(s, 4 * S, 18 * S) for s in (samples, whole))
    assert found is not None and without is not None
    assert found.sampling_j > without.sampling_j + 20
    assert nvml_power.integrate(samples, 7 * S, 10 * S) is None


def test_calls_that_now_and_then_take_long_lose_nothing_within_an_update() -> None:
    """An H200 mostly answers within 6 ms, now and then after 19; its power is new every 100 ms."""
    waves = [(0.37 * (i + 1), (90.0, 600.0)[i % 2]) for i in range(60)]
    dense = sensed(waves, "power_instant_mw", window_s=0.1, update_s=0.1, poll_s=0.001, until_s=20)
    uneven, i = [], 0
    while i < len(dense):
        uneven.append(dense[i])
        i += 19 if len(uneven) % 3 == 0 else 6
    found = nvml_power.integrate(uneven, 4 * S, 18 * S)
    assert found is not None
    true_j = energy_of(waves, 18) - energy_of(waves, 4)
    assert abs(found.energy_j - true_j) <= 2 * found.sampling_j < 0.1 * true_j


def test_rest_that_changes_rarely_excuses_no_gap() -> None:
    """A coarse sensor at rest tells another value every few seconds: that is no update's period."""
    rest = [(5.0 * (i + 1), 80.0 + i % 2) for i in range(8)]
    busy = [(40.6, 80.0), (45.0, 600.0)]
    after = [(45.0 + 5.0 * (i + 1), 80.0 + i % 2) for i in range(8)]
    samples = sensed(
        [*rest, *busy, *after],
        "power_instant_mw",
        window_s=0.1,
        update_s=0.1,
        poll_s=0.1,
        until_s=80.0,
        seen=lambda t: not 40.55 < t < 45.05,
    )
    assert nvml_power.gap_flags(samples, 36 * S, 48 * S) == ["sampler_gap"]
    assert nvml_power.integrate(samples, 36 * S, 48 * S) is None


def test_power_that_does_not_reach_the_edges_gives_nothing() -> None:
    samples = sensed(STEPS, "power_instant_mw", window_s=0.02, update_s=0.1, until_s=10)
    assert nvml_power.integrate(samples, 5 * S, 17 * S) is None
    assert nvml_power.integrate([], 0, S) is None


# The counter beside it.


@pytest.mark.parametrize(
    ("quantity", "generation", "off", "differs"),
    [
        ("power_average_mw", 9, 1.04, False),
        ("power_average_mw", 9, 0.94, True),
        ("power_instant_mw", 9, 1.3, False),
        ("power_instant_mw", 7, 1.45, True),
        ("power_instant_mw", 6, 1.08, False),
        ("power_instant_mw", 6, 1.12, True),
        ("power_mw", 10, 1.06, True),
        ("power_mw", 7, 1.3, False),
        ("power_instant_mw", None, 1.3, False),
        ("power_instant_mw", 2**32 - 1, 1.3, False),
    ],
)
def test_what_a_board_may_differ_by_depends_on_its_kind(
    quantity: str, generation: int | None, off: float, differs: bool
) -> None:
    samples = sensed(((1e9, 300.0),), quantity, window_s=0.02, update_s=0.1)
    if generation is not None:
        samples.insert(0, Sample(0, "nvml", "gpu0", "architecture", generation))
    found = nvml_power.compare(samples, off * 3000, 5 * S, 15 * S)
    assert found is not None
    assert found.ratio == pytest.approx(off)
    assert (found.differs, found.disagrees) == (differs, False)


def test_short_windows_are_not_compared() -> None:
    samples = sensed(STEPS, "power_instant_mw", window_s=0.02, update_s=0.1)
    assert nvml_power.compare(samples, 1.0, 5 * S, 15 * S - 1) is None


@pytest.mark.parametrize(("scale", "flag"), [(1.0, None), (1.2, "power_differs")])
def test_the_ratio_stands_in_the_reading(scale: float, flag: str | None) -> None:
    info = MeterInfo(
        meter="nvml",
        device="gpu0",
        device_class="gpu",
        quantity="energy_mj",
        unit="mJ",
        description="",
    )
    samples = [
        Sample(i * S // 10, "nvml", "gpu0", "energy_mj", 1e6 + i * 30_000 * scale)
        for i in range(170)
    ]
    samples += sensed(((1e9, 300.0),), "power_average_mw", window_s=1.0, update_s=0.1, until_s=17)
    samples.sort()
    r = Nvml().energy(info, samples, 2 * S, 14 * S)
    assert r.power_ratio == pytest.approx(scale, rel=1e-3)
    assert r.energy_j == pytest.approx(3600 * scale, rel=1e-3)
    assert r.flags == ([flag] if flag else [])
    assert series.of(samples, "power_average_mw")


@pytest.mark.parametrize("quantity", ["power_instant_mw", "power_average_mw"])
def test_bursts_between_even_ticks_cost_where_an_edge_is_no_tick(quantity: str) -> None:
    """The second of two boards: its ticks all show the same mean power, so nothing in them tells
    that an edge between two of them may lie in a burst or beside one."""
    rng = random.Random(11)
    inside, spreads = [], []
    for _ in range(60):
        period, duty = 0.1 / rng.randint(1, 5), rng.uniform(0.2, 0.8)
        pairs = [
            (i * period + duty * period, 600.0, (i + 1) * period) for i in range(int(6.5 / period))
        ]
        wave = tuple(s for a, w, b in pairs for s in ((a, w), (b, 100.0)))
        samples = sensed(wave, quantity, window_s=0.002, update_s=0.0131, until_s=6.0)
        for i in range(60):
            shown_mj = round(1e3 * energy_of(wave, 0.1 * i))
            # The ticks next to the edges are polled for, the others are not.
            polled = [0.1 * i + 0.0995] if i in (18, 19, 20, 21, 38, 39, 40, 41) else []
            for t_s in (0.1 * i, 0.1 * i + 0.05, *polled):
                samples.append(Sample(int(t_s * 1e9), "nvml", "gpu0", "energy_mj", shown_mj))
        samples.sort()
        start, end = (t + rng.uniform(0, 0.1) for t in (2.0, 4.0))
        counter = POWER.model_copy(update={"quantity": "energy_mj"})
        r = nvml_energy.energy(counter, samples, int(start * S), int(end * S))
        assert r.energy_j is not None
        u = 2 * math.hypot(r.budget_j["tick"], r.budget_j["sampling"])
        inside.append(abs(r.energy_j - (energy_of(wave, end) - energy_of(wave, start))) <= u)
        spreads.append(u / r.energy_j)
    assert sum(inside) >= 0.95 * len(inside)
    # 2 s of bursts on a board that may not look all the time.
    assert sorted(spreads)[30] < 0.27
