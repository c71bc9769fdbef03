"""When a runner runs: days and times of day in a time zone."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from lem.contract.base import Part, wrong

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _days(value: object) -> object:
    """``mon-fri`` or ``[sat, sun]`` as a list of days."""
    if not isinstance(value, str):
        return value
    first, _, last = value.partition("-")
    if first not in DAYS or (last or first) not in DAYS:
        raise wrong("must be days such as mon-fri, or a list such as [sat, sun]")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [DAYS[(begin + i) % 7] for i in range((end - begin) % 7 + 1)]


def _known(days: list[str]) -> list[str]:
    for day in days:
        if day not in DAYS:
            raise wrong(f"{day!r} is no day; there are: {', '.join(DAYS)}")
    return days


def _time(text: str) -> str:
    try:
        at = time.fromisoformat(text) if text != "24:00" else time(0)
    except ValueError:
        at = None
    if at is None or len(text) != 5 or at.tzinfo is not None:
        raise wrong('must be a time of day in quotes, such as "20:00"')
    return text


Clock = Annotated[str, AfterValidator(_time)]


class Opening(Part):
    """From ``begin`` to ``end`` on these days; over midnight where ``end`` is not later."""

    days: Annotated[
        list[str], BeforeValidator(_days), AfterValidator(_known), Field(min_length=1)
    ] = list(DAYS)
    begin: Clock = "00:00"
    end: Clock = "24:00"

    def holds(self, now: datetime) -> bool:
        """``now``: in the time zone in which it is meant."""
        begin, end = _minutes(self.begin), _minutes(self.end)
        minute = now.hour * 60 + now.minute
        if end > begin:
            return DAYS[now.weekday()] in self.days and begin <= minute < end
        before = DAYS[(now - timedelta(days=1)).weekday()]
        return (DAYS[now.weekday()] in self.days and minute >= begin) or (
            before in self.days and minute < end
        )

    def words(self) -> str:
        days = "every day" if len(self.days) == 7 else ", ".join(self.days)
        return f"{days} {self.begin}–{self.end}"


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def is_open(openings: Sequence[Opening], zone: str, now: datetime) -> bool:
    """Whether a runner with these hours runs; always where there are none."""
    if not openings:
        return True
    here = now.astimezone(ZoneInfo(zone))
    return any(o.holds(here) for o in openings)


def words(openings: Sequence[Opening], zone: str) -> str:
    """The hours as a person reads them; empty: always."""
    if not openings:
        return ""
    return f"{'; '.join(o.words() for o in openings)} ({zone})"[:200]
