"""A log that is read from elsewhere: broken, shortened, rewritten, without what it acknowledged."""

from collections.abc import Sequence

import pytest

from lem.archive.log import Head, LogEntry
from lem.archive.watching import watch
from tests.archive.logs import AT, SUBMISSIONS, chain, receipt


def pages(log: Sequence[LogEntry], size: int = 2):
    return lambda after: [e for e in log if e.seq > after][:size]


def test_a_log_that_grew_holds() -> None:
    log = chain(*SUBMISSIONS)
    seen = watch(pages(log), Head(3, log[2].hash), [receipt(log[1]), receipt(log[4])])
    assert seen == (Head(5, log[4].hash), [], 2)


def test_an_empty_log_holds() -> None:
    assert watch(pages([]), None, []).problems == []


@pytest.mark.parametrize("left", range(5))
def test_a_shorter_log_is_told(left: int) -> None:
    log = chain(*SUBMISSIONS)
    (problem,) = watch(pages(log[:left]), Head(5, log[4].hash), []).problems
    assert problem.startswith("the log was shortened") and f"entry {left}," in problem


@pytest.mark.parametrize("at", range(5))
def test_a_log_made_anew_is_told(at: int) -> None:
    """From entry ``at`` on it says something else, and its chain is whole."""
    log = chain(*SUBMISSIONS)
    other = chain("f" * 64, *SUBMISSIONS[at + 1 :], after=log[:at])
    (problem,) = watch(pages(other), Head(5, log[4].hash), []).problems
    assert problem.startswith("the log was rewritten")
    assert log[4].hash in problem


@pytest.mark.parametrize("at", range(5))
@pytest.mark.parametrize("field", ["payload", "previous", "hash", "at"])
def test_a_changed_entry_is_told(at: int, field: str) -> None:
    log = chain(*SUBMISSIONS)
    new = {"payload": {"submission": "e" * 64}, "at": AT.replace("12", "13")}.get(field, "d" * 64)
    log[at] = log[at].model_copy(update={field: new})
    (problem,) = watch(pages(log), None, []).problems
    assert problem.startswith("the chain is broken: entry")


def test_a_missing_entry_is_told() -> None:
    log = chain(*SUBMISSIONS)
    seen = watch(pages([*log[:2], *log[3:]]), None, [receipt(log[4])])
    assert "entry 3 is missing" in seen.problems[0]
    assert "entry 5, which is not there" in seen.problems[1]
    assert seen.head == Head(2, log[1].hash)


def test_receipts_are_held_against_the_log() -> None:
    log = chain(*SUBMISSIONS)
    own = [
        receipt(log[0]),
        receipt(log[1], log_hash="a" * 64),
        receipt(log[2], submission="b" * 64),
        receipt(log[4], log_seq=9),
    ]
    seen = watch(pages(log), None, own)
    assert seen.receipts == 1
    assert [p.split("log ")[-1] for p in seen.problems[:2]] == [
        "has another hash than its receipt",
        "does not accept it",
    ]
    assert "entry 9, which is not there" in seen.problems[2]


def test_a_server_that_never_ends_is_told() -> None:
    log = chain(*SUBMISSIONS)
    seen = watch(lambda after: log[:2], None, [])
    assert "missing" in seen.problems[0] or "again" in seen.problems[0]
