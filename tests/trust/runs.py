"""Runs by a real agent, and ways to forge them."""

import csv
import gzip
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lem.config.identity import experiment_id
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.meters.protocol import Sample
from lem.meters.sampling import trace as traces
from lem.trust.files import responses_of, samples_of
from lem.trust.judge import Judgement, judge
from lem.trust.recompute import recompute

Row = dict[str, str]


@dataclass(frozen=True)
class Run:
    """What is submitted of one run."""

    record: Record
    trace: bytes
    responses: bytes

    @classmethod
    def read(cls, folder: Path) -> "Run":
        return cls(
            Record.read(folder / "record.json"),
            (folder / "trace.csv.gz").read_bytes(),
            (folder / "responses.csv.gz").read_bytes(),
        ).honest()

    def honest(self) -> "Run":
        """With the experiment's own id, which the test job has none of."""
        return self.told(experiment_id=experiment_id(self.record.experiment))

    def judged(self, lock: Lock | None = None, **more: Any) -> Judgement:
        return judge(self.record, self.trace, self.responses, lock=lock, **more)

    def found(self, lock: Lock | None = None) -> dict[str, str]:
        """Rule → consequence, but for notes."""
        findings = self.judged(lock).findings
        return {f.rule: f.consequence for f in findings if f.consequence != "note"}

    def told(self, **changes: Any) -> "Run":
        """With other fields of the record, deep ones by ``a__b``; lists by their index."""
        raw = self.record.model_dump()
        for path, value in changes.items():
            *where, last = path.split("__")
            at: Any = raw
            for name in where:
                at = at[int(name)] if isinstance(at, list) else at[name]
            if isinstance(at, list):
                at[int(last)] = value
            else:
                at[last] = value
        return replace(self, record=Record.model_validate(raw))

    def traced(self, change: Callable[[Sample], Sample | None]) -> "Run":
        """With another trace, sample by sample; the record stays."""
        samples = (change(s) for s in samples_of(self.trace))
        return self.of_samples(s for s in samples if s is not None)

    def of_samples(self, samples: Iterable[Sample]) -> "Run":
        lines = [traces.HEADER]
        for s in samples:
            value = int(s.value) if s.value == int(s.value) else s.value
            lines.append(f"{s.t_ns},{s.meter},{s.device},{s.quantity},{value!r}")
        return replace(self, trace=gzip.compress(("\n".join(lines) + "\n").encode(), mtime=0))

    @property
    def rows(self) -> list[Row]:
        return list(csv.DictReader(io.StringIO(gzip.decompress(self.responses).decode())))

    def answered(self, rows: list[Row]) -> "Run":
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return replace(self, responses=gzip.compress(text.getvalue().encode(), mtime=0))

    def consistent(self) -> "Run":
        """As a careful forger would: figures and flags are those that the files give."""
        samples, answers = samples_of(self.trace), responses_of(self.responses)
        found = recompute(self.record, samples, answers)
        figures = found.figures
        seen = set(self.record.flags) - {"power_differs", "counter_disagrees", "short_window"}
        record = self.record.model_copy(
            update={
                "windows": figures.windows,
                "idle": figures.idle,
                "prefill": figures.prefill,
                "metrics": found.metrics,
                "reconciliation": list(figures.reconciliation),
                "requests": found.requests,
                "flags": sorted(seen | found.flags),
            }
        )
        return replace(self, record=Record.model_validate(record.model_dump()))


def scaled(factor: float, *quantities: str) -> Callable[[Sample], Sample]:
    """Of a GPU's readings, rounded to whole units as a meter's are."""

    def change(s: Sample) -> Sample:
        if s.meter == "nvml" and s.quantity in quantities:
            return s._replace(value=float(round(s.value * factor)))
        return s

    return change


def later(text: str, seconds: float) -> str:
    moment = datetime.fromisoformat(text) + timedelta(seconds=seconds)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
