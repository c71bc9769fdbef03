"""Made-up records: who takes them, and that it is said for ever."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from lem.archive import demo, summaries
from lem.archive.dump.bring_in import bring_in
from lem.archive.dump.check import check
from lem.archive.dump.read import Dump
from lem.archive.dump.write import export
from lem.archive.ingest import receive
from lem.archive.queries.answer import head
from lem.archive.queries.export import ExportQuestion
from lem.archive.queries.export import export as exported
from lem.archive.queries.headline import headline
from lem.archive.queries.leaderboard import LeaderboardQuestion, leaderboard
from lem.archive.refused import Refused
from lem.archive.schema import RUN, SUBMISSION
from lem.archive.synthetic.fill import fill
from lem.contract.dump import ArchiveDump
from lem.errors import BadInput
from lem.trust.recompute import SEEN_LIVE
from tests.archive import dumps
from tests.archive_submissions import Submitter, campaign

TWO_ARMS = [[0.10, 0.11, 0.12], [0.20, 0.21, 0.22]]
MADE_UP = ["synthetic"]


def marked(archive: Any) -> bool:
    with archive.database.reading() as c:
        return demo.is_demo(c)


def count(archive: Any, table: Any) -> int:
    with archive.database.reading() as c:
        return len(c.execute(table.select()).all())


def test_an_archive_of_measurements_refuses_made_up_records(archive: Any, tmp_path: Path) -> None:
    me = Submitter(archive)
    body = me.body(me.bundle(campaign(tmp_path / "c", TWO_ARMS, flags=MADE_UP)))
    with pytest.raises(Refused) as refused:
        receive(archive.database, archive.packs, body)
    assert (refused.value.reason, refused.value.status) == ("synthetic_refused", 422)
    assert count(archive, SUBMISSION) == 0
    # One such record among others is enough.
    mixed = me.bundle(campaign(tmp_path / "d", TWO_ARMS))
    other = me.bundle(campaign(tmp_path / "e", TWO_ARMS, flags=MADE_UP))
    runs = [*mixed.content.runs[:-1], other.content.runs[-1]]
    content = mixed.content.model_copy(update={"runs": runs})
    with pytest.raises(Refused):
        receive(archive.database, archive.packs, me.signed(content, {**mixed.files, **other.files}))
    assert not marked(archive)


def test_a_demonstration_takes_them_and_counts_them(archive: Any, tmp_path: Path) -> None:
    demo.open_as(archive.database, True)
    receipt = Submitter(archive).push(campaign(tmp_path / "c", TWO_ARMS, flags=MADE_UP))
    assert receipt.campaign_state == "complete"
    with archive.database.reading() as c:
        assert {r.flags for r in c.execute(RUN.select())} == {"synthetic"}
        board = leaderboard(c, LeaderboardQuestion())
    assert board.configurations == 2 and board.demo is True
    assert board.citation.startswith("Made-up records of a demonstration, not to be cited")
    assert "synthetic" in SEEN_LIVE


def test_it_is_marked_for_ever(archive: Any) -> None:
    demo.open_as(archive.database, False)
    assert not marked(archive)
    demo.open_as(archive.database, True)
    demo.open_as(archive.database, True)
    assert marked(archive)
    with pytest.raises(BadInput, match="for demonstrations"):
        demo.open_as(archive.database, False)
    archive.database.migrate()
    assert marked(archive)


def test_what_was_measured_is_made_no_demonstration(archive: Any, tmp_path: Path) -> None:
    Submitter(archive).push(campaign(tmp_path / "c", TWO_ARMS))
    for make in (
        lambda: demo.open_as(archive.database, True),
        lambda: fill(archive.database, 10, 2),
    ):
        with pytest.raises(BadInput, match="has records"):
            make()
    assert not marked(archive)


def test_answers_of_measurements_say_that_too(archive: Any) -> None:
    with archive.database.reading() as c:
        found = head(c)
    assert found.demo is False and found.citation.startswith("lem archive ")


def test_dumps_carry_it_and_only_a_demonstration_takes_them(
    new_archive: Any, tmp_path: Path
) -> None:
    made, plain, other = new_archive(), new_archive(), new_archive()
    demo.open_as(made.database, True)
    Submitter(made).push(campaign(tmp_path / "c", TWO_ARMS, flags=MADE_UP))
    dump = Dump(export(made.database, made.packs, tmp_path / "dump").folder)
    assert check(dump).findings == [] and dump.description.demo is True
    assert dump.description.citation.startswith("Made-up")
    with pytest.raises(BadInput, match="is of a demonstration"):
        bring_in(plain.database, plain.packs, dump)
    assert count(plain, SUBMISSION) == 0
    demo.open_as(other.database, True)
    assert bring_in(other.database, other.packs, dump).new == 1


def test_a_dump_without_its_mark_gets_no_made_up_record_in(
    new_archive: Any, tmp_path: Path
) -> None:
    """The mark of a dump can be taken off by whoever has it; those of its records are signed."""
    made, plain = new_archive(), new_archive()
    demo.open_as(made.database, True)
    Submitter(made).push(campaign(tmp_path / "c", TWO_ARMS, flags=MADE_UP))
    folder = export(made.database, made.packs, tmp_path / "dump").folder
    dump = Dump(folder)
    dump.description = dump.description.model_copy(update={"demo": False})
    done = bring_in(plain.database, plain.packs, dump)
    assert done.new == 0 and "synthetic_refused" in done.refused[0].what
    assert count(plain, SUBMISSION) == 0


def test_dumps_of_measurements_are_written_as_before(archive: Any, tmp_path: Path) -> None:
    dumps.filled(archive.database, archive.packs, tmp_path / "folders")
    folder = export(archive.database, archive.packs, tmp_path / "dump").folder
    text = (folder / "archive.json").read_bytes()
    assert b"demo" not in text and ArchiveDump.parse(text).demo is False


def test_a_made_up_archive_of_any_size(archive: Any) -> None:
    taken, _ = fill(archive.database, 2000, 100)
    assert taken == 2000 and marked(archive)
    with archive.database.reading() as c:
        assert all("synthetic" in r.flags.split(",") for r in c.execute(RUN.select()))
        found = headline(c, archive.packs)
        assert summaries.differences(c) == []
        file = exported(c, archive.packs, ExportQuestion(format="csv"))
        rows = list(csv.DictReader(io.StringIO(b"".join(file.chunks).decode())))
    assert rows and all(r["citation"].startswith("Made-up") for r in rows)
    assert all("synthetic" in r["flags"].split() for r in rows)
    assert found.demo is True and found.pair is not None
    assert found.pair.base.role == "defaults" and found.pair.quality.measured is False
    with pytest.raises(BadInput, match="has records"):
        fill(archive.database, 200, 10)
