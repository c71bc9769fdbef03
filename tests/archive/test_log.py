import hashlib
import json

import pytest
import sqlalchemy as sa

from lem.archive import log
from lem.archive.schema import LOG
from lem.errors import BadInput


def fill(archive, n: int = 5) -> list[log.LogEntry]:
    with archive.database.writing() as c:
        for i in range(n):
            log.append(c, "accepted", {"submission": f"{i:064x}", "runs": i, "tiers": {"1": i}})
    with archive.database.reading() as c:
        return log.entries(c)


def test_each_entry_is_the_hash_of_what_it_says_and_of_the_one_before(archive) -> None:
    found = fill(archive)
    previous = "0" * 64
    for i, entry in enumerate(found):
        plain = {
            "at": entry.at,
            "kind": "accepted",
            "payload": {"runs": i, "submission": f"{i:064x}", "tiers": {"1": i}},
            "previous": previous,
            "seq": i + 1,
        }
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        assert entry.hash == hashlib.sha256(text.encode()).hexdigest()
        previous = entry.hash
    assert log.verify(found) == log.Head(5, previous)


def test_it_can_be_verified_in_pieces(archive) -> None:
    fill(archive)
    with archive.database.reading() as c:
        first, rest = log.entries(c, 0, 2), log.entries(c, 2, 100)
        head = log.head(c)
    assert log.verify(iter(rest), log.verify(first)) == head == log.Head(5, rest[-1].hash)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: [*e[:2], *e[3:]], "missing"),
        (lambda e: [*e[:2], e[3], e[2], e[4]], "missing"),
        (lambda e: e[1:], "missing"),
        (lambda e: [e[0].model_copy(update={"kind": "rejected"}), *e[1:]], "changed"),
        (lambda e: [e[0], e[1].model_copy(update={"previous": "1" * 64}), *e[2:]], "follow"),
        (lambda e: [*e[:4], e[4].model_copy(update={"payload": {"runs": 7}})], "changed"),
        (lambda e: [*e[:4], e[4].model_copy(update={"at": e[3].at + "0"})], "changed"),
    ],
)
def test_whatever_is_changed_is_found(archive, change, message: str) -> None:
    found = fill(archive)
    with pytest.raises(BadInput, match=message):
        log.verify(change(found))


def test_what_people_wrote_does_not_come_into_the_log(archive) -> None:
    with archive.database.writing() as c:
        for payload in ({"name": "A. Person"}, {"x": ["a b"]}, {"a b": 1}, {"x": {"ü": 1}}):
            with pytest.raises(ValueError, match="hashes"):
                log.append(c, "accepted", payload)
        assert c.scalar(sa.select(sa.func.count()).select_from(LOG)) == 0


def test_an_entry_goes_with_its_transaction(archive) -> None:
    with pytest.raises(ZeroDivisionError), archive.database.writing() as c:
        log.append(c, "accepted", {})
        _ = 1 / 0
    assert fill(archive, 1)[0].seq == 1
