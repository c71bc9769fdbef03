"""The highest rate at which enough requests meet their objectives: bisection with repeats.

The logarithm of the rate is halved between a rate that kept the objectives and one that missed them
until they are within ``CLOSE`` of each other. The share of a trial's requests that meet them is a
chance figure: where it lies within two standard deviations (binomial) of the share asked for, the
rate is tried again with other arrivals and the trials are taken together, ``REPEATS`` at most. A
trial whose queue grew without bound is a miss, whatever its share; where the share says otherwise,
trials are repeated too, and most of them decide.

On a simulated M/M/1 queue 40 searches had no bias (under 1.5 %); one of them scattered by 11 % with
160 requests to a trial, 8 % with 650 and 6 % with 3,200: delays of successive requests are alike,
so the binomial scatter is less than there is.

The bounds themselves are tried only where the search ends at one of them.
"""

import math
from collections.abc import Callable

from lem.contract.record import RateSearch, RateTrial
from lem.contract.workload import Search
from lem.workloads.trials import Verdict

CLOSE = 1.05
"""A rate that missed ÷ one that kept, at the end."""
REPEATS = 3
MOST_TRIALS = 30
LONGEST = 90.0
"""× ``trial_s``: when the search is given up. A trial with its ramp-up and the answers that are
finished after it takes about twice ``trial_s``."""

Try = Callable[[float, int], Verdict]
"""Tries a rate (requests a second); the second argument numbers the trials from 0."""


def search(spec: Search, attempt: Try, now_s: Callable[[], float]) -> RateSearch:
    """Find the rate. ``now_s`` is a clock in seconds.

    Where time or trials run out, the highest rate that kept the objectives so far; the lowest of
    all, untried perhaps, where none did.
    """
    return _Search(spec, attempt, now_s).run()


class _Search:
    def __init__(self, spec: Search, attempt: Try, now_s: Callable[[], float]) -> None:
        self._spec = spec
        self._attempt = attempt
        self._now_s = now_s
        self._end_s = now_s() + LONGEST * spec.trial_s
        self._trials: list[RateTrial] = []

    def run(self) -> RateSearch:
        low, high = self._spec.low, self._spec.high
        kept: float | None = None
        missed: float | None = None
        while (missed or high) / (kept or low) > CLOSE and self._may_go_on():
            middle = math.sqrt((kept or low) * (missed or high))
            if self._keeps(middle):
                kept = middle
            else:
                missed = middle
        bound = None
        if missed is None and self._may_go_on() and self._keeps(high):
            kept, bound = high, "high"
        elif missed is None:
            missed = high if self._tried(high) else None
        if kept is None and self._may_go_on():
            if self._keeps(low):
                kept = low
            else:
                missed, bound = low, "low"
        complete = bound is not None or (
            kept is not None and missed is not None and missed / kept <= CLOSE
        )
        return RateSearch(
            rate_per_s=low if kept is None else kept,
            missed_per_s=missed,
            bound_hit="low" if bound == "low" else "high" if bound == "high" else None,
            complete=complete,
            trials=self._trials,
        )

    def _may_go_on(self) -> bool:
        return len(self._trials) < MOST_TRIALS and self._now_s() < self._end_s

    def _tried(self, rate: float) -> bool:
        return any(t.rate_per_s == rate for t in self._trials)

    def _keeps(self, rate: float) -> bool:
        """Whether the rate keeps the objectives, by one trial or by several together."""
        requests = good = tries = overloads = 0
        wanted = self._spec.attainment
        while True:
            begun_s = self._now_s()
            verdict = self._attempt(rate, len(self._trials))
            tries += 1
            requests += verdict.requests
            good += verdict.good
            overloads += verdict.overloaded
            keeps = overloads * 2 < tries and requests > 0 and good >= wanted * requests
            self._trials.append(
                RateTrial(
                    rate_per_s=rate,
                    requests=verdict.requests,
                    good=verdict.good,
                    overloaded=verdict.overloaded,
                    kept=keeps,
                    seconds=self._now_s() - begun_s,
                )
            )
            agree = (overloads > 0) is (good < wanted * requests) or overloads == 0
            clear = agree and beyond_chance(good, requests, wanted)
            if clear or tries >= REPEATS or not self._may_go_on():
                return keeps


def beyond_chance(good: int, requests: int, wanted: float) -> bool:
    """Whether the share lies further from what is wanted than chance moves it."""
    noise = math.sqrt(wanted * (1 - wanted) * requests)
    return abs(good - wanted * requests) > 2 * noise
