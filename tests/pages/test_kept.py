"""What pages keep of a state."""

import threading
import time
from typing import Any

import pytest

from lem.archive.database import raise_data_version
from lem.pages import kept as keeping
from lem.pages.kept import kept
from lem.pages.page import Reader
from tests.archive.conftest import archive, new_archive, postgres

__all__ = ["archive", "new_archive", "postgres"]


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        time.sleep(0.005)
        return self.calls


def test_once_for_each_state_and_name(archive: Any) -> None:
    make = Counted()
    for _ in range(2):
        with archive.database.reading() as c:
            assert kept(Reader(c, archive.packs), "one", make) == 1
            assert kept(Reader(c, archive.packs), "one", make) == 1
    with archive.database.reading() as c:
        assert kept(Reader(c, archive.packs), ("one", 2), make) == 2
    with archive.database.writing() as c:
        raise_data_version(c)
    with archive.database.reading() as c:
        assert kept(Reader(c, archive.packs), "one", make) == 3


def test_who_asks_meanwhile_waits(archive: Any) -> None:
    make, found = Counted(), []

    def ask() -> None:
        with archive.database.reading() as c:
            found.append(kept(Reader(c, archive.packs), "several", make))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1, 1, 1, 1]


def test_a_transaction_that_writes_keeps_nothing(archive: Any) -> None:
    make = Counted()
    with archive.database.writing() as c:
        assert kept(Reader(c, archive.packs), "written", make) == 1
        assert kept(Reader(c, archive.packs), "written", make) == 2


def test_what_fails_is_tried_again_and_there_is_a_bound(archive: Any) -> None:
    def fails() -> int:
        raise LookupError

    with archive.database.reading() as c:
        reader = Reader(c, archive.packs)
        with pytest.raises(LookupError):
            kept(reader, "fails", fails)
        assert kept(reader, "fails", lambda: 1) == 1
        for n in range(2 * keeping.MOST):
            kept(reader, n, Counted())
        assert len(keeping._ENTRIES) == keeping.MOST
