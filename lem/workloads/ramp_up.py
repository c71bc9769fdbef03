"""When an open load has become steady, so that a window of it may begin.

A turn of a conversation waits for the answer to the one before. Where turns come faster than
answers end, at first only first turns are sent, then second ones too, and the rate that was asked
for is reached when last turns are sent. That takes as many answers' times as a conversation has
turns, and half as long again, since some conversations take longer than the mean.

It is a time, not a moment at which few turns happen to wait: windows that begin at such a moment
have too little to do.
"""

from collections.abc import Sequence

from lem.workloads.load import Response

SLOWER = 1.5
"""A slow conversation's time ÷ the mean one's."""
LONGEST = 2.0
"""× the time that was foreseen for conversations when all else was over. Where more comes than can
be answered, answers take ever longer."""


class RampUp:
    """Over when everything that was sent before the first answer ended has ended, as much time
    again has passed, and at least ``least_ns``; where conversations have up to ``turns`` turns,
    also not before ``SLOWER`` × ``turns`` × the mean time of answers so far."""

    def __init__(self, least_ns: int, turns: int = 1) -> None:
        self._least_ns = least_ns
        self._turns = turns
        self._begin_ns: int | None = None
        self._first: list[Response] | None = None
        """Sent before the first answer ended."""
        self._over_ns: int | None = None
        """When it is over, but for conversations."""
        self._latest_ns: int | None = None
        """When it is over whatever conversations do."""
        self._look_ns = 0
        """When to look at them again: each look goes through all that was sent."""

    def over(self, now_ns: int, mine: Sequence[Response]) -> bool:
        """Asked again and again, with all that the phase has sent so far."""
        if self._begin_ns is None:
            self._begin_ns = now_ns
        if self._first is None and any(r.end_ns is not None for r in mine):
            self._first = list(mine)
        if self._over_ns is None and self._first is not None:
            ends = [r.end_ns for r in self._first if r.end_ns is not None]
            if len(ends) == len(self._first):
                took_ns = max(2 * (max(ends) - self._begin_ns), self._least_ns)
                self._over_ns = self._begin_ns + took_ns
        if self._over_ns is None or now_ns < self._over_ns:
            return False
        return self._turns == 1 or self._conversations(self._begin_ns, now_ns, mine)

    def _conversations(self, begin_ns: int, now_ns: int, mine: Sequence[Response]) -> bool:
        """Whether those that began first have had the time to come to their end."""
        if now_ns < self._look_ns:
            return False
        mean_ns = mean_answer_ns(mine, now_ns)
        foreseen_ns = begin_ns + round(SLOWER * self._turns * mean_ns)
        if self._latest_ns is None:
            self._latest_ns = begin_ns + round(LONGEST * (foreseen_ns - begin_ns))
        end_ns = min(foreseen_ns, self._latest_ns)
        self._look_ns = min(end_ns, now_ns + round(mean_ns))
        return now_ns >= end_ns


def mean_answer_ns(responses: Sequence[Response], now_ns: int) -> float:
    """How long answers take, those included that have not ended: the time under way of all ÷ the
    number that has ended (of exponentially distributed times the most likely mean). One at least
    must have ended."""
    ended = sum(r.end_ns is not None for r in responses)
    return sum((now_ns if r.end_ns is None else r.end_ns) - r.sent_ns for r in responses) / ended
