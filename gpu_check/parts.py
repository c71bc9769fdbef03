"""The report: parts that are done, failed (typed) or skipped, within one time budget."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lem.errors import EnvironmentFault, LemError, MeterUnavailable, RunFailed

Clock = Callable[[], float]


@dataclass
class Report:
    """What is written to ``results/gpu-check-<gpu>.json``. Times in seconds."""

    budget_s: float
    clock: Clock = time.monotonic
    parts: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start_s = self.clock()

    def left_s(self) -> float:
        return self.budget_s - (self.clock() - self._start_s)

    def part(self, name: str, needs_s: float, work: Callable[[], dict[str, Any]]) -> bool:
        """Do one part; whether it gave a result. Its failure is noted and the rest goes on; where
        less than ``needs_s`` is left it is skipped by name."""
        if self.left_s() < needs_s:
            self.skip(name, f"needs {needs_s:.0f} s, {max(0.0, self.left_s()):.0f} s were left")
            return False
        start_s = self.clock()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry: dict[str, Any] = {"part": name, "started_at": now}
        try:
            entry |= {"status": "done", "result": work()}
        except LemError as e:
            entry |= {
                "status": "failed",
                "failure": {"kind": kind_of(e), "message": e.message, "hint": e.hint},
            }
        except Exception as e:  # noqa: BLE001 - a part must not take the others with it
            entry |= {
                "status": "failed",
                "failure": {
                    "kind": "engine_error",
                    "message": f"{type(e).__name__}: {e}"[:2000],
                    "hint": None,
                },
            }
        entry["took_s"] = round(self.clock() - start_s, 3)
        self.parts.append(entry)
        return bool(entry["status"] == "done")

    def skip(self, name: str, reason: str) -> None:
        self.parts.append({"part": name, "status": "skipped", "reason": reason})

    def failed(self) -> list[str]:
        return [p["part"] for p in self.parts if p["status"] == "failed"]


def kind_of(error: LemError) -> str:
    """The failure kind of contract.md that an error stands for."""
    if isinstance(error, RunFailed | EnvironmentFault):
        return error.kind
    return "meter" if isinstance(error, MeterUnavailable) else "engine_error"
