"""Trace and responses of a run from elsewhere, as the archive stores them: read within bounds.

What is larger than these bounds is no fault of its sender's, but is not recomputed here.
"""

from collections.abc import Iterator
from operator import attrgetter
from typing import cast

from lem.contract.workload import MAX_REQUEST_TOKENS
from lem.errors import BadInput, Problem
from lem.meters.energy.series import Remembered
from lem.meters.protocol import Sample
from lem.meters.sampling import trace
from lem.workloads import responses
from lem.workloads.load import Response
from lem.workloads.requests import Request

MAX_TEXT_BYTES = 96 * 2**20
"""Of either file, uncompressed: a trace of an hour at 20 Hz on four GPUs."""
MAX_SAMPLES = 1_500_000
MAX_REQUESTS = 200_000
MAX_TOKENS = 4_000_000
"""Output tokens of a run: 15 minutes at 4,000 a second."""
MOST_NS = 2**62
"""Of a monotonic clock: 146 years. What is added to it is then no overflow."""
MOST_VALUE = 1e30
STATUSES = ("done", "failed", "timed_out")


class TooLarge(BadInput):
    """More than is recomputed here."""


class TooOld(BadInput):
    """From before something was written down without which figures cannot be recomputed."""


def samples_of(data: bytes) -> list[Sample]:
    """All samples of a gzipped trace, in order of time. Raises :class:`BadInput` for what is no
    trace, :class:`TooLarge` for one that is."""
    found: list[Sample] = []
    for s in trace.parse(_text(data, "trace"), "trace"):
        if s.t_ns > MOST_NS or abs(s.value) > MOST_VALUE:
            raise _bad("trace", "holds a number that nothing measures")
        found.append(s)
        if len(found) > MAX_SAMPLES:
            raise TooLarge([Problem(f"holds more than {MAX_SAMPLES} samples", file="trace")])
    if not found:
        raise _bad("trace", "holds no reading")
    return Remembered(sorted(found, key=attrgetter("t_ns")))


def responses_of(data: bytes) -> list[Response]:
    """The history of each request of a gzipped response file, in its order; ``input_ids`` have
    their length alone, and what was asked for (``output_tokens``) is not known here: 0. Raises as
    :func:`samples_of`."""
    found: list[Response] = []
    seen: set[str] = set()
    tokens = 0
    for row in responses.parse(b"".join(_text(data, "responses")), "responses"):
        if row.status not in STATUSES:
            raise _bad("responses", "has a request without a known end")
        if row.id in seen:
            raise _bad("responses", "has a request twice")
        seen.add(row.id)
        if row.end_ns is None:
            old = "is from before answers' ends were noted"
            raise TooOld([Problem(old, file="responses")])
        if not 0 <= row.input_tokens <= MAX_REQUEST_TOKENS:
            raise _bad("responses", "has a prompt that no model reads")
        if not 0 <= row.sent_ns <= row.end_ns <= MOST_NS:
            raise _bad("responses", "has times that do not follow each other")
        times = row.token_ns()
        if min(row.itl_ns, default=0) < 0:
            raise _bad("responses", "has tokens that do not follow each other")
        if times and not row.sent_ns <= times[0] <= times[-1] <= row.end_ns:
            raise _bad("responses", "has a token from outside of its request's time")
        tokens += len(times)
        if tokens > MAX_TOKENS or len(found) >= MAX_REQUESTS:
            raise TooLarge([Problem("holds more than is recomputed here", file="responses")])
        # A range has the length of a list of so many tokens, whatever they are.
        prompt = cast("list[int]", range(row.input_tokens))
        asked = Request(row.id, prompt, 0, "")
        found.append(Response(asked, row.sent_ns, times, row.end_ns, row.status))
    return found


def _text(data: bytes, name: str) -> Iterator[bytes]:
    try:
        yield from trace.inflated(data, name, MAX_TEXT_BYTES)
    except trace.TooMuchText as e:
        raise TooLarge(e.problems) from e


def _bad(name: str, message: str) -> BadInput:
    return BadInput([Problem(message, file=name)])
