"""What is sent gives the same figures to the last bit, though devices have other names in it."""

import gzip
import random

from lem.agent.metrics import energy_by_class
from lem.contract.record import MeterInfo
from lem.meters import readings
from lem.submit.rows import public_trace
from lem.submit.veil import Veil, device_names
from lem.trust.files import samples_of

NAMES = ["zz:host:1", "10.0.0.7", "aa:host:2", "mm:host:3"]
SECOND = 1_000_000_000


def infos(names: dict[str, str]) -> list[MeterInfo]:
    return [
        MeterInfo(
            meter="rapl",
            device=names.get(n, n),
            device_class="cpu",
            quantity="energy_uj",
            unit="uJ",
            description="a socket",
        )
        for n in NAMES
    ]


def trace_of() -> bytes:
    chance = random.Random(5)
    at = dict.fromkeys(NAMES, 0)
    lines = ["t_ns,meter,device,quantity,value"]
    lines += [f"{10**12},rapl,{name},max_energy_range_uj,{2**40}" for name in NAMES]
    for i in range(4000):
        for name in NAMES:
            at[name] += chance.randrange(10**4, 3 * 10**5)
            lines.append(f"{10**12 + i * SECOND // 200},rapl,{name},energy_uj,{at[name]}")
    return gzip.compress("\n".join([*lines, ""]).encode())


def test_renamed_devices_add_up_to_the_same_bits() -> None:
    renamed = device_names(infos({}))
    assert len(renamed) == len(NAMES) and sorted(renamed) != sorted(renamed, key=renamed.get)  # type: ignore[arg-type]
    sent = public_trace(trace_of(), Veil("0" * 32, "owner", renamed))
    assert not any(name.encode() in gzip.decompress(sent) for name in NAMES)
    span = (10**12 + 3 * SECOND, 10**12 + 17 * SECOND)
    before, after = (
        energy_by_class([readings.readings(infos(names), samples_of(data), *span)])
        for names, data in (({}, trace_of()), (renamed, sent))
    )
    assert before["cpu"].uncertainty is not None and before["cpu"].value > 0
    assert before == after
