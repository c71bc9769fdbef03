"""The records that come with lem: they hold, they are what they say, and any archive takes them."""

from typing import Any

import pytest

from lem.archive import seeds
from lem.archive.dump.check import check
from lem.archive.dump.read import Dump
from lem.archive.dump.recompute import recompute
from lem.archive.live import check as live
from lem.archive.queries.headline import headline
from lem.archive.queries.leaderboard import LeaderboardQuestion, leaderboard
from lem.archive.schema import IDENTITY, RUN, SUBMISSION
from lem.contract.flags import SYNTHETIC

MOST_BYTES = 3 * 2**20
"""Of one set: they are part of every installation."""


def test_there_are_some_and_they_are_small() -> None:
    found = seeds.dumps()
    assert [p.name for p in found] == sorted(p.name for p in found) and found
    for place in found:
        size = sum(f.stat().st_size for f in place.rglob("*") if f.is_file())
        assert size <= MOST_BYTES, place.name


@pytest.mark.parametrize("name", [p.name for p in seeds.dumps()])
def test_every_figure_follows_from_its_trace(name: str) -> None:
    dump = Dump(seeds.FOLDER / name)
    checked = check(dump)
    assert checked.findings == [] and not dump.description.demo
    done = recompute(dump, checked.submissions, 1)
    assert done.findings == [] and done.confirmed == checked.runs


def test_an_archive_takes_them_in_once_with_the_tier_of_its_own_checks(archive: Any) -> None:
    first = list(seeds.seed(archive.database, archive.packs))
    assert all(one.done.new and not one.done.refused for one in first)
    submissions = sum(one.done.new for one in first)
    assert seeds.check(archive.database, archive.packs) == submissions
    with archive.database.reading() as c:
        rows = c.execute(RUN.select()).all()
        assert {r.checks for r in c.execute(SUBMISSION.select())} == {"passed"}
        assert {(r.name, r.enrolled_by) for r in c.execute(IDENTITY.select())} == {
            ("lem project", "imported")
        }
        board = leaderboard(c, LeaderboardQuestion())
        top = headline(c, archive.packs)
    assert rows and not any(SYNTHETIC in r.flags.split(",") for r in rows)
    assert {r.tier for r in rows if r.counted} == {2}
    assert board.configurations > 1 and board.demo is False
    assert top.pair is not None and top.pair.quality.measured and top.pair.ratio.low is not None
    again = list(seeds.seed(archive.database, archive.packs))
    assert all(not one.done.new and one.done.already for one in again)
    assert seeds.check(archive.database, archive.packs) == 0
    assert live(archive.database, archive.packs) == []
