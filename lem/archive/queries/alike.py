"""Whose measured power may stand for that of an experiment, and how far it may be off."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from lem.archive.columns import Columns, Floats, Mask
from lem.archive.rows import settings_of, work_of
from lem.archive.schema import CONFIG
from lem.campaign.devices import gpus_needed
from lem.contract.base import Scalar
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.contract.spec import Experiment
from lem.errors import LemError
from lem.everyday.ranges import Range

ALIKE_OFF_BY = 0.1
"""How far, of its middle, power may be off at least that is of the same model, software, settings
and work."""
OTHER_OFF_BY = 0.5
"""The same of anything else under the same load, on as many devices of the kind; on a processor of
the same model and software, on as many threads."""
RESTING = 0.2
"""While a run loads, warms up and rests, it is taken to draw from this share of its power at work
up to all of it. So is work under another load."""
NO_U_OFF_BY = 0.3
"""The same at least where no interval of it is known."""
CORE_OFF_BY = 0.5
"""How far the assumed power of a busy core may be off, as estimates of energy state it."""
GPU_MOST_W = 700.0
"""The power limit that an NVIDIA H200 states."""
MOST_LOOKED_UP = 2000
"""Of so many configurations at most, the newest, it is looked up what power limit and how many
threads they ask for."""


class Arm(NamedTuple):
    """An experiment, as far as its power and energy depend on it."""

    model: str
    backend: str
    gpus: int | None
    """That it uses; None: all that it is given, however many those are."""
    settings: Mapping[str, Scalar | None]
    work: Mapping[str, Scalar | None]
    """Both as columns of the board say it."""
    limit_w: float | None
    """The power limit that it asks for."""
    threads: int | None
    least_s: float
    """Of all its runs, as far as their power at work is sure to be drawn."""
    most_s: float
    """Of all its runs, and of those that may follow."""


def arm_of(experiment: Experiment, least_s: float, most_s: float) -> Arm:
    try:
        gpus = gpus_needed(experiment.backend, experiment.engine, experiment.args)
    except LemError:
        gpus = None
    threads = experiment.engine.get("threads")
    return Arm(
        model=experiment.model.id,
        backend=experiment.backend,
        gpus=gpus,
        settings=settings_of(experiment),
        work=work_of(experiment),
        limit_w=experiment.device.power_limit_w,
        threads=threads if isinstance(threads, int) else None,
        least_s=least_s,
        most_s=most_s,
    )


class Power(NamedTuple):
    """Of each configuration on the board; NaN where there is none."""

    mean: Floats
    u: Floats
    known: Mask
    certain: Mask
    """Whose U is known and smaller than the value itself."""

    def of(self, rows: Mask, off_by: float) -> Range:
        """Over all of these, and at least so wide."""
        if (rows & self.certain).any():
            # An interval down to nothing would say no more of the others.
            rows = rows & self.certain
        if not np.isfinite(self.u[rows]).all():
            off_by = max(off_by, NO_U_OFF_BY)
        mean, u = self.mean[rows], np.nan_to_num(self.u[rows])
        low, high = max(0.0, float((mean - u).min())), float((mean + u).max())
        middle = (low + high) / 2
        return Range(min(low, (1 - off_by) * middle), max(high, (1 + off_by) * middle))


def power_of(board: Columns) -> Power:
    mean = board.figure("mean", "mean_power_w", 0)
    u = board.figure("expanded", "mean_power_w", 0)
    semantics = board.numbers["semantics_version"] == METRIC_SEMANTICS_VERSION
    known = np.isfinite(mean) & (mean > 0) & semantics
    return Power(mean, u, known, known & (u > 0) & (u < mean))


def rows_of(board: Columns, power: Power, dimension: str, wanted: str) -> Mask:
    return power.known & where(board, dimension, wanted)


def where(board: Columns, dimension: str, wanted: object) -> Mask:
    return board.coded[dimension].are(lambda value: value == wanted)


def on_cpu(board: Columns) -> Mask:
    """The rows of runs without a GPU, by their energy's class or their device's name."""
    of_cpu = board.coded["energy_class"].are(lambda value: value in ("cpu", "estimated"))
    of_gpu = where(board, "energy_class", "gpu")
    cpu_named = board.coded["device_model"].are(lambda value: str(value).endswith(" CPUs)"))
    found: Mask = of_cpu | (cpu_named & ~of_gpu)
    return found


class Alike(NamedTuple):
    """Of one experiment."""

    all: Mask
    """Of its model and software, with its settings, power limit and threads, and its work."""
    load: Mask
    """Of anything, where requests come as they come here."""
    threads: Mask
    """Of its model and software, with as many threads."""


def alike(
    connection: sa.Connection, board: Columns, arms: Sequence[Arm], same: Sequence[Mask]
) -> list[Alike]:
    """For each arm what is alike. ``same``: those of its model and software."""
    rows = np.flatnonzero(np.logical_or.reduce([np.zeros(len(board), dtype=bool), *same]))
    rows = rows[np.argsort(board.texts["last_at"][rows], kind="stable")[::-1]][:MOST_LOOKED_UP]
    limit = CONFIG.c.experiment[("device", "power_limit_w")].as_float()
    threads = CONFIG.c.experiment[("engine", "threads")].as_float()
    ids = board.numbers["config_id"][rows].tolist()
    query = sa.select(CONFIG.c.id, limit, threads).where(CONFIG.c.id.in_(ids))
    asked = {row[0]: (row[1], row[2]) for row in connection.execute(query)} if ids else {}
    found = []
    for arm, own in zip(arms, same, strict=True):
        limited, threaded = np.zeros((2, len(board)), dtype=bool)
        limited[rows] = [i in asked and asked[i][0] == arm.limit_w for i in ids]
        threaded[rows] = [i in asked and asked[i][1] == arm.threads for i in ids]
        threaded &= own
        load = all_of(board, {k: arm.work[k] for k in ("arrival", "load")})
        rest = all_of(board, {**arm.settings, **arm.work})
        found.append(Alike(threaded & limited & rest, load, threaded))
    return found


def all_of(board: Columns, wanted: Mapping[str, object]) -> Mask:
    """The rows that have all of these."""
    every: Mask = np.ones(len(board), dtype=bool)
    for dimension, value in wanted.items():
        every = every & where(board, dimension, value)
    return every


class Kind(NamedTuple):
    """Of device, and what is measured of it."""

    device_model: str
    energy_class: str
    core_w: float
    """That a busy processor core is taken to draw."""

    @property
    def is_processor(self) -> bool:
        return self.energy_class in ("cpu", "estimated")

    def most_w(self, arm: Arm, counts: Sequence[int]) -> float | None:
        """That it is taken to draw at work; None where nothing tells. ``counts``: of how many
        devices what was measured is."""
        if self.energy_class == "gpu":
            return GPU_MOST_W * (arm.gpus or max(counts))
        cores = re.search(r" \((\d+) CPUs\)$", self.device_model)
        n = arm.threads or (int(cores[1]) if cores else None)
        if not self.is_processor or n is None:
            return None
        return (1 + CORE_OFF_BY) * self.core_w * n


def power_for(
    board: Columns, power: Power, rows: Mask, arm: Arm, likeness: Alike, kind: Kind
) -> tuple[Mask, Range]:
    """The power at work of an experiment, and of which of ``rows`` it is, some of which there are:
    those most like it."""
    nearest = rows & likeness.all
    if nearest.any():
        return nearest, power.of(nearest, ALIKE_OFF_BY)
    steady = rows & likeness.load
    if kind.is_processor:
        steady = steady & likeness.threads
    if steady.any():
        return steady, power.of(steady, OTHER_OFF_BY)
    found = power.of(rows, OTHER_OFF_BY)
    counts = [int(n or 1) for n, _ in board.coded["device_count"].counts(rows)]
    most_w = kind.most_w(arm, counts) or found.high / RESTING
    return rows, Range(RESTING * found.low, max(found.high, most_w))
