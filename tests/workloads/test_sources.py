"""Arrival processes."""

from lem.contract.spec import Concurrency, Offline
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog, ClosedLoop, Stock, Stopping, arriving


def some(n: int) -> list[Request]:
    return [Request(f"r{i}", [1, 2, 3], 4, "") for i in range(n)]


def ids(requests: list[Request] | None) -> list[str]:
    assert requests is not None
    return [r.id for r in requests]


def test_stock_begins_anew_with_fresh_ids() -> None:
    stock = Stock(some(2))
    assert [stock.next().id for _ in range(2)] == ["r0", "r1"]
    assert not stock.exhausted
    assert [stock.next().id for _ in range(3)] == ["r0#2", "r1#2", "r0#3"]
    assert stock.exhausted


def test_offline_fills_all_room_and_ends_at_its_limit() -> None:
    log = Log()
    source = Backlog(Stock(some(10)), log, limit=5)
    assert ids(source.take(3, 0)) == ["r0", "r1", "r2"]
    assert ids(source.take(0, 3)) == []
    assert ids(source.take(3, 0)) == ["r3", "r4"]
    assert source.take(3, 2) is None
    assert list(log.responses) == ["r0", "r1", "r2", "r3", "r4"]


def test_closed_loop_never_has_more_open_than_clients() -> None:
    source = ClosedLoop(3, Stock(some(10)), Log())
    assert len(ids(source.take(8, 0))) == 3
    assert ids(source.take(5, 3)) == []
    assert ids(source.take(6, 2)) == ["r3"]


def test_waiting_for_a_slot_counts_as_sent() -> None:
    now = [100]
    log = Log(clock=lambda: now[0])
    source = ClosedLoop(4, Stock(some(10)), log)
    assert ids(source.take(2, 0)) == ["r0", "r1"]
    now[0] = 200
    # r2 and r3 were sent at 100 with the others; r0 and r1 came back and send r4 and r5 now.
    assert ids(source.take(2, 0)) == ["r2", "r3"]
    now[0] = 300
    assert ids(source.take(2, 0)) == ["r4", "r5"]
    sent = {r: log.responses[r].sent_ns for r in ("r0", "r2", "r3", "r4", "r5")}
    assert sent == {"r0": 100, "r2": 100, "r3": 100, "r4": 200, "r5": 200}


def test_a_request_that_never_got_a_slot_is_not_in_the_log() -> None:
    log = Log()
    ClosedLoop(4, Stock(some(10)), log).take(1, 0)
    assert list(log.responses) == ["r0"]


def test_closed_loop_hands_out_what_waits_before_it_ends() -> None:
    source = ClosedLoop(4, Stock(some(10)), Log(), limit=3)
    assert len(ids(source.take(2, 0))) == 2
    assert ids(source.take(2, 0)) == ["r2"]
    assert source.take(2, 1) is None


def test_stopping_ends_the_phase() -> None:
    stop = [False]
    source = Stopping(Backlog(Stock(some(3)), Log()), lambda: stop[0])
    assert ids(source.take(1, 0)) == ["r0"]
    stop[0] = True
    assert source.take(1, 0) is None


def test_arriving_picks_the_process() -> None:
    assert isinstance(arriving(Offline(), Stock(some(1)), Log()), Backlog)
    loop = arriving(Concurrency(concurrency=2), Stock(some(9)), Log())
    assert len(ids(loop.take(9, 0))) == 2
