"""How long a run takes, before anybody runs it: from runs that the archive has, or a rough guess.

What a campaign's file sets (windows, rest) is known. The remainder is not: starting and loading
the engine, compiling, warm-up, ramp-up, draining, stopping. Runs of others tell it, from the begin
of one to the begin of the next, less what their own campaign set.
"""

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from lem.archive.columns import Columns
from lem.archive.parsed import read_lock
from lem.archive.queries.alike import all_of
from lem.archive.rows import work_of
from lem.archive.schema import CAMPAIGN, RUN
from lem.campaign.overview import LOAD_GUESS_S, Lengths, lengths, searches_s, unforeseen
from lem.contract.lock import Lock
from lem.contract.spec import Experiment
from lem.errors import BadInput
from lem.everyday.ranges import Range

GUESS_TIMES = 3.0
"""How many times the guess a run may take of which nothing like it is known."""
SLOW_TOKENS_PER_S = 5.0
"""In one answer; who reads along reads as fast."""
ANSWERS_IN_FULL = 2
"""That a run of which nothing like it is known waits for: when it has warmed up, and at its end."""
OFF_BY = 0.3
"""To either side of their middle, the times of the same model, software and work are taken to be
off by this at least: another machine loads and computes at another speed."""
NEWEST_CONFIGURATIONS = 20
"""Of each model, software and work."""
NEWEST_CAMPAIGNS = 3
"""Of each model, software and work."""
MOST_CONFIGURATIONS = 2000
MOST_CAMPAIGNS = 20
FIRST_BLOCKS = 5
"""Of each campaign; others tell little more."""
MOST_RUNS = 20_000


class Times(NamedTuple):
    run_s: list[Range]
    """Of a run of each arm, in the lock's order."""
    basis: str
    """In words."""


class _Remainder(NamedTuple):
    """Of a configuration's runs in one campaign."""

    seconds: float
    """What they took beside what the campaign set; with their warm-up."""
    warm_up_cap_s: float
    """That it let warm-up take."""


def times(connection: sa.Connection, board: Columns, lock: Lock) -> Times:
    works = [_work_of(a.experiment) for a in lock.arms]
    same = {work: _newest(board, dict(work)) for work in set(works)}
    backends = [a.experiment.backend for a in lock.arms]
    lacking = {b for b, work in zip(backends, works, strict=True) if not same[work]}
    others = {b: _newest(board, {"backend": b}) for b in lacking}
    found = _remainders(connection, [*same.values(), *others.values()])
    here, searches = lengths(lock), searches_s(lock)
    run_s = []
    known = wider = 0
    for arm, work, backend in zip(lock.arms, works, backends, strict=True):
        set_s = here.rest_s + here.work_s + searches.get(arm.arm_id, 0.0)
        took = _as_here(found, same[work], here)
        if took is not None:
            known += 1
            run_s.append(_not_narrow(Range(set_s + took.low, set_s + took.high)))
            continue
        guess = LOAD_GUESS_S + here.warm_up_cap_s + set_s
        answer_s = _longest_answer(arm.experiment) / SLOW_TOKENS_PER_S
        run = Range(guess, max(GUESS_TIMES * guess, guess + ANSWERS_IN_FULL * answer_s))
        took = _as_here(found, others.get(backend, []), here)
        if took is not None:
            wider += 1
            run = Range(min(run.low, set_s + took.low), max(run.high, set_s + took.high))
        run_s.append(run)
    words = _words(len(lock.arms), known, wider)
    if untold := unforeseen(lock):
        most_s = lock.limits.load_s + lock.limits.run_s
        run_s = [Range(run.low, max(run.high, most_s)) for run in run_s]
        words += (
            f"; without the time for {' and '.join(untold)}, which nobody knows before: at most"
            f" until a run is given up, after {most_s:.0f} s"
        )
    return Times(run_s, words)


def _words(arms: int, known: int, wider: int) -> str:
    measured = (
        "from how long runs of the same model, software and work took in this archive, on any"
        " machine and with any settings"
    )
    if known == arms:
        return measured
    guess = (
        f"a rough guess, from what the file sets and {LOAD_GUESS_S:.0f} s to load up to "
        f"{GUESS_TIMES:g} times that, as loading and compiling a large model takes long, and"
        f" answers at {SLOW_TOKENS_PER_S:g} tokens a second"
    )
    if wider:
        guess += (
            ", and as little or as much as other models or other work took with the same software"
        )
    if known == 0:
        return guess
    return f"for {known} of {arms} experiments {measured}; for the others {guess}"


def _not_narrow(found: Range) -> Range:
    middle = (found.low + found.high) / 2
    return Range(min(found.low, (1 - OFF_BY) * middle), max(found.high, (1 + OFF_BY) * middle))


def _work_of(e: Experiment) -> tuple[tuple[str, object], ...]:
    """What has to be the same of the runs whose time may stand for its own."""
    return tuple({"model": e.model.id, "backend": e.backend, **work_of(e)}.items())


def _longest_answer(e: Experiment) -> int:
    """In tokens; 0 where nothing tells."""
    wanted = getattr(e.workload.dataset, "output_tokens", None)
    return int(getattr(wanted, "high", wanted) or 0)


def _newest(board: Columns, wanted: Mapping[str, object]) -> list[int]:
    """Configurations that have all of these."""
    rows = np.flatnonzero(all_of(board, wanted))
    rows = rows[np.argsort(board.texts["last_at"][rows], kind="stable")[::-1]]
    found: list[int] = board.numbers["config_id"][rows[:NEWEST_CONFIGURATIONS]].tolist()
    return found


def _as_here(
    found: Mapping[int, Sequence[_Remainder]], configurations: Iterable[int], here: Lengths
) -> Range | None:
    """What runs of these would take beside what is set, if warm-up had the limit that it has here:
    one that ended early before may take no longer, one that had no more time may."""
    ends = [
        (
            max(0.0, r.seconds - max(0.0, r.warm_up_cap_s - here.warm_up_cap_s)),
            r.seconds + max(0.0, here.warm_up_cap_s - r.warm_up_cap_s),
        )
        for c in configurations
        for r in found.get(c, ())
    ]
    return Range(min(low for low, _ in ends), max(high for _, high in ends)) if ends else None


def _remainders(
    connection: sa.Connection, groups: Sequence[Collection[int]]
) -> dict[int, list[_Remainder]]:
    """Of each configuration, in some of the newest campaigns that have it."""
    wanted = set(sorted({c for group in groups for c in group})[-MOST_CONFIGURATIONS:])
    where = _campaigns(connection, groups, wanted)
    locks = {
        row.id: _set_by(bytes(row.lock))
        for row in connection.execute(
            sa.select(CAMPAIGN.c.id, CAMPAIGN.c.lock).where(CAMPAIGN.c.id.in_(where))
        )
    }
    r = RUN.c
    query = (
        sa.select(r.campaign_id, r.config_id, r.arm, r.started_at, r.counted)
        .where(r.campaign_id.in_(where), r.block < FIRST_BLOCKS)
        .order_by(r.campaign_id, r.started_at)
        .limit(MOST_RUNS)
    )
    took: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    for run, after in pairwise(connection.execute(query).all()):
        its = locks.get(run.campaign_id)
        if its is None or run.campaign_id != after.campaign_id or run.config_id not in wanted:
            continue
        seconds = after.started_at - run.started_at
        # Longer ones were no runs: somebody paused the campaign, or went on with it another day.
        if run.counted and 0 < seconds <= its.most_s:
            took[run.campaign_id, run.config_id, run.arm].append(seconds)
    found: dict[int, list[_Remainder]] = defaultdict(list)
    for (campaign, configuration, arm), seconds_each in took.items():
        its = locks[campaign]
        assert its is not None
        set_s = its.lengths.rest_s + its.lengths.work_s + its.searches_s.get(arm, 0.0)
        beside = max(0.0, statistics.median(seconds_each) - set_s)
        found[configuration].append(_Remainder(beside, its.lengths.warm_up_cap_s))
    return found


def _campaigns(
    connection: sa.Connection, groups: Sequence[Collection[int]], wanted: Collection[int]
) -> list[int]:
    pairs = connection.execute(
        sa.select(RUN.c.campaign_id, RUN.c.config_id)
        .where(RUN.c.config_id.in_(sorted(wanted)), RUN.c.counted)
        .distinct()
    ).all()
    of: dict[int, set[int]] = defaultdict(set)
    for campaign, configuration in pairs:
        of[configuration].add(campaign)
    chosen: set[int] = set()
    for group in groups:
        chosen |= set(sorted(set().union(*(of[c] for c in group)))[-NEWEST_CAMPAIGNS:])
    return sorted(chosen)[-MOST_CAMPAIGNS:]


class _SetBy(NamedTuple):
    """A lock, as far as it says how long its runs take."""

    lengths: Lengths
    searches_s: dict[int, float]
    """By the place of the arm."""
    most_s: float
    """Until a run is given up."""


@lru_cache(maxsize=64)
def _set_by(gz: bytes) -> _SetBy | None:
    """None of a campaign that came without a lock."""
    try:
        lock = read_lock(gz)
    except BadInput:
        return None
    searches = searches_s(lock)
    by_place = {i: searches[a.arm_id] for i, a in enumerate(lock.arms) if a.arm_id in searches}
    return _SetBy(lengths(lock), by_place, lock.limits.load_s + lock.limits.run_s)
