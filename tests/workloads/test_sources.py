"""Arrival processes."""

import pytest

from lem.contract.workload import (
    Arrival,
    Concurrency,
    Constant,
    Gamma,
    Offline,
    Poisson,
    Search,
    TraceArrival,
)
from lem.workloads.load import Log, Source
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog, ClosedLoop, OpenLoop, Stopping, arriving, from_slots
from lem.workloads.stock import Stock

from .engines import Clock, Server
from .test_stock import TALKS, some

SECOND = 10**9


def ids(requests: list[Request] | None) -> list[str]:
    assert requests is not None
    return [r.id for r in requests]


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


def test_a_client_sends_when_its_answer_is_there_not_when_that_is_noticed() -> None:
    now = [100]
    log = Log(clock=lambda: now[0])
    source = ClosedLoop(3, Stock(some(10)), log)
    source.take(9, 0)
    log.done("r1", "", at_ns=150)
    log.done("r0", "", at_ns=170)
    now[0] = 200
    # Two have ended, but the engine says so of one only.
    assert ids(source.take(9, 2)) == ["r3"]
    now[0] = 210
    assert ids(source.take(9, 2)) == ["r4"]
    assert [log.responses[r].sent_ns for r in ("r3", "r4")] == [150, 170]


def test_a_backlog_s_requests_count_from_when_a_slot_was_free() -> None:
    """Two slots, and an engine that is handed two requests more than it answers."""
    log = Log(clock=lambda: 0)
    requests = some(5)
    log.sent(requests[:4], 0)
    log.sent(requests[4:], 10)
    # When each gets a slot, its first token, its end.
    for r, (_, first, end) in zip(requests, BY_HAND, strict=True):
        log.token(r.id, at_ns=first)
        log.done(r.id, "", at_ns=end)
    from_slots(list(log.responses.values()), 2)
    assert [r.sent_ns for r in log.responses.values()] == [slot for slot, _, _ in BY_HAND]


BY_HAND = [(0, 1, 10), (0, 1, 14), (10, 12, 20), (14, 15, 24), (20, 22, 30)]


@pytest.mark.parametrize("slots", [5, 6])
def test_with_a_slot_for_each_they_count_from_when_they_were_taken(slots: int) -> None:
    log = Log(clock=lambda: 0)
    log.sent(some(5), 7)
    for r in some(5):
        log.token(r.id, at_ns=8)
        log.done(r.id, "", at_ns=9)
    from_slots(list(log.responses.values()), slots)
    assert {r.sent_ns for r in log.responses.values()} == {7}


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


# Conversations.


@pytest.mark.parametrize("requests", [some(9), TALKS])
def test_no_phase_sends_again_what_another_kind_of_phase_has_sent(requests: list[Request]) -> None:
    """A search for a rate warms up with a closed loop and then tries open ones: an engine that
    keeps prompts must not know them already, and the log has one entry for each id."""
    stock, log = Stock(requests), Log()
    loop = ClosedLoop(2, stock, log, limit=5)
    sent: list[str] = []
    while (taken := loop.take(9, 0)) is not None:
        sent += [r.id for r in taken]
        for r in taken:
            log.done(r.id, "")
    assert len(sent) == 5
    sent += [stock.next().id for _ in range(5)]
    sent += [r.id for r in stock.conversation()]
    assert len(set(sent)) == len(sent)


def walked(source: Source, log: Log, room: int, turns: int) -> list[list[str]]:
    """What is handed out when everything is answered between two calls."""
    found = []
    for _ in range(turns):
        taken = source.take(room, 0)
        found.append(ids(taken))
        for r in taken or ():
            log.done(r.id, "")
    return found


LONG = [
    Request(f"{c}{t}", [1], 4, "", after=f"{c}{t - 1}" if t > 1 else None)
    for c in "abcdef"
    for t in (1, 2, 3)
]


def test_a_client_walks_its_conversation_turn_by_turn() -> None:
    log = Log()
    source = ClosedLoop(3, Stock(LONG), log)
    # The clients begin at different turns, so that there are as many of each from the start.
    assert walked(source, log, 8, 4) == [
        ["a1", "b2", "c3"],
        ["a2", "b3", "d1"],
        ["a3", "d2", "e1"],
        ["d3", "e2", "f1"],
    ]


def test_a_turn_counts_from_the_end_of_the_one_before_it() -> None:
    now = [100]
    log = Log(clock=lambda: now[0])
    source = ClosedLoop(3, Stock(LONG), log)
    assert ids(source.take(9, 0)) == ["a1", "b2", "c3"]
    for name, end_ns in {"b2": 150, "c3": 160, "a1": 170}.items():
        log.done(name, "", at_ns=end_ns)
    now[0] = 200
    assert ids(source.take(9, 0)) == ["a2", "b3", "d1"]
    assert [log.responses[r].sent_ns for r in ("a2", "b3", "d1")] == [170, 150, 160]


def test_a_turn_waits_for_the_answer_before_it() -> None:
    log = Log()
    source = ClosedLoop(1, Stock(LONG), log)
    assert ids(source.take(8, 0)) == ["a1"]
    assert ids(source.take(8, 1)) == []
    log.failed("a1", "no")
    assert ids(source.take(8, 0)) == ["a2"]


def test_offline_hands_out_no_turn_before_its_time() -> None:
    log = Log()
    source = Backlog(Stock(LONG), log)
    assert ids(source.take(2, 0)) == ["a1", "b2"]
    assert ids(source.take(2, 2)) == ["c1", "d1"]
    log.done("a1", "")
    assert ids(source.take(1, 3)) == ["a2"]
    assert walked(Backlog(Stock(LONG), other := Log()), other, 3, 2)[1] == ["a2", "b3", "d1"]


# Open loops.


def opened(
    times: list[float], requests: list[Request] | None = None, limit: int | None = None
) -> tuple[OpenLoop, Log, Clock]:
    clock = Clock(now=5 * SECOND)
    log = Log(clock)
    return OpenLoop(iter(times), Stock(requests or some(9)), log, limit), log, clock


def test_requests_come_at_their_time_whatever_happens() -> None:
    source, log, clock = opened([0.5, 1.0, 3.0])
    assert source.due_ns() == 5 * SECOND
    assert ids(source.take(9, 0)) == []
    assert source.due_ns() == 5.5 * SECOND
    clock.pass_s(2.0)
    # A client that asks late finds both, with the times at which they should have been sent.
    assert ids(source.take(9, 0)) == ["r0", "r1"]
    assert [log.responses[r].sent_ns for r in ("r0", "r1")] == [5.5 * SECOND, 6 * SECOND]
    assert source.due_ns() == 8 * SECOND
    clock.pass_s(1.0)
    assert ids(source.take(9, 2)) == ["r2"]
    assert source.due_ns() is None
    assert source.take(9, 3) is None
    assert (source.handed, source.late) == (3, 2)


def test_waiting_for_room_is_no_lateness_of_the_client() -> None:
    source, log, clock = opened([0.0, 0.0, 0.0, 9.0])
    assert ids(source.take(1, 0)) == ["r0"]
    clock.pass_s(1.0)
    assert ids(source.take(0, 1)) == []
    clock.pass_s(1.0)
    assert ids(source.take(2, 0)) == ["r1", "r2"]
    assert {r.sent_ns for r in log.responses.values()} == {5 * SECOND}
    assert source.late == 0


def test_an_open_loop_ends_at_its_limit() -> None:
    source, _, clock = opened([1.0, 2.0, 3.0], limit=2)
    assert ids(source.take(9, 0)) == []
    clock.pass_s(9)
    assert ids(source.take(1, 0)) == ["r0"]
    assert ids(source.take(1, 0)) == ["r1"]
    assert source.take(9, 0) is None


def test_in_an_open_loop_a_turn_is_sent_when_the_one_before_has_ended() -> None:
    source, log, clock = opened([1.0, 2.0, 3.0, 4.0], LONG)
    assert ids(source.take(9, 0)) == []
    clock.pass_s(1.0)
    assert ids(source.take(9, 0)) == ["a1"]
    clock.pass_s(2.5)
    assert ids(source.take(9, 1)) == []  # a2 and a3 are due, a1 is not answered
    log.done("a1", "", at_ns=8 * SECOND)
    clock.pass_s(1.0)
    # Of the next conversation nothing is in the way of the first turn.
    assert ids(source.take(9, 0)) == ["a2", "b1"]
    assert log.responses["a2"].sent_ns == 8 * SECOND
    assert log.responses["b1"].sent_ns == 9 * SECOND


def test_a_phase_may_begin_in_the_middle_of_a_conversation() -> None:
    stock = Stock(LONG)
    stock.skip_to(2)
    clock = Clock()
    source = OpenLoop(iter([0.0, 0.0]), stock, Log(clock))
    assert ids(source.take(9, 0)) == ["a3", "b1"]


@pytest.mark.parametrize(
    "arrival", [Constant(rate=5), Poisson(rate=5), Gamma(rate=5, burstiness=0.5)], ids=str
)
def test_every_engine_meets_the_same_schedule(arrival: Arrival) -> None:
    """However slow the engine is and however late its client."""
    sent = []
    for servers, late_s in ((1, 0.0), (50, 0.0), (3, 0.4)):
        clock = Clock()
        log = Log(clock)
        source = arriving(arrival, Stock(some(1000)), log, limit=300, seed=11)
        Server(clock, servers, lambda r: [0.3, 0.8], late_s).serve(source, log)
        assert all(r.status == "done" for r in log.responses.values())
        sent.append([(r.request.id, r.sent_ns) for r in log.responses.values()])
    assert len(sent[0]) == 300
    assert sent[0] == sent[1] == sent[2]


def test_a_rate_that_is_yet_to_be_found_is_no_schedule() -> None:
    with pytest.raises(ValueError, match="yet to be found"):
        arriving(Poisson(rate=Search()), Stock(some(1)), Log())


def test_a_trace_goes_on_where_the_stock_stands() -> None:
    listed = [r._replace(at_s=float(2 * i)) for i, r in enumerate(some(4))]
    clock = Clock()
    log = Log(clock)
    stock = Stock(listed)
    stock.next()
    source = arriving(TraceArrival(path="t", speed=2.0), stock, log)
    assert ids(source.take(9, 0)) == ["r1"]
    assert source.due_ns() == 1 * SECOND
