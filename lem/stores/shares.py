"""How a run's energy is spread over its devices: what of their gains cancels in a ratio."""

from collections import defaultdict
from typing import NamedTuple

from lem.contract.record import Record


class Share(NamedTuple):
    """Of one device in its class's energy."""

    energy: float
    """As a share; all of a class add up to 1."""
    gain: float
    """Relative standard uncertainty of the device's gain, as the readings state it; 0 where they
    state none."""


def shares_of(record: Record) -> dict[str, dict[str, Share]]:
    """Device class → device → its share, over all windows. A GPU goes by its UUID: the same board
    is counted otherwise in every container. Classes with a reading that cannot be trusted, or that
    is not above 0, are left out."""
    energy: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    gain: dict[tuple[str, str], float] = defaultdict(float)
    unusable = set()
    uuids = {f"gpu{g.index}": g.uuid for g in record.environment.gpus}
    for window in record.windows:
        for r in window.energy:
            device = f"{r.meter}/{r.device}"
            if r.meter == "nvml":
                device = uuids.get(r.device, device)
            if r.energy_j is None or r.energy_j <= 0:
                unusable.add(r.device_class)
                continue
            energy[r.device_class][device] += r.energy_j
            gain[r.device_class, device] += r.budget_j.get("gain", 0.0)
    found = {}
    for name, of_device in energy.items():
        if name not in unusable:
            total = sum(of_device.values())
            found[name] = {
                device: Share(e / total, gain[name, device] / e) for device, e in of_device.items()
            }
    return found
