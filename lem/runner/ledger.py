"""What each person has had here within a day, and all together, so that quotas outlive the runner's
process."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Part, Timestamp
from lem.contract.queue import QueuedId
from lem.errors import LemError
from lem.runner.policy import Quotas, Total
from lem.submit.kept import Kept

DAY = timedelta(days=1)
SOONEST_S = 60.0
Amount = Annotated[float, Field(ge=0)]


class Line(Part):
    at: Timestamp
    """When it was first claimed."""
    last: Timestamp
    """When something of it was last paid for."""
    person: str
    queued: QueuedId
    seconds: Amount = 0.0
    kwh: Amount = 0.0


class Lines(Kept):
    schema_version: Literal[1] = 1
    lines: list[Line] = []


class Ledger:
    """A file with a line for each campaign and day."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refusal(self, person: str, queued: str, quotas: Quotas, now: datetime) -> str | None:
        """Why this person's campaign cannot be run now, or None."""
        lines = [x for x in self._recent(now) if x.person == person]
        others = {x.queued for x in lines} - {queued}
        if quotas.campaigns is not None and len(others) >= quotas.campaigns:
            return f"{len(others)} campaigns of this person within 24 hours; no more are run here"
        hours = sum(x.seconds for x in lines) / 3600
        if quotas.hours is not None and hours >= quotas.hours:
            return f"{hours:.1f} hours for this person within 24 hours; no more are given here"
        kwh = sum(x.kwh for x in lines)
        if quotas.kwh is not None and kwh >= quotas.kwh:
            return f"{counted(kwh)} for this person within 24 hours; no more are given here"
        return None

    def exhausted(self, total: Total, now: datetime) -> str | None:
        """Why nobody's campaign can be run now, or None."""
        lines = self._recent(now)
        hours, kwh = sum(x.seconds for x in lines) / 3600, sum(x.kwh for x in lines)
        if total.hours is not None and hours >= total.hours:
            return f"{hours:.1f} hours within 24 hours; no more are given here"
        if total.kwh is not None and kwh >= total.kwh:
            return f"{counted(kwh)} within 24 hours; no more are given here"
        return None

    def again_in_s(self, person: str | None, now: datetime) -> float:
        """After so long something of what this person (None: everybody) has had is a day ago."""
        first = min((datetime.fromisoformat(x.last) for x in self._recent(now)
                     if person in (None, x.person)), default=now)  # fmt: skip
        return max(SOONEST_S, (first + DAY - now).total_seconds())

    def pay(self, person: str, queued: str, seconds: float, kwh: float, now: datetime) -> None:
        """Add what a campaign took since it was last said; the first time, that it was begun."""
        at = now.isoformat(timespec="milliseconds")
        lines = self._recent(now)
        mine = next((x for x in reversed(lines) if (x.person, x.queued) == (person, queued)), None)
        if mine is None or datetime.fromisoformat(mine.at) < now - DAY / 24:
            lines.append(
                Line(at=at, last=at, person=person, queued=queued, seconds=seconds, kwh=kwh)
            )
        else:
            more = {"last": at, "seconds": mine.seconds + seconds, "kwh": mine.kwh + kwh}
            lines[lines.index(mine)] = mine.model_copy(update=more)
        Lines(lines=lines).write(self._path)

    def _recent(self, now: datetime) -> list[Line]:
        """Lines of the last day; a file that cannot be read is begun anew."""
        if not self._path.exists():
            return []
        try:
            known = Lines.read(self._path).lines
        except LemError:
            return []
        return [x for x in known if datetime.fromisoformat(x.last) > now - DAY]


def counted(kwh: float) -> str:
    """In words: what is paid for is rather too much than too little, and in part assumed."""
    return f"counted as up to {kwh:.2f} kWh (an upper bound, not a measurement)"
