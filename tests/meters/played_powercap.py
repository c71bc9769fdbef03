"""Plays RAPL counters in a folder of files, in real time, and knows their true energy.

As a program (``python played_powercap.py FOLDER SPEC``) it brings the counters up to date a
thousand times a second until its standard input ends. ``SPEC`` is JSON: ``{"t0_ns", "zones": {zone:
{...}}}`` with, for each zone (times in s after ``t0_ns``):

- ``name``, ``segments`` (see power_trace.py), ``start_uj``, ``span_uj`` (where it begins anew);
- ``freeze_s`` to ``thaw_s``, ``backwards_s``, ``gone_s`` (the file can't be read any more),
  ``empty_s`` (it reads as nothing from then on).
"""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.meters.power_trace import NEVER, Segments, energy_until

SPAN_UJ = 262_143_328_850
PERIOD_S = 0.001


@dataclass(frozen=True)
class Zone:
    name: str = "package-0"
    segments: Segments = ((NEVER, 80.0, 80.0),)
    start_uj: int = 1_000_000
    span_uj: int = SPAN_UJ
    freeze_s: float = NEVER
    thaw_s: float = NEVER
    backwards_s: float = NEVER
    gone_s: float = NEVER
    empty_s: float = NEVER

    def shows(self, t_s: float) -> int | None:
        """µJ at that moment; None where it reads as nothing."""
        if t_s >= self.empty_s:
            return None
        shown_s = self.freeze_s if self.freeze_s <= t_s < self.thaw_s else t_s
        value = self.start_uj + int(1e6 * energy_until(self.segments, shown_s))
        if t_s >= self.backwards_s:
            value -= 2_000_000_000
        return value % self.span_uj


@dataclass(frozen=True)
class Powercap:
    zones: Mapping[str, Zone]
    t0_ns: int = field(default_factory=time.monotonic_ns)

    def energy_j(self, zone: str, start_ns: int, end_ns: int) -> float:
        """The true energy between two moments."""
        segments = self.zones[zone].segments
        a, b = (energy_until(segments, (t - self.t0_ns) / 1e9) for t in (start_ns, end_ns))
        return b - a

    def lay_out(self, root: Path) -> None:
        for zone, z in self.zones.items():
            folder = root / zone
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "name").write_text(f"{z.name}\n")
            (folder / "max_energy_range_uj").write_text(f"{z.span_uj}\n")
            (folder / "energy_uj").write_text(
                _text(z.shows((time.monotonic_ns() - self.t0_ns) / 1e9))
            )

    def spec(self) -> str:
        zones = {name: asdict(z) for name, z in self.zones.items()}
        return json.dumps({"t0_ns": self.t0_ns, "zones": zones})


@contextmanager
def playing(what: Powercap, root: Path) -> Iterator[None]:
    """The counters move while the context lasts, driven by a process of their own."""
    what.lay_out(root)
    player = subprocess.Popen(
        [sys.executable, __file__, str(root), what.spec()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert player.stdin is not None and player.stdout is not None
    try:
        if player.stdout.readline() != b"plays\n":
            raise RuntimeError("the powercap player did not start")
        yield
    finally:
        player.stdin.close()
        player.wait(10)
        player.stdout.close()


def _text(value: int | None) -> str:
    """Of fixed width, so that no digit of an earlier value is left."""
    return "\n" if value is None else f"{value:020d}\n"


def play(root: Path, spec: Mapping[str, Any]) -> None:
    zones = {name: Zone(**z) for name, z in spec["zones"].items()}
    files = {name: os.open(root / name / "energy_uj", os.O_WRONLY) for name in zones}
    gone: set[str] = set()
    print("plays", flush=True)
    while not select.select([sys.stdin], [], [], PERIOD_S)[0]:
        for name, zone in zones.items():
            t_s = (time.monotonic_ns() - spec["t0_ns"]) / 1e9
            if name in gone:
                continue
            if t_s >= zone.gone_s:
                (root / name / "energy_uj").unlink()
                gone.add(name)
                continue
            value = zone.shows(t_s)
            if value is None:
                os.ftruncate(files[name], 0)
            else:
                os.pwrite(files[name], _text(value).encode(), 0)


if __name__ == "__main__":
    play(Path(sys.argv[1]), json.loads(sys.argv[2]))
