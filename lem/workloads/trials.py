"""One try of a rate: do enough of the requests that come at it meet the objectives?

Requests of the schedule are sent until ramp-up is over (as for a window, :class:`RampUp`) and then
for ``trial_s`` more. Those sent in that time are judged, each when it has ended or can no longer
meet an objective. Until the last of them is judged requests go on being sent, so that none is
answered by an engine with less to do. A trial is over as soon as its verdict is certain, so that
one far above what the engine can do leaves no long queue behind.
"""

from typing import NamedTuple

from lem.contract.workload import Slo
from lem.workloads import latency, overload
from lem.workloads.load import Clock, Response
from lem.workloads.ramp_up import RampUp
from lem.workloads.requests import Request
from lem.workloads.sources import OpenLoop

LEAST_JUDGED = 20
"""A trial goes on until so many requests can be judged, up to ``LONGEST`` × ``trial_s``."""
LONGEST = 3.0
LEAST_LOST = 10
"""Fewer that missed make no trial end early."""
LOOK_NS = 100_000_000
"""How often a trial looks at its requests."""


class Verdict(NamedTuple):
    requests: int
    good: int
    """Met every objective. Where the trial was over before all were judged, because too many had
    missed one for sure, the rest count as good."""
    overloaded: bool


class Trial:
    """A source for one ``serve``: sends what ``inner`` has until the verdict is there."""

    def __init__(
        self, inner: OpenLoop, slo: Slo, attainment: float, trial_s: float, clock: Clock
    ) -> None:
        self.verdict: Verdict | None = None
        """None while it is not known; also where ``inner`` ran dry before."""
        self._inner = inner
        self._slo = slo
        self._attainment = attainment
        self._trial_ns = round(trial_s * 1e9)
        self._clock = clock
        self._ramp_up = RampUp(self._trial_ns // 2, inner.most_turns)
        self._mine = inner.sent
        self._seen = 0
        self._begun_ns: int | None = None
        self._looked_ns = 0
        self._start_ns: int | None = None
        self._end_ns: int | None = None
        self._undecided: list[Response] = []
        """Of those sent after ``_start_ns`` and up to ``_end_ns``; the rest are counted:"""
        self._lost = 0
        self._kept = 0

    def take(self, room: int, busy: int) -> list[Request] | None:
        if self._over():
            return self._inner.rest(room)
        taken = self._inner.take(room, busy)
        self._undecided += [r for r in self._mine[self._seen :] if self._is_judged(r)]
        self._seen = len(self._mine)
        return taken

    def _is_judged(self, response: Response) -> bool:
        if self._start_ns is None or response.sent_ns <= self._start_ns:
            return False
        return self._end_ns is None or response.sent_ns <= self._end_ns

    def due_ns(self) -> int | None:
        return self._inner.due_ns()

    def _over(self) -> bool:
        if self.verdict is not None:
            return True
        now = self._clock()
        if self._begun_ns is None:
            self._begun_ns = now
        if now - self._looked_ns < LOOK_NS:
            return False
        self._looked_ns = now
        if self._start_ns is None:
            if self._ramp_up.over(now, self._mine):
                self._start_ns = now
            else:
                self._give_up(now - self._begun_ns, now)
        else:
            self._judge(self._start_ns, now)
        return self.verdict is not None

    def _give_up(self, passed_ns: int, now: int) -> None:
        """During ramp-up, where more than half are too late already. The engine began with nothing
        to do, so it does not get better."""
        if passed_ns < self._trial_ns / 2:
            return
        lost = sum(latency.missed(r, self._slo, now) for r in self._mine)
        few = lost < LEAST_LOST and passed_ns < LONGEST * self._trial_ns
        if lost and not few and 2 * lost > len(self._mine):
            self.verdict = Verdict(len(self._mine), len(self._mine) - lost, overloaded=False)

    def _judge(self, start_ns: int, now: int) -> None:
        self._decide(now)
        judged = self._lost + self._kept + len(self._undecided)
        if self._end_ns is None:
            passed = max(now - start_ns, 1)
            enough = judged >= LEAST_JUDGED or passed >= LONGEST * self._trial_ns
            if passed >= self._trial_ns and enough:
                self._end_ns = now
            # As many as there will be in the whole trial, at the mean rate so far.
            foreseen = round(judged * max(self._trial_ns / passed, 1.0))
            if self._lost >= LEAST_LOST and self._lost > 2 * (1 - self._attainment) * foreseen:
                good = foreseen - self._lost
                self.verdict = Verdict(foreseen, good, self._grows(start_ns, now))
        elif not self._undecided or self._lost > (1 - self._attainment) * judged:
            good = judged - self._lost
            self.verdict = Verdict(judged, good, self._grows(start_ns, self._end_ns))

    def _decide(self, now: int) -> None:
        undecided = []
        for r in self._undecided:
            if latency.missed(r, self._slo, now):
                self._lost += 1
            elif r.end_ns is not None:
                self._kept += 1
            else:
                undecided.append(r)
        self._undecided = undecided

    def _grows(self, start_ns: int, end_ns: int) -> bool:
        return overload.growth(self._mine, start_ns, end_ns, self._inner.due).overloaded
