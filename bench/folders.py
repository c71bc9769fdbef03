"""Opening a campaign folder with 50,000 records: first time, and by its index."""

import json
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Line, in_a_process
from tests.records import arm_name, record

ARMS, BLOCKS = 1_000, 50

_OPEN = """
from pathlib import Path
from lem.stores.index import Index
start = time.perf_counter()
with Index(Path(sys.argv[1])) as index:
    result["read"] = index.refresh()
    result["attempts"] = len(index.outcomes())
result["seconds"] = time.perf_counter() - start
"""


def lines(folder: Path) -> Iterator[Line]:
    _fill(folder)
    cold = in_a_process(_OPEN, str(folder))
    warm = min((in_a_process(_OPEN, str(folder)) for _ in range(3)), key=lambda f: f["seconds"])
    assert (cold["read"], warm["read"], warm["attempts"]) == (ARMS * BLOCKS, 0, ARMS * BLOCKS)
    what = f"open {ARMS * BLOCKS:,} records"
    yield Line(
        f"{what}, by the index",
        f"{warm['seconds']:.1f} s ({warm['cpu_s']:.1f} s CPU, {warm['peak_mib']:.0f} MiB)",
        f"{warm['seconds'] / cold['seconds']:.2f} × the first time",
        "≤ 5 s",
    )
    yield Line(
        f"{what}, first time (makes the index)",
        f"{cold['seconds']:.0f} s ({cold['cpu_s']:.0f} s CPU, {cold['peak_mib']:.0f} MiB)",
    )


def _fill(folder: Path) -> None:
    raw = json.loads(record().model_dump_json())
    for block in range(BLOCKS):
        for n in range(ARMS):
            raw |= {"block": block, "arm_id": arm_name(n), "experiment_id": arm_name(n)}
            at = folder / "blocks" / f"{block:04d}" / arm_name(n) / "0"
            at.mkdir(parents=True)
            (at / "record.json").write_text(json.dumps(raw))
