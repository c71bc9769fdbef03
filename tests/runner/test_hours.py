"""When a runner runs."""

from datetime import UTC, datetime

import pytest

from lem.runner.hours import Opening, is_open, words
from lem.runner.policy import parse


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_always_where_there_are_no_hours() -> None:
    assert is_open([], "UTC", at("2026-11-27T03:00"))
    assert words([], "UTC") == ""


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-27T19:59", False),  # a Friday
        ("2026-11-27T20:00", True),
        ("2026-11-28T05:59", True),  # still Friday's night
        ("2026-11-28T06:00", False),
        ("2026-11-28T21:00", False),  # Saturday is none of its days
        ("2026-11-29T01:00", False),
        ("2026-11-30T01:00", False),  # nor does Sunday's night lead into Monday
        ("2026-11-30T23:00", True),
    ],
)
def test_nights_belong_to_the_day_on_which_they_begin(now: str, expected: bool) -> None:
    policy = parse('hours: [{days: mon-fri, begin: "20:00", end: "06:00"}]', "p")
    assert is_open(policy.hours, "UTC", at(now)) is expected


def test_times_are_those_of_the_time_zone() -> None:
    hours = [Opening(begin="08:00", end="09:00")]
    assert is_open(hours, "Asia/Tokyo", at("2026-11-26T23:30"))
    assert not is_open(hours, "UTC", at("2026-11-26T23:30"))


def test_days_may_go_over_the_end_of_the_week() -> None:
    policy = parse("hours: [{days: sat-mon}]", "p")
    assert policy.hours[0].days == ["sat", "sun", "mon"]
    assert words(policy.hours, "UTC") == "sat, sun, mon 00:00–24:00 (UTC)"
