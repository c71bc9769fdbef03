"""Whether the load was the one that was asked for."""

from typing import Any

import pytest

from lem.agent import operating_point
from lem.contract.workload import Constant, Poisson, Search, Slo, TraceArrival
from lem.workloads.load import Log, Response
from lem.workloads.requests import Request
from lem.workloads.sources import OpenLoop
from lem.workloads.steady import Counts
from lem.workloads.stock import Stock

MS = 1_000_000


class Job:
    """What is looked at of one."""

    def __init__(self, rate: Any, slo: Slo) -> None:
        self.workload = self
        self.arrival = Poisson(rate=rate)
        self.slo = slo


def response(i: int, first_ms: float) -> Response:
    r = Response(Request(f"r{i}", [1], 1, ""), i * MS)
    r.token_ns = [i * MS + round(first_ms * MS)]
    r.end_ns, r.status = r.token_ns[0], "done"
    return r


@pytest.mark.parametrize(
    ("good", "of", "flagged"),
    [
        (90, 100, False),
        # 0.9 of 100 with a standard deviation of 3.
        (85, 100, False),
        (83, 100, True),
        (100, 100, False),
        # The same share of fewer is chance.
        (17, 20, False),
    ],
)
def test_the_windows_say_whether_the_rate_found_keeps_its_objectives(
    good: int, of: int, flagged: bool
) -> None:
    responses = [response(i, 100 if i < good else 900) for i in range(of)]
    window = Counts(-1, 10_000 * MS, of, of, of)
    job: Any = Job(Search(attainment=0.9), Slo(ttft_ms=500))
    found = operating_point.rate_held(job, responses, [window])
    assert found == ({"objectives_missed"} if flagged else set())
    # Those that ended outside of the windows say nothing, nor does a rate that was given.
    assert operating_point.rate_held(job, responses, [Counts(-9, -1, 0, 0, 0)]) == set()
    given: Any = Job(4.0, Slo(ttft_ms=500))
    assert operating_point.rate_held(given, responses, [window]) == set()


def test_work_by_a_schedule_is_measured_with_clients_that_wait_for_nothing() -> None:
    assert operating_point.kept_busy(Constant(rate=1)).kind == "concurrency"
    assert operating_point.kept_busy(TraceArrival(path="t")).kind == "concurrency"


@pytest.mark.parametrize(
    ("ignore_eos", "tokens", "status", "flagged"),
    [
        (True, 3, "done", False),
        (True, 2, "done", True),
        (False, 2, "done", False),
        # It is told apart: requests_failed.
        (True, 2, "failed", False),
    ],
)
def test_answers_that_were_to_be_whole_are(
    ignore_eos: bool, tokens: int, status: str, flagged: bool
) -> None:
    r = Response(Request("r", [1], 3, ""), 0)
    r.token_ns, r.end_ns, r.status = [MS] * tokens, MS, status
    job: Any = Job(4.0, Slo())
    job.generate = {"ignore_eos": ignore_eos}
    found = operating_point.answers_whole(job, [r])
    assert found == ({"answers_ended_early"} if flagged else set())


@pytest.mark.parametrize(("waiting", "flags"), [(4, set()), (10, {"target_not_held"})])
def test_turns_that_waited_out_a_window_are_load_that_was_not_there(
    waiting: int, flags: set[str]
) -> None:
    """Of 100 requests of the schedule so many wait for the turn before them when the window ends:
    no overload, but not the rate that was asked for either."""
    source: Any = OpenLoop(iter(()), Stock([Request("r", [1], 1, "")]), Log())
    source.due = [i * MS for i in range(100)]
    source.sent = [response(i, 1) for i in range(100 - waiting)]
    window = Counts(0, 101 * MS, 0, 0, 0, sent=100 - waiting)
    assert operating_point.load_held(source, [window]) - {"overloaded"} == flags
