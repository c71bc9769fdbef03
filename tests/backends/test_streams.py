"""Answers that come as streams, without an engine."""

import asyncio
import threading
import time

import pytest

from lem.backends.streams import Refused, Streams, whole_answer
from lem.errors import RunFailed
from lem.workloads.load import Log, Sink
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog
from lem.workloads.stock import Stock

REQUESTS = [Request(f"r{i}", [1], 5, "") for i in range(3)]


async def steady(request: Request, sink: Sink) -> str:
    for _ in range(request.output_tokens):
        await asyncio.sleep(0.002)
        sink.token(request.id)
    return "x"


def test_tokens_keep_their_time_while_the_source_takes_its_own() -> None:
    """A window's edge may hold up the thread that serves; tokens come out meanwhile."""
    log = Log()
    inner = Backlog(Stock(REQUESTS), log, limit=1)
    slow: list[tuple[int, int]] = []

    class Slow:
        def take(self, room: int, busy: int) -> list[Request] | None:
            found = inner.take(room, busy)
            if busy:
                start = time.monotonic_ns()
                time.sleep(0.2)
                slow.append((start, time.monotonic_ns()))
            return found

        def due_ns(self) -> int | None:
            return None

    async def long(request: Request, sink: Sink) -> str:
        return await steady(request._replace(output_tokens=100), sink)

    streams = Streams()
    streams.serve(Slow(), log, 2, long)
    streams.close()
    (start, end), times = slow[0], log.responses["r0"].token_ns
    assert sum(start < t < end for t in times) >= 20


def test_no_more_are_asked_for_than_there_are_slots() -> None:
    going, most, lock = 0, 0, threading.Lock()

    async def counted(request: Request, sink: Sink) -> str:
        nonlocal going, most
        with lock:
            going += 1
            most = max(most, going)
        text = await steady(request, sink)
        with lock:
            going -= 1
        return text

    log, streams = Log(), Streams()
    streams.serve(Backlog(Stock(REQUESTS), log, limit=9), log, 2, counted)
    streams.close()
    assert most == 2 and len(log.responses) == 9
    assert {r.status for r in log.responses.values()} == {"done"}


def test_what_the_engine_raises_ends_the_run_with_its_kind() -> None:
    async def broken(request: Request, sink: Sink) -> str:
        if request.id == "r1":
            raise RuntimeError("CUDA out of memory")
        await asyncio.sleep(30)
        return ""

    log, streams = Log(), Streams()
    with pytest.raises(RunFailed, match="out of memory") as e:
        streams.serve(Backlog(Stock(REQUESTS), log), log, 3, broken)
    streams.close()
    assert e.value.kind == "out_of_memory"
    assert {n: r.text for n, r in log.responses.items()}["r0"] == "broken off"
    assert {r.status for r in log.responses.values()} == {"failed"}


def test_an_engine_that_refuses_everything_ends_the_run() -> None:
    async def refusing(request: Request, sink: Sink) -> str:
        raise Refused("no")

    log, streams = Log(), Streams()
    with pytest.raises(RunFailed, match="32 requests in a row failed"):
        streams.serve(Backlog(Stock(REQUESTS), log), log, 2, refusing)
    streams.close()


@pytest.mark.parametrize(
    ("tokens", "ignore_eos", "fine"),
    [(5, True, True), (4, True, False), (4, False, True), (6, False, False)],
)
def test_an_answer_of_the_wrong_length_has_failed(
    tokens: int, ignore_eos: bool, fine: bool
) -> None:
    if fine:
        whole_answer(REQUESTS[0], tokens, ignore_eos)
    else:
        with pytest.raises(Refused, match=f"{tokens} tokens came out, not 5"):
            whole_answer(REQUESTS[0], tokens, ignore_eos)
