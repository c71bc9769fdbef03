"""What memory an engine's processes took, by the kernel's own marks (proc(5))."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def resident_bytes(processes: Iterable[int], root: Path = Path("/proc")) -> int | None:
    """The largest resident sets so far of these processes, added up; pages that they share count
    in each of them. Processes that are gone count nothing; None where none can be read."""
    found = [peak for process in processes if (peak := _peak(process, root)) is not None]
    return sum(found) if found else None


def _peak(process: int, root: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        text = (root / str(process) / "status").read_text("utf-8", "replace")
        for line in text.splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
