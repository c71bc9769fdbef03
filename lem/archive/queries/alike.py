"""Whose measured power may stand for that of an experiment, and how far it may be off."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from lem.archive.columns import Columns, Floats, Mask
from lem.archive.schema import CONFIG
from lem.campaign.devices import gpus_needed
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.contract.spec import Experiment
from lem.errors import LemError
from lem.everyday.ranges import Range

ALIKE_OFF_BY = 0.1
"""How far, of its middle, power may be off at least that is of the same model and software, batch
size and power limit."""
OTHER_OFF_BY = 0.5
"""The same of anything else that was measured on as many devices of the kind."""
NO_U_OFF_BY = 0.3
"""The same at least where no interval of it is known."""
MOST_LIMITS = 2000
"""Of so many configurations at most, the newest, it is looked up what power limit they ask for."""


class Arm(NamedTuple):
    """An experiment, as far as its power and energy depend on it."""

    model: str
    backend: str
    gpus: int | None
    """That it uses; None: all that it is given, however many those are."""
    batch: int | None
    limit_w: float | None
    """The power limit that it asks for."""
    least_s: float
    """Of all its runs, as far as their power at work is sure to be drawn."""
    most_s: float
    """Of all its runs, and of those that may follow."""


def arm_of(experiment: Experiment, least_s: float, most_s: float) -> Arm:
    try:
        gpus = gpus_needed(experiment.backend, experiment.engine, experiment.args)
    except LemError:
        gpus = None
    batch = experiment.engine.get("max_batch_size")
    return Arm(
        model=experiment.model.id,
        backend=experiment.backend,
        gpus=gpus,
        batch=batch if isinstance(batch, int) else None,
        limit_w=experiment.device.power_limit_w,
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


def alike(
    connection: sa.Connection, board: Columns, arms: Sequence[Arm], same: Sequence[Mask]
) -> list[Mask]:
    """For each arm those of its model and software (``same``) that have its batch size and ask for
    its power limit."""
    batch = [
        rows & where(board, "max_batch_size", a.batch) for a, rows in zip(arms, same, strict=True)
    ]
    rows = np.flatnonzero(np.logical_or.reduce([np.zeros(len(board), dtype=bool), *batch]))
    rows = rows[np.argsort(board.texts["last_at"][rows], kind="stable")[::-1]][:MOST_LIMITS]
    limit = CONFIG.c.experiment[("device", "power_limit_w")].as_float()
    ids = board.numbers["config_id"][rows].tolist()
    asked = sa.select(CONFIG.c.id, limit).where(CONFIG.c.id.in_(ids))
    limits = {row[0]: row[1] for row in connection.execute(asked)} if ids else {}
    found = []
    for arm, own in zip(arms, batch, strict=True):
        fits = np.zeros(len(board), dtype=bool)
        fits[rows] = [limits.get(i, -1.0) == arm.limit_w for i in ids]
        found.append(own & fits)
    return found
