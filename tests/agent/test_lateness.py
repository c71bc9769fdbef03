"""When a client that sends over a network counts as late."""

import pytest

from lem.agent.measure import _lateness
from lem.workloads.load import Response
from lem.workloads.requests import Request

MS = 1_000_000


def response(late_ms: float, first_ms: float = 40, gap_ms: float = 20) -> Response:
    first = round(first_ms * MS)
    return Response(
        Request("r", [1], 3, ""),
        sent_ns=0,
        token_ns=[first + round(i * gap_ms * MS) for i in range(3)],
        end_ns=first + round(3 * gap_ms * MS),
        status="done",
        written_ns=round(late_ms * MS),
    )


@pytest.mark.parametrize(
    ("late_ms", "first_ms", "read_s", "flagged"),
    [
        (4.0, 40, 0.001, False),
        (6.0, 40, 0.001, True),
        # A twentieth of the time to first token is more than 5 ms here.
        (6.0, 200, 0.001, False),
        (11.0, 200, 0.001, True),
        (0.1, 40, 0.019, False),
        (0.1, 40, 0.021, True),
        (0.1, 40, None, False),
    ],
)
def test_the_rule(late_ms: float, first_ms: float, read_s: float | None, flagged: bool) -> None:
    flags: set[str] = set()
    facts = _lateness([response(late_ms, first_ms)] * 20, read_s, flags)
    assert flags == ({"client_late"} if flagged else set())
    assert facts["client_late_p99_s"] == pytest.approx(late_ms / 1e3)


def test_one_in_two_hundred_may_be_late() -> None:
    flags: set[str] = set()
    _lateness([response(0.1)] * 199 + [response(50)], 0.001, flags)
    assert flags == set()


def test_engines_without_a_client_have_no_lateness() -> None:
    alone = Response(Request("r", [1], 1, ""), 0, [5], 6, "done")
    assert _lateness([alone], None, flags := set()) == {} and flags == set()
