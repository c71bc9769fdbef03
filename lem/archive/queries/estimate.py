"""What a campaign would take, before anybody runs it: runs, time, and energy as ranges.

None of it is a measurement. The time of a run is what runs of the same model, software and work
took, or a rough guess (``durations.py``). The energy is that time × the mean power that others
measured of the same software on one kind of device.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import sqlalchemy as sa

from lem.archive.columns import Columns, columns
from lem.archive.queries.alike import (
    CORE_OFF_BY,
    GPU_MOST_W,
    RESTING,
    Arm,
    Kind,
    alike,
    arm_of,
    on_cpu,
    power_for,
    power_of,
    rows_of,
    where,
)
from lem.archive.queries.answer import Shape
from lem.archive.queries.durations import times
from lem.campaign.generations import still_to_choose
from lem.campaign.lock import make_lock, provisional_staging
from lem.campaign.overview import lengths
from lem.campaign.plan import Here, plan
from lem.config import CampaignFile
from lem.contract.lock import Lock, Overrides
from lem.everyday import factors
from lem.everyday.ranges import Range
from lem.everyday.terms import JOULES_PER_KWH

MOST_DEVICES = 6
PRICE = "eu-business"
"""That the page of everyday terms begins with."""
GPU_ASSUMED = "700 W, the power limit that an NVIDIA H200 states"


class Span(Shape):
    low: float
    high: float


class Price(Shape):
    """Of a kWh."""

    id: str
    name: str
    low: float
    high: float
    currency: str
    assumption: str
    source: str
    url: str
    year: int
    licence: str


class EstimatedEnergy(Shape):
    """On one kind of device; or, where nothing like it was measured, by an assumption."""

    basis: Literal["archive", "assumed"]
    device_model: str | None = None
    device_count: int | None = None
    """None where the experiments' power is of different numbers of devices."""
    energy_class: str | None = None
    """What the power is of; ``estimated`` was itself no measurement."""
    configurations: int = 0
    """Whose mean power this is from."""
    same: int = 0
    """Experiments of whose model and software there is some on this device."""
    same_backend: int = 0
    """Of whose software there is some, with other models."""
    others: int = 0
    """That take the power of whatever else was measured on it."""
    power_w: Span
    """At work; the mean of the experiments."""
    energy_j: Span
    """From the least time, of which loading and rest at a fifth of the least power, to the longest
    time at the most power."""
    cost: Span
    assumption: str | None = None
    """In words."""


class Estimate(Shape):
    runs: int
    """That are sure to be made, unless a time budget ends it."""
    blocks: int
    """How often each experiment is run."""
    most_blocks: int | None
    """More may follow the first ``blocks``, up to these; None: there are as many as that."""
    why_blocks: str
    seconds: Span
    """For ``runs``, within the time budget."""
    most_seconds: Span
    """With ``most_blocks``."""
    basis: str
    """Where the time is from, in words."""
    time_budget_s: float | None
    to_choose: int
    """Experiments that are chosen while it runs: in neither the runs nor the rest."""
    energy: list[EstimatedEnergy]
    """The device first of which most is known, at most 6; empty where even an assumption lacks what
    it needs."""
    why_no_energy: str | None
    price: Price


class Counted(NamedTuple):
    """What energy is counted of, and its price."""

    arms: list[Arm]
    longest_s: float
    """Of all together; less than the sum of each where a time budget ends them."""
    price: Price
    core_w: float
    """That a busy processor core is taken to draw."""


def locked(campaign: CampaignFile) -> Lock:
    """The campaign as it would be begun, with what staging finds left open. Raises
    :class:`BadInput` where two experiments are the same."""
    launchers = {i: d.launcher or "docker" for i, d in enumerate(campaign.drafts)}
    return make_lock(campaign, provisional_staging(campaign), Overrides(), launchers, [], [])


def estimate(connection: sa.Connection, lock: Lock, cpu_only: bool) -> Estimate:
    """``cpu_only``: whether the campaign says that it uses no GPU."""
    todo = plan(lock, [], Here(now=lock.created_at, boot_id="", device_set=()))
    most_blocks = None if todo.decision.final else lock.max_blocks
    more = max(1.0, (most_blocks or todo.blocks) / todo.blocks) if todo.blocks else 1.0
    board = columns(connection)
    run_s, basis = times(connection, board, lock)
    runs = Counter(r.arm_id for r in todo.runs)
    of_arm = [each * runs[a.arm_id] for a, each in zip(lock.arms, run_s, strict=True)]
    whole = _sum(of_arm)
    block = whole * (1 / max(1, todo.blocks))
    seconds = _within(lock.time_budget_s, whole, block)
    most = _within(lock.time_budget_s, whole * more, block)
    work_s = lengths(lock).work_s
    share = seconds.low / whole.low if whole.low > 0 else 1.0
    arms = []
    for arm, took in zip(lock.arms, of_arm, strict=True):
        at_work_s = min(took.low, work_s * runs[arm.arm_id])
        least_s = share * (at_work_s + RESTING * (took.low - at_work_s))
        arms.append(arm_of(arm.experiment, least_s, took.high * more))
    counted = Counted(arms, most.high, _price(), lock.measure.watts_per_busy_core)
    found = _measured_power(connection, board, counted, cpu_only)
    why = None
    if not found:
        assumed = _assumed(lock, counted, cpu_only)
        found = [] if assumed is None else [assumed]
        why = None if assumed is not None else _WHY[cpu_only]
    return Estimate(
        runs=len(todo.runs),
        blocks=todo.blocks,
        most_blocks=most_blocks,
        why_blocks=todo.decision.reason,
        seconds=_said(seconds),
        most_seconds=_said(most),
        basis=basis,
        time_budget_s=lock.time_budget_s,
        to_choose=still_to_choose(lock),
        energy=found,
        why_no_energy=why,
        price=counted.price,
    )


_WHY = {
    True: "nothing like it was measured, and the file does not say how many processor cores work",
    False: "nothing like it was measured, and an experiment takes all the GPUs that there are",
}


def _within(budget_s: float | None, seconds: Range, block: Range) -> Range:
    """Fewer blocks are run where all do not fit, but one of them in any case. None is begun that
    does not fit any more, so that up to the time of one is left over."""
    if budget_s is None:
        return seconds
    return Range(
        min(seconds.low, max(block.low, budget_s - block.high)),
        max(min(seconds.high, budget_s), block.high),
    )


def _price() -> Price:
    found = factors.prices()[PRICE]
    return Price(
        id=found.id,
        name=found.name,
        low=found.range.low,
        high=found.range.high,
        currency=found.currency,
        assumption=found.assumption,
        source=found.source.name,
        url=found.source.url,
        year=found.source.year,
        licence=found.source.licence,
    )


def _measured_power(
    connection: sa.Connection, board: Columns, counted: Counted, cpu_only: bool
) -> list[EstimatedEnergy]:
    """For each kind of device that has something of every experiment on as many of them: the power
    of those alike."""
    power, arms = power_of(board), counted.arms
    of_model = {m: rows_of(board, power, "model", m) for m in {a.model for a in arms}}
    of_backend = {b: rows_of(board, power, "backend", b) for b in {a.backend for a in arms}}
    there = np.logical_or.reduce([np.zeros(len(board), dtype=bool), *of_backend.values()])
    usable = power.known
    if cpu_only:
        usable = usable & on_cpu(board)
    of_count = {
        n: usable if n is None or cpu_only else usable & where(board, "device_count", n)
        for n in {a.gpus for a in arms}
    }
    same = [of_backend[a.backend] & of_model[a.model] & of_count[a.gpus] for a in arms]
    nearest_of = alike(connection, board, arms, same)
    names = ("device_model", "energy_class")
    codes = [board.coded[n].codes for n in names]
    kinds = np.unique(np.stack([c[there & usable] for c in codes]), axis=1).T.tolist()
    found = []
    for code in kinds:
        here = np.logical_and.reduce([c == k for c, k in zip(codes, code, strict=True)])
        device, energy_class = (board.coded[n].values[k] for n, k in zip(names, code, strict=True))
        kind = Kind(str(device), str(energy_class), counted.core_w)
        tally = [0, 0, 0]
        used = np.zeros(len(board), dtype=bool)
        powers = []
        for arm, own, nearest in zip(arms, same, nearest_of, strict=True):
            fit = here & of_count[arm.gpus]
            levels = (here & own, fit & of_backend[arm.backend], fit)
            level = next((i for i, rows in enumerate(levels) if rows.any()), None)
            if level is None:
                break
            rows, found_w = power_for(board, power, levels[level], arm, nearest, kind)
            tally[level] += 1
            used |= rows
            powers.append(found_w)
        if len(powers) < len(arms):
            continue
        counts = [n for n, _ in board.coded["device_count"].counts(used)]
        found.append(
            EstimatedEnergy(
                basis="archive",
                device_model=kind.device_model,
                device_count=int(counts[0] or 1) if len(counts) == 1 else None,
                energy_class=kind.energy_class,
                configurations=int(used.sum()),
                same=tally[0],
                same_backend=tally[1],
                others=tally[2],
                **_spent(powers, counted),
            )
        )
    found.sort(key=lambda e: (-e.same, -e.same_backend, -e.configurations, e.device_model or ""))
    return found[:MOST_DEVICES]


def _assumed(lock: Lock, counted: Counted, cpu_only: bool) -> EstimatedEnergy | None:
    """None where it is said to run on the CPU alone, but not on how many cores, or on however many
    GPUs there are."""
    core = counted.core_w
    threads = [a.experiment.engine.get("threads") for a in lock.arms]
    cores = [int(t) for t in threads if isinstance(t, int)]
    if cpu_only and len(cores) < len(threads):
        return None
    least = (1 - CORE_OFF_BY) * core * (min(cores) if cpu_only else 1)
    per_core = f"{core:g} W ± {100 * CORE_OFF_BY:g} % for each busy processor core"
    if cpu_only:
        mean = Range(least, (1 + CORE_OFF_BY) * core * max(cores))
        words = f"{per_core}, {_span(min(cores), max(cores))} of them"
    else:
        needed = [a.gpus for a in counted.arms]
        if None in needed:
            return None
        gpus = max(1, *(n or 1 for n in needed))
        mean = Range(least, GPU_MOST_W * gpus)
        each = "" if gpus == 1 else f" for each of {gpus} GPUs"
        words = f"from one busy processor core ({per_core}) to {GPU_ASSUMED}{each}"
    return EstimatedEnergy(
        basis="assumed",
        assumption=words,
        others=len(counted.arms),
        **_spent([mean] * len(counted.arms), counted),
    )


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _spent(powers: Sequence[Range], counted: Counted) -> dict[str, Any]:
    each = list(zip(powers, counted.arms, strict=True))
    low = math.fsum(w.low * a.least_s for w, a in each)
    high = math.fsum(w.high * a.most_s for w, a in each)
    energy = Range(low, min(high, max(w.high for w in powers) * counted.longest_s)).outward()
    price = counted.price
    cost = energy * Range(price.low, price.high) * (1 / JOULES_PER_KWH)
    return {
        "power_w": _said((_sum(powers) * (1 / len(powers))).outward()),
        "energy_j": _said(energy),
        "cost": _said(cost.outward()),
    }


def _sum(ranges: Sequence[Range]) -> Range:
    return Range(math.fsum(r.low for r in ranges), math.fsum(r.high for r in ranges))


def _said(found: Range) -> Span:
    assert math.isfinite(found.high)
    return Span(low=found.low, high=found.high)
