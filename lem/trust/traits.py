"""What is kept of each run so that the runs of a campaign can be held against each other."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from lem.campaign.plan import order
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.meters.protocol import Sample
from lem.stores.outcomes import Outcome

CLOCKS_AGREE_S = 120.0
"""Wall clocks are set now and then; between the end of loading and the trace's beginning lies the
sampler's start, which takes up to a minute."""
SLACK_S = 1.0
SHAPE_SAMPLES = 20
"""A trace with fewer steps of a counter has no shape of its own."""
COUNTERS = ("energy_mj", "energy_uj", "cpu_time_ns")
POWERS = ("power_mw", "power_instant_mw", "power_average_mw")
POWER_STEPS, POWER_VALUES = 100, 50
"""Readings of power repeat themselves: fewer steps or values are not those of one run alone."""
COUNTER_VALUES = 10
"""As are fewer different steps of a counter: a board at rest may count the same in each."""


class Traits(NamedTuple):
    """Plain values: they can be kept as JSON."""

    block: int
    block_pass: int
    arm_id: str
    attempt: int
    started_at: str
    ended_at: str
    load_s: float
    boot_id: str
    device_set: tuple[str, ...]
    trace_sha256: str
    """Of the trace's bytes as submitted."""
    begin_ns: int | None
    """First and last moment of the trace on the machine's monotonic clock; None where it could not
    be read."""
    end_ns: int | None
    shape_sha256: str | None
    """Of the counters' steps, whenever they came: the same trace with its times moved, or with the
    counter's beginning moved, has the same. None where there are too few."""
    series: tuple[str, ...] = ()
    """As ``shape_sha256``, of each series of readings by itself, whatever its device is called."""


def unread(record: Record, trace: bytes) -> Traits:
    """Of a run whose trace cannot be read."""
    environment = record.environment
    return Traits(
        record.block,
        record.block_pass,
        record.arm_id,
        record.attempt,
        record.started_at,
        record.ended_at,
        record.load_s,
        environment.boot_id,
        tuple(environment.device_set),
        hashlib.sha256(trace).hexdigest(),
        None,
        None,
        None,
    )


def of(record: Record, trace: bytes, samples: Sequence[Sample]) -> Traits:
    plain = unread(record, trace)
    if not samples:
        return plain
    return plain._replace(
        begin_ns=samples[0].t_ns,
        end_ns=samples[-1].t_ns,
        shape_sha256=shape(samples),
        series=series(samples),
    )


def series(samples: Sequence[Sample]) -> tuple[str, ...]:
    """SHA-256 of each series' steps that no other run can have: of counters, and of power that took
    many values. Renaming the device, moving times, or adding other readings changes none."""
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for s in samples:
        if s.quantity in COUNTERS or s.quantity in POWERS:
            values[s[1:4]].append(s.value)
    found: set[str] = set()
    for (_, _, quantity), own in values.items():
        steps = [float(b - a) for a, b in pairwise(own) if b != a]
        counts = quantity in COUNTERS
        if len(steps) < (SHAPE_SAMPLES if counts else POWER_STEPS):
            continue
        if len(set(steps)) >= COUNTER_VALUES if counts else len(set(own)) >= POWER_VALUES:
            found.add(hashlib.sha256(f"{quantity}{steps!r}".encode()).hexdigest())
    return tuple(sorted(found))


def shape(samples: Sequence[Sample]) -> str | None:
    counters: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for s in samples:
        if s.quantity in COUNTERS:
            counters[s[1:4]].append(s.value)
    steps = {
        key: [b - a for a, b in pairwise(values) if b != a] for key, values in counters.items()
    }
    if not any(len(each) >= SHAPE_SAMPLES for each in steps.values()):
        return None
    # CPU time comes in uneven nanoseconds: no two honest runs have the same steps of it.
    text = repr(sorted(steps.items()))
    return hashlib.sha256(text.encode()).hexdigest()


Firsts = Mapping[tuple[int, int, str], int]
"""Block, pass and arm → number of the first attempt, whether it has a record or failed."""


def firsts_of(outcomes: Iterable[Outcome]) -> Firsts:
    firsts: dict[tuple[int, int, str], int] = {}
    for o in outcomes:
        key = (o.block, o.block_pass, o.arm_id)
        firsts[key] = min(firsts.get(key, o.attempt), o.attempt)
    return firsts


def across(
    runs: Sequence[Traits], lock: Lock | None = None, firsts: Firsts | None = None
) -> Iterator[tuple[str, str, Traits]]:
    """Rule, detail and run: where runs of one campaign have one trace, lie over each other, were
    not made in the order that was drawn for them, or their clocks do not go together. ``firsts``:
    where it is not given, all attempts are taken to be among the runs."""
    yield from _same(runs, "trace_repeated", lambda t: (t.trace_sha256,))
    # A run's own series are known again though another beside them was changed.
    yield from _same(
        runs,
        "trace_shape_repeated",
        lambda t: (*(() if t.shape_sha256 is None else (t.shape_sha256,)), *t.series),
    )
    yield from _overlapping(runs)
    yield from _clocks(runs)
    if lock is not None:
        yield from _disordered(runs, lock.seed, firsts or {})


def _same(
    runs: Sequence[Traits], rule: str, of_run: Callable[[Traits], Iterable[str]]
) -> Iterator[tuple[str, str, Traits]]:
    """Each run that has what one before it has, once."""
    first: dict[str, Traits] = {}
    for t in runs:
        before = [first.setdefault(key, t) for key in of_run(t)]
        other = next((b for b in before if b is not t), None)
        if other is not None:
            yield rule, f"as that of block {other.block}, attempt {other.attempt}", t


def _disordered(
    runs: Sequence[Traits], seed: int, firsts: Firsts
) -> Iterator[tuple[str, str, Traits]]:
    """Of the first attempts of a pass; what is repeated, after a failure too, comes when it
    comes."""
    passes: dict[tuple[int, int], dict[str, Traits]] = defaultdict(dict)
    for t in sorted(runs, key=lambda t: (t.attempt, _time(t.started_at))):
        if t.attempt == firsts.get((t.block, t.block_pass, t.arm_id), t.attempt):
            passes[t.block, t.block_pass].setdefault(t.arm_id, t)
    for (block, block_pass), first in passes.items():
        made = sorted(first, key=lambda arm: _time(first[arm].started_at))
        drawn = order(seed, block, block_pass, made)
        if made != drawn:
            at = next(i for i, (a, b) in enumerate(zip(made, drawn, strict=True)) if a != b)
            yield "arms_not_in_order", f"arm {drawn[at][:12]} was due", first[made[at]]


def _overlapping(runs: Sequence[Traits]) -> Iterator[tuple[str, str, Traits]]:
    """Runs on one device set one after the other; those of one machine's parallel blocks are on
    different ones."""
    groups: dict[tuple[str, tuple[str, ...]], list[Traits]] = defaultdict(list)
    for t in runs:
        groups[t.boot_id, t.device_set].append(t)
    for members in groups.values():
        spans = sorted(members, key=lambda t: _time(t.started_at))
        for a, b in pairwise(spans):
            if _time(b.started_at) < _time(a.ended_at) - SLACK_S:
                yield "runs_overlap", f"it began before block {a.block}'s run had ended", b


def _clocks(runs: Sequence[Traits]) -> Iterator[tuple[str, str, Traits]]:
    """Within one boot the wall clock runs ahead of the monotonic one while the machine sleeps, and
    never falls behind it."""
    boots: dict[str, list[Traits]] = defaultdict(list)
    for t in runs:
        if t.begin_ns is not None:
            boots[t.boot_id].append(t)
    for members in boots.values():
        most = -math.inf
        for t in sorted(members, key=lambda t: _time(t.started_at)):
            assert t.begin_ns is not None
            ahead_s = _time(t.started_at) + t.load_s - t.begin_ns / 1e9
            if ahead_s < most - CLOCKS_AGREE_S:
                yield "clocks_disagree", f"{ahead_s - most:.0f} s against an earlier run", t
            most = max(most, ahead_s)


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
