"""What a runner says of its machine: models and numbers, nothing that tells whose it is."""

from collections import Counter
from collections.abc import Sequence

from lem.agent.environment import capture, gpus
from lem.contract.queue import Device, Hardware
from lem.contract.record import Environment, Gpu
from lem.meters import machine, readings
from lem.meters.protocol import MeterSettings
from lem.submit.allowed import PRODUCT

MOST_DEVICES = 64


def described(boards: Sequence[Gpu]) -> Environment:
    """This machine as records describe it."""
    return capture(
        launcher="",
        image_digest=None,
        engine="",
        engine_version="",
        engine_resolved={},
        libraries={},
        gpus=list(boards),
    )


def hardware() -> Hardware:
    """As a runner registers it."""
    boards = gpus(None)
    here = described(boards)
    memory = {_told(b.name): b.memory_bytes for b in boards}
    devices = Counter(_told(b.name) for b in boards)
    return Hardware(
        cpu=_told(here.cpu_model),
        cores=here.cpu_count,
        memory_bytes=here.memory_bytes,
        devices=[
            Device(model=name, count=n, memory_bytes=memory[name])
            for name, n in list(devices.items())[:MOST_DEVICES]
        ],
        meters=_meters(),
    )


def _meters() -> list[str]:
    infos, _ = readings.probe(MeterSettings(**machine.settings()))
    return sorted({i.meter for i in infos if i.device_class != "sensor"})[:20]


def _told(name: str) -> str:
    return name if PRODUCT.fullmatch(name) else "unknown"
