"""RAPL in real time: counters that move, wrap, freeze, fall and go away, through the sampler."""

import time
from pathlib import Path

import pytest

from lem.contract.record import EnergyReading
from lem.meters import readings
from lem.meters.protocol import MeterSettings
from lem.meters.sampler import Sampler
from lem.meters.sampling import trace
from tests.meters.played_powercap import SPAN_UJ, Powercap, Zone, playing
from tests.meters.power_trace import NEVER, step

STEP = step(0.6, 1.4, 30.0, 150.0)


def measured(zone: Zone, folder: Path, seconds: float = 1.6) -> tuple[EnergyReading, float]:
    """The package's reading over nearly all of the time, and the truth."""
    what = Powercap({"intel-rapl:0": zone})
    with playing(what, folder / "powercap"):
        settings = MeterSettings(powercap_root=folder / "powercap")
        with Sampler(["rapl"], settings, folder / "trace.csv.gz", 0.05) as sampler:
            sampler.mark()
            start_ns = time.monotonic_ns()
            time.sleep(seconds)
            end_ns = time.monotonic_ns()
            sampler.mark()
            infos = sampler.infos
    samples = trace.read(folder / "trace.csv.gz")
    r = readings.readings(infos, samples, start_ns, end_ns)[0]
    return r, what.energy_j("intel-rapl:0", start_ns, end_ns)


@pytest.mark.parametrize("wraps", [False, True])
def test_the_energy_is_the_area_under_the_power(tmp_path: Path, wraps: bool) -> None:
    """Also where the counter begins anew in the middle of it."""
    start_uj = SPAN_UJ - 60_000_000 if wraps else 1_000_000
    r, truth_j = measured(Zone(segments=STEP, start_uj=start_uj), tmp_path)
    assert r.energy_j is not None and r.uncertainty_j is not None
    assert abs(r.energy_j - truth_j) <= r.uncertainty_j
    assert r.energy_j == pytest.approx(truth_j, rel=0.03)
    # Others' work while this runs is not the counter's fault.
    assert set(r.flags) <= {"sampler_gap", "shared_device", "foreign_load", "not_attributed"}


@pytest.mark.parametrize(
    ("zone", "flag"),
    [
        (Zone(freeze_s=0.0), "counter_frozen"),
        (Zone(backwards_s=0.9, start_uj=5_000_000_000), "counter_backwards"),
        (Zone(gone_s=0.9), "meter_lost"),
        (Zone(empty_s=0.9), "meter_lost"),
        (Zone(span_uj=60_000_000, segments=((NEVER, 90.0, 90.0),)), "wrap_ambiguous"),
    ],
    ids=["frozen", "backwards", "gone", "empty", "wraps too often"],
)
def test_a_counter_that_misleads_gives_no_figure(tmp_path: Path, zone: Zone, flag: str) -> None:
    r, _ = measured(zone, tmp_path)
    assert r.energy_j is None
    assert flag in r.flags
