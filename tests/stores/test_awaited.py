"""Which arms are not tried again: on one machine, and where one node of several is sick."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from lem.stores.awaited import dropped
from lem.stores.outcomes import Outcome

START = datetime.fromisoformat("2026-05-04T12:00:00+00:00")


def attempts(*made: tuple[str, str, Sequence[str]], arm: str = "a", minutes: int = 1):
    """Each (kind of failure or empty, boot, boards), one after another."""
    found = []
    for i, (failure, boot, boards) in enumerate(made):
        began = START + timedelta(minutes=i * minutes)
        times = began.isoformat(), (began + timedelta(seconds=30)).isoformat()
        kind = "failure" if failure else "record"
        devices = tuple(boards) or ("cpu",)
        found.append(
            Outcome(arm, i, 0, 0, kind, failure or None, "info", *times, boot, devices, f"{arm}{i}")
        )
    return found


OOM, REFUSED, GOOD = "out_of_memory", "device_setting", ""
SICK, WELL = ("boot-1", ["GPU-1"]), ("boot-2", ["GPU-2"])


@pytest.mark.parametrize(
    ("made", "gone"),
    [
        ([(OOM, *SICK)] * 2, {}),
        ([(OOM, *SICK)] * 3, {"a": OOM}),
        ([(GOOD, *SICK), *[(OOM, *SICK)] * 3], {"a": OOM}),
        ([(OOM, *SICK), (GOOD, *SICK), *[(OOM, *SICK)] * 2], {}),
        ([(REFUSED, *SICK)], {"a": REFUSED}),
        ([(REFUSED, *SICK), (OOM, *SICK)], {}),
        ([(GOOD, *SICK), (REFUSED, *SICK)], {"a": REFUSED}),
        # A restart, of a machine with a board and of one without.
        ([(GOOD, *SICK), *[(OOM, "boot-9", ["GPU-1"])] * 3], {"a": OOM}),
        ([(GOOD, "one", []), *[(OOM, "two", [])] * 3], {"a": OOM}),
        ([(GOOD, "one", []), (REFUSED, "two", [])], {"a": REFUSED}),
    ],
)
def test_on_one_machine(made, gone) -> None:
    assert dropped(attempts(*made)) == gone


@pytest.mark.parametrize(
    ("made", "gone"),
    [
        # One node fails whatever it is given.
        ([(GOOD, *WELL), *[(OOM, *SICK)] * 5], {}),
        ([(GOOD, *WELL), (REFUSED, *SICK), (REFUSED, *SICK)], {}),
        # Both do, also where the one that fails fast has the latest three.
        ([(OOM, *SICK), (OOM, *WELL), (OOM, *SICK)], {"a": OOM}),
        ([(OOM, *WELL), *[(OOM, *SICK)] * 5], {"a": OOM}),
        ([(OOM, *WELL), (OOM, *SICK)], {}),
        ([(REFUSED, *SICK), (REFUSED, *WELL)], {"a": REFUSED}),
        ([(REFUSED, *SICK), (OOM, *WELL), (REFUSED, *SICK)], {"a": REFUSED}),
    ],
)
def test_of_several_nodes_one_alone_takes_no_arm_away(made, gone) -> None:
    others = attempts((GOOD, *WELL), (GOOD, *SICK), arm="other")
    assert dropped([*attempts(*made), *others]) == gone


def test_nodes_without_boards_are_apart_where_their_boots_overlap() -> None:
    one, two = ("one", []), ("two", [])
    assert (
        dropped(attempts((GOOD, *one), *[(OOM, *two)] * 3, (GOOD, *one), *[(OOM, *two)] * 3)) == {}
    )
