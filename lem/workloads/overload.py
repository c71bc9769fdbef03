"""Whether more came than was answered: a queue that grows without bound has no steady state.

In a stretch of time a stable system's number of open requests goes up and down and comes back;
under overload it grows by what comes more than can be answered. So the growth, requests sent less
requests ended, is held against what chance explains: the noise of both counts. Their scatter is
taken from the stretch itself (index of dispersion of the counts in twentieths of it, 1 for Poisson
counts), so that bursts, and answers that end together, count as the noise that they are.

Around a load of 1 chance alone makes a queue grow by about that noise, so the rule cannot call a
stable queue overloaded much more often than ``Z`` says, and in a stable one, which comes back, it
hardly ever does. In simulation (Poisson arrivals, exponential answers, 1, 8 and 64 servers, 300
stretches each) it called a load of 80 % overloaded in at most 9 % of stretches of 50 requests, 8 %
of 100 (1 % up to 8 servers) and 2 % of 300; found 110 % in 25 % of stretches of 50, 45 % of 300,
80 % of 1,000; and 130 % in 51, 94 and 100 %. A slight overload of few requests cannot be told from
chance by anybody. Of fewer than ``SOME`` requests the two noises are themselves poorly known and
more is asked for (``Z_OF_FEW``; 200 stretches each): 80 % was called overloaded in at most 6 % of
stretches of 10, 16 and 24 requests (8 % with 90 % of the load, 9 % with 64 servers at half of it),
200 % in 32 to 35, 50 to 56 and 62 to 69 %, 300 % in 41 to 46, 73 to 81 and 87 to 91 %.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from lem.workloads.load import Response

Z = 1.3
Z_OF_FEW = 1.65
SHARE = 0.03
"""A growth below this part of what was sent is none that matters."""
FEW = 10
"""With fewer requests nothing can be told."""
SOME = 30
TELLING = 40
"""With fewer even a load of twice what can be answered is missed in over one stretch of ten."""
PARTS = 20


class Growth(NamedTuple):
    sent: int
    ended: int
    noise: float
    """Standard deviation of sent − ended that chance explains."""

    @property
    def overloaded(self) -> bool:
        """Whether the queue grew by more than chance explains, and by enough to matter."""
        more = self.sent - self.ended
        z = Z if self.sent >= SOME else Z_OF_FEW
        return self.sent >= FEW and more > SHARE * self.sent and more > z * self.noise

    @property
    def flags(self) -> set[str]:
        """What a run of which this is the growth is marked with."""
        if self.overloaded:
            return {"overloaded"}
        return {"overload_unknown"} if self.sent < TELLING else set()


def growth(
    responses: Iterable[Response], start_ns: int, end_ns: int, due_ns: Sequence[int] | None = None
) -> Growth:
    """Of the number of open requests in (``start_ns``, ``end_ns``].

    ``due_ns``: when a schedule had them come, also those that wait for an earlier turn of their
    conversation. They are sent no faster than answers end, so what was sent shows no overload.
    """
    responses = list(responses)
    sent = sorted([r.sent_ns for r in responses] if due_ns is None else due_ns)
    ended = sorted(r.end_ns for r in responses if r.end_ns is not None)
    came, variance_in = _counted(sent, start_ns, end_ns)
    left, variance_out = _counted(ended, start_ns, end_ns)
    return Growth(came, left, (variance_in + variance_out) ** 0.5)


def _counted(times: list[int], start_ns: int, end_ns: int) -> tuple[int, float]:
    """How many of the sorted ``times`` are inside, and the variance of that number."""
    edges = [start_ns + (end_ns - start_ns) * i // PARTS for i in range(PARTS + 1)]
    places = [bisect_right(times, e) for e in edges]
    counts = [b - a for a, b in pairwise(places)]
    n = sum(counts)
    mean = n / PARTS
    # The variance of a sum of independent parts is the number of parts × that of one.
    return n, PARTS * sum((c - mean) ** 2 for c in counts) / (PARTS - 1)
