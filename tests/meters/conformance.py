"""What every meter must do, whatever it reads. A new meter brings a rig (rigs.py) and passes."""

import math
import time
from pathlib import Path

from lem.contract.flags import FLAGS
from lem.contract.metrics import DEVICE_CLASSES
from lem.meters import readings
from lem.meters.protocol import Sample
from lem.meters.sampler import Sampler
from lem.meters.sampling import trace
from tests.meters.rigs import Rig

SYSTEMATIC = ("gain", "offset", "model")
"""Parts of a budget that the rigs, whose gain is exactly 1, must not need."""

OTHERS_WORK = ("shared_device", "foreign_load")
"""Whatever else the machine that runs the tests is doing."""


def describes_its_devices(rig: Rig) -> None:
    meter = readings.meter(rig.meter)
    for _ in range(2):
        devices = meter.open(rig.settings)
        meter.close()
        assert {d.device for d in devices} == rig.devices
        for d in devices:
            assert d.meter == rig.meter
            assert d.device_class in DEVICE_CLASSES
            assert d.description and d.quantity and d.unit
            assert d.update_period_s is None or 0 < d.update_period_s <= 1


def reads_named_and_timed_samples(rig: Rig, folder: Path) -> None:
    meter = readings.meter(rig.meter)
    devices = {d.device: d for d in meter.open(rig.settings)}
    wanted = {(d.device, d.quantity) for d in devices.values()}
    full: list[Sample] = []
    before_ns = time.monotonic_ns()
    # Meters that are read beside the sampler hand over what has come since.
    while not wanted <= {(s.device, s.quantity) for s in full}:
        full += meter.read("full")
        after_ns = time.monotonic_ns()
        assert after_ns - before_ns < 10_000_000_000, "not every device was read"
    edge = meter.read("edge")
    meter.close()
    # The first reading of such a meter may have begun while it was opened.
    assert all(before_ns - 10**9 <= s.t_ns <= after_ns and s.meter == rig.meter for s in full)
    assert bool(edge) == rig.ticking
    assert all(s.quantity == devices[s.device].quantity for s in edge)
    writer = trace.TraceWriter(folder / "names.csv.gz")
    writer.add(full)
    writer.close()
    assert trace.read(folder / "names.csv.gz") == sorted(full, key=lambda s: s.t_ns)


def measures_what_is_true(rig: Rig, folder: Path) -> None:
    """Through the sampler's own process: between two marks the error is within the uncertainty
    that is left when gain is known; the budget adds up; both halves add up to the whole."""
    path = folder / "trace.csv.gz"
    with Sampler([rig.meter], rig.settings, path, 0.05) as sampler:
        assert {i.device for i in sampler.infos} == rig.devices
        time.sleep(0.3)
        start_ns = sampler.mark()
        rig.work()
        end_ns = sampler.mark()
        time.sleep(0.2)
        infos = sampler.infos
    samples = trace.read(path)
    counted = readings.readings(infos, samples, start_ns, end_ns)
    assert {r.device for r in counted} == rig.devices - rig.uncounted
    found = readings.every(infos, samples, start_ns, end_ns)
    assert {r.device for r in found} == rig.devices
    middle_ns = (start_ns + end_ns) // 2
    for r in found:
        truth_j, rig_j = rig.truth_j(r.device, start_ns, end_ns)
        # A busy test machine may well not run the sampler for a while.
        assert set(r.flags) <= {"estimated", "sampler_gap", *OTHERS_WORK, *rig.flags}, r
        assert r.energy_j is not None
        assert (r.uncertainty_j is None) == ("uncertainty_unstated" in r.flags)
        own = [u for name, u in r.budget_j.items() if name not in SYSTEMATIC]
        # Half-widths, √3 × standard uncertainties, at worst all on the same side of both edges.
        bound_j = math.sqrt(6) * sum(own)
        assert abs(r.energy_j - truth_j) <= bound_j + rig_j, (r, truth_j)
        assert bound_j < 0.5 * truth_j, "the edges should not swamp the figure"
        parts = {"model"} if "estimated" in r.flags else {"tick", "offset"}
        assert parts | {"sampling"} <= r.budget_j.keys()
        if r.uncertainty_j is not None:
            assert math.isclose(r.uncertainty_j, 2 * math.hypot(*r.budget_j.values()))
        halves = [
            half.energy_j
            for a, b in ((start_ns, middle_ns), (middle_ns, end_ns))
            for half in readings.every(infos, samples, a, b)
            if half.device == r.device
        ]
        assert None not in halves
        assert math.isclose(sum(h for h in halves if h is not None), r.energy_j, rel_tol=1e-9)


def says_where_it_saw_nothing(rig: Rig) -> None:
    """No samples, or samples elsewhere: no figure, and a flag that is in the table."""
    meter = readings.meter(rig.meter)
    devices = meter.open(rig.settings)
    early = [s for _ in range(3) for s in meter.read("full")]
    meter.close()
    late_ns = time.monotonic_ns() + 3_600_000_000_000
    for d in devices:
        info = readings.info_of(d)
        own = [s for s in early if s.device == d.device]
        for samples in ([], own):
            r = meter.energy(info, samples, late_ns, late_ns + 10**10)
            assert r.energy_j is None and r.uncertainty_j is None
            assert "no_coverage" in r.flags
            assert all(f in FLAGS for f in r.flags)


def never_reports_a_counter_that_went_back(rig: Rig) -> None:
    """Whatever the quantity: a made-up trace that falls in the middle of the window."""
    meter = readings.meter(rig.meter)
    devices = meter.open(rig.settings)
    first = meter.read("full")
    meter.close()
    for d in devices:
        if d.quantity.startswith("power"):
            continue
        constants = [s for s in first if s.device == d.device and s.quantity != d.quantity]
        counts = [1000 * (i if i < 50 else i - 40) for i in range(100)]
        moving = [
            Sample(i * 50_000_000, rig.meter, d.device, d.quantity, 10_000_000 + c)
            for i, c in enumerate(counts)
        ]
        samples = sorted([*(s._replace(t_ns=0) for s in constants), *moving], key=lambda s: s.t_ns)
        r = meter.energy(readings.info_of(d), samples, 1_000_000_000, 4_000_000_000)
        assert r.energy_j is None
        assert "counter_backwards" in r.flags
