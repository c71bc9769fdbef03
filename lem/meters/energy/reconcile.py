"""Which meter's figure counts where several see the same energy, and whether they agree. Pure.

One meter enters the figures of a device class: the first of ``PRECEDENCE`` that is there (of GPUs
the makers' own together, for they see different boards). The others are compared with it, over all
windows together. Totals of a class are compared, not single devices: two meters number boards in
ways that nobody guarantees to be the same. So they are compared only where both see as many devices
(or one of them the node's total).

A disagreement beyond the uncertainties is a finding (``meters_disagree``, consequence ``info``):
one of the two is not as good as it says, and nothing here tells which; ratios between runs on one
board do not depend on it. Sensors at different places of the supply differ by what is lost between
them, so it is to be expected between, say, a board's own sensor and the node's. What is physically
impossible (a part that exceeds its whole) or cannot be losses (a factor of two) excludes the run
(``meters_contradict``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lem.meters.energy.combine import Term, expanded_j

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo, Reconciliation, View

PRECEDENCE = {
    "gpu": ("nvml", "amd", "hwmon", "pm_counters"),
    "cpu": ("rapl", "pm_counters", "hwmon"),
    "dram": ("rapl", "pm_counters", "hwmon"),
    "node": ("external", "pm_counters", "ipmi", "hwmon", "rapl"),
}
"""Device class → meters, the one that counts first. For a device's class its own sensor goes before
the node's; for the node, the one that sees most of the machine. Meters that are not named come
after those that are."""

MAKERS = ("nvml", "amd")
"""Meters of GPUs that can't see each other's boards: together they are one view of the class."""

LOSSES = 2.0
"""Between two views of one thing no larger ratio is explained by where they measure."""

LEAST_S = 10.0
"""Windows shorter than this in all are shown side by side and not judged."""

WHOLE_MACHINE = ("external", "pm_counters", "ipmi", "hwmon")
"""Node meters that contain every GPU; psys may well not."""


def counted(infos: Sequence[MeterInfo]) -> list[MeterInfo]:
    """The devices whose energy enters figures: of each class one meter's; the estimated ones only
    where nothing is measured. A meter that states no uncertainty gives way to one that does."""
    measured = [
        i for i in infos if i.device_class not in ("estimated", "sensor") and i.part_of is None
    ]
    chosen = {c: _chosen(c, measured) for c in {i.device_class for i in measured}}
    kept = [i for i in measured if _source(i) == chosen[i.device_class]]
    return kept or [i for i in infos if i.device_class == "estimated"]


def _chosen(device_class: str, infos: Sequence[MeterInfo]) -> str:
    order = PRECEDENCE.get(device_class, ())
    those = [i for i in infos if i.device_class == device_class]

    def rank(info: MeterInfo) -> tuple[bool, int, str]:
        unstated = info.meter == "external" and info.relative_uncertainty is None
        place = order.index(info.meter) if info.meter in order else len(order)
        return unstated, place, info.meter

    return _source(min(those, key=rank))


def _source(info: MeterInfo) -> str:
    """Its meter; the makers' meters of GPUs count as one."""
    together = info.meter in MAKERS and info.device_class == "gpu"
    return "+".join(MAKERS) if together else info.meter


def reconciled(
    infos: Sequence[MeterInfo], windows: Sequence[Sequence[EnergyReading]]
) -> list[Reconciliation]:
    """Every comparison that can be made. ``windows``: for each window the readings of all devices
    (:func:`lem.meters.readings.every`)."""
    first = {(_source(i), i.device_class) for i in counted(infos)}
    found: list[Reconciliation] = []
    classes = [c for c in PRECEDENCE if any(i.device_class == c for i in infos)]
    for device_class in classes:
        views = _by_meter(infos, device_class)
        main = next((m for m in views if (m, device_class) in first), None)
        for meter, devices in views.items():
            if main is None or meter == main or not _comparable(views[main], devices):
                continue
            found.append(
                _compared("same", device_class, view(views[main], windows), view(devices, windows))
            )
    found += _parts(infos, windows)
    return found + _whole(infos, windows)


def flags(found: Iterable[Reconciliation], seconds: float) -> set[str]:
    """What follows for the run."""
    if seconds < LEAST_S:
        return set()
    result = set()
    for r in found:
        if r.agrees is not False or r.ratio is None:
            continue
        impossible = r.relation == "contains" or not 1 / LOSSES <= r.ratio <= LOSSES
        result.add("meters_contradict" if impossible else "meters_disagree")
    return result


def view(infos: Sequence[MeterInfo], windows: Sequence[Sequence[EnergyReading]]) -> View:
    """The sum of these devices (of one source) over all windows."""
    from lem.contract.record import View

    meter = "+".join(dict.fromkeys(i.meter for i in infos))
    keys = {(i.meter, i.device) for i in infos}
    readings = [r for w in windows for r in w if (r.meter, r.device) in keys]
    complete = bool(readings) and len(readings) == len(keys) * len(windows)
    flags = sorted({f for r in readings for f in r.flags})
    devices = sorted(i.device for i in infos)
    if not complete or any(r.energy_j is None for r in readings):
        return View(meter=meter, devices=devices, energy_j=None, uncertainty_j=None, flags=flags)
    return View(
        meter=meter,
        devices=devices,
        energy_j=sum(r.energy_j or 0.0 for r in readings),
        uncertainty_j=expanded_j(Term(1.0, r) for r in readings),
        flags=flags,
    )


def _by_meter(infos: Sequence[MeterInfo], device_class: str) -> dict[str, list[MeterInfo]]:
    views: dict[str, list[MeterInfo]] = {}
    for i in infos:
        if i.device_class == device_class and i.part_of is None:
            views.setdefault(_source(i), []).append(i)
    return views


def _comparable(a: Sequence[MeterInfo], b: Sequence[MeterInfo]) -> bool:
    """Whether both see the same whole. The CPU and memory domains of pm_counters are the node's
    total, however many packages there are. The kernel's drivers see no board that NVIDIA's does."""
    if any(i.meter == "nvml" for i in a) and b[0].meter == "hwmon":
        return False
    totals = ("cpu", "dram", "node")
    total = a[0].device_class in totals and "pm_counters" in (a[0].meter, b[0].meter)
    return total or len(a) == len(b)


def _parts(
    infos: Sequence[MeterInfo], windows: Sequence[Sequence[EnergyReading]]
) -> list[Reconciliation]:
    """Each device beside the parts of it that the same meter tells."""
    found = []
    for whole in infos:
        parts = [i for i in infos if i.meter == whole.meter and i.part_of == whole.device]
        if parts and whole.part_of is None:
            found.append(
                _compared("contains", whole.device, view([whole], windows), view(parts, windows))
            )
    return found


def _whole(
    infos: Sequence[MeterInfo], windows: Sequence[Sequence[EnergyReading]]
) -> list[Reconciliation]:
    """Every node meter beside what it contains; for the GPUs the factor from them to the wall."""
    found = []
    main = counted(infos)
    for node in _by_meter(infos, "node").values():
        if len(node) != 1:
            continue
        inside = ("gpu", "cpu", "dram") if node[0].meter in WHOLE_MACHINE else ("cpu",)
        whole = view(node, windows)
        for device_class in inside:
            parts = [i for i in main if i.device_class == device_class]
            if not parts:
                continue
            what = "wall_to_gpu" if device_class == "gpu" else device_class
            found.append(_compared("contains", what, whole, view(parts, windows)))
    return found


def _compared(relation: str, what: str, first: View, second: View) -> Reconciliation:
    """Uncertainties of two meters are independent; of two views by one meter too large this way,
    never too small."""
    from lem.contract.record import Reconciliation

    a, b, ua, ub = first.energy_j, second.energy_j, first.uncertainty_j, second.uncertainty_j
    ratio = uncertainty = agrees = None
    if a is not None and b is not None and a > 0 and b > 0:
        ratio = a / b
        if ua is not None and ub is not None:
            uncertainty = ratio * math.hypot(ua / a, ub / b)
            beyond_j = math.hypot(ua, ub)
            agrees = (b - a if relation == "contains" else abs(a - b)) <= beyond_j
        elif ratio < 1 / LOSSES or (relation == "same" and ratio > LOSSES):
            agrees = False
    return Reconciliation(
        relation="contains" if relation == "contains" else "same",
        what=what,
        first=first,
        second=second,
        ratio=ratio,
        uncertainty=uncertainty,
        agrees=agrees,
    )
