"""An archive in use holds, and what was done to it behind its back is found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from lem.archive import live
from lem.archive.schema import BLOB, CONFIG_SUMMARY, FACET, LOG, RUN, SUBMISSION
from tests.archive import dumps


@pytest.fixture
def filled(archive: Any, tmp_path: Path) -> Any:
    archive.receipts = dumps.filled(archive.database, archive.packs, tmp_path / "folders")
    return archive


def test_it_holds(filled: Any) -> None:
    assert live.check(filled.database, filled.packs) == []


def test_an_empty_one_holds(archive: Any) -> None:
    assert live.check(archive.database, archive.packs) == []


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


Change = Callable[[Any, str], None]


def sql(statement: Any) -> Change:
    def change(archive: Any, _: str) -> None:
        with archive.database.writing() as c:
            assert c.execute(statement).rowcount

    return change


CHANGES: list[tuple[Change, str]] = [
    (lambda a, sha: a.packs.path(sha).unlink(), "not on this server's disk"),
    (lambda a, sha: flip(a.packs.path(sha), 600), ""),
    (lambda a, sha: flip(a.packs.path(sha), -3000), ""),
    (sql(SUBMISSION.update().values(signature=b"0" * 64)), "another manifest than its pack"),
    (sql(BLOB.update().values(offset=BLOB.c.offset + 1)), "lie elsewhere"),
    (sql(RUN.delete().where(RUN.c.number == 0)), "another number in its manifest"),
    (sql(CONFIG_SUMMARY.update().values(mean=CONFIG_SUMMARY.c.mean * 0.9)), "should be"),
    (sql(FACET.update().values(configurations=99)), "should be"),
    (sql(RUN.update().values(energy_per_output_token_j=0.001)), "should be"),
    (sql(LOG.update().where(LOG.c.seq == 2).values(at="2020-01-01T00:00:00+00:00")), "changed"),
    (sql(LOG.delete().where(LOG.c.seq == 3)), "missing"),
    (sql(SUBMISSION.update().values(log_seq=1)), "where its row says"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_what_was_changed_is_found(filled: Any, change: Change, words: str) -> None:
    change(filled, filled.receipts[0].submission)
    found = [str(f) for f in live.check(filled.database, filled.packs)]
    assert any(words in f for f in found), found


def test_a_pack_that_should_be_gone_is_found(filled: Any) -> None:
    with filled.database.writing() as c:
        c.execute(
            sa.update(SUBMISSION)
            .where(SUBMISSION.c.content_sha256 == filled.receipts[0].submission)
            .values(checks="retracted")
        )
    found = [str(f) for f in live.check(filled.database, filled.packs)]
    assert any("still on disk" in f for f in found), found
