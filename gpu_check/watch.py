"""Two ways of watching a board: as a run does, and as densely as it goes."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lem.contract.record import EnergyReading
from lem.errors import RunFailed
from lem.meters import readings
from lem.meters.nvml import Nvml
from lem.meters.protocol import Device, MeterSettings, Sample
from lem.meters.sampler import Sampler
from lem.meters.sampling import trace

POLL_S = 0.001


@dataclass
class Watched:
    """A sampler at work, and its samples once the context has been left."""

    sampler: Sampler
    samples: list[Sample] = field(default_factory=list)

    def reading(self, start_ns: int, end_ns: int) -> EnergyReading:
        return readings.readings(self.sampler.infos, self.samples, start_ns, end_ns)[0]

    @property
    def board(self) -> list[Sample]:
        """The samples of the board itself."""
        return readings.of_device(self.samples, self.sampler.infos[0])


@contextmanager
def watch(gpu: int, interval_s: float = 0.05) -> Iterator[Watched]:
    """As a run does it."""
    with tempfile.TemporaryDirectory(prefix="lem-gpu-check-") as folder:
        path = Path(folder) / "trace.csv.gz"
        # The load is a child of this process: it is ours, and no foreign process.
        settings = MeterSettings(gpus=(gpu,), process=os.getpid())
        with Sampler(["nvml"], settings, path, interval_s) as sampler:
            if not sampler.infos:
                raise RunFailed("meter", sampler.unavailable.get("nvml", "NVML gives no device"))
            watched = Watched(sampler)
            yield watched
            time.sleep(0.7)
        watched.samples = trace.read(path)


def poll(gpu: int, going_on: Callable[[], bool], after_s: float = 0.3) -> list[Sample]:
    """Counter and power of the board as often as it goes, until ``after_s`` after the end."""
    meter = Nvml()
    device = board_of(meter.open(MeterSettings(gpus=(gpu,))))
    samples: list[Sample] = []
    end_s: float | None = None
    try:
        while end_s is None or time.monotonic() < end_s:
            samples += meter.read("steady")
            if end_s is None and not going_on():
                end_s = time.monotonic() + after_s
            time.sleep(POLL_S)
    finally:
        meter.close()
    return [s for s in samples if s.device == device.device]


def board_of(devices: Sequence[Device]) -> Device:
    """The board itself, not the module it is part of."""
    return next(d for d in devices if d.device_class == "gpu")


def spread(values: Sequence[float]) -> dict[str, float]:
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
    }
