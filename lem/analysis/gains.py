"""What is left of the boards' gains in a ratio between arms on different boards. Pure.

A board's counter reads (1 + e) times the energy, with e of 3.4 % RMS over boards and the same in
every run. Between two runs on one board it cancels. Arm A with the share a of its energy on board
i, and the baseline with the share b: to first order the log-ratio is off by the sum of (a − b)·e
over all boards. Arms on 1 and on 2 of the same boards: ½·e0 − ½·e1.

How the boards of a machine go together is not known, but what they have in common (their kind, the
design of the sensor) makes errors alike, not opposite: a correlation between 0 and 1. The variance
of the sum is then between that of independent boards and that of one error in all, and the larger
of the two is taken. Equal boards: that of independent ones, because all (a − b) add up to 0.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

from lem.contract.metrics import METRICS
from lem.stores.rows import Row

LEAST = 1e-5
"""A smaller standard uncertainty of a log-ratio is none: shares of the same boards scatter a
little."""


def has_gain(metric: str) -> bool:
    """Whether it is an energy or a power, read by the devices of a class."""
    about = METRICS.get(metric)  # the NLL is none of them
    return about is not None and about.shape == "by_class" and metric.endswith(("_j", "_w"))


def shared_log(
    own: Mapping[int, Row], base: Mapping[int, Row], metric: str, device_class: str
) -> float:
    """Standard uncertainty that the gains of boards give an arm's mean log-ratio to the baseline.

    ``own``, ``base``: block → the run that counts, of the arm and of the baseline. Where they have
    no block in common each is taken by itself: they are compared through a third arm, the same for
    both. 0 where both ran on the same devices alike, or nothing is stated of their gains.
    """
    if not has_gain(metric):
        return 0.0
    both = own.keys() & base.keys()
    contrast: dict[str, float] = defaultdict(float)
    for sign, rows in ((1, own), (-1, base)):
        taken = [r for b, r in rows.items() if b in both or not both]
        for row in taken:
            for device, share in row.shares.get(device_class, {}).items():
                contrast[device] += sign * share.energy * share.gain / len(taken)
    apart = math.hypot(*contrast.values())
    together = abs(math.fsum(contrast.values()))
    u = max(apart, together)
    return u if u > LEAST else 0.0


def gains_of(
    arms: Sequence[Mapping[int, Row]], metric: str, device_class: str
) -> list[list[list[float]]]:
    """What the gains of boards may do to the mean logarithm of each arm: two tables with a row for
    each arm. Its logarithm is off by the row times independent standard normal numbers, one for
    each column: a board each, or one error that all boards have in common.

    ``arms``: block → the run that counts. Empty where nothing is stated of gains.
    """
    if not has_gain(metric):
        return []
    weights: list[dict[str, float]] = []
    for rows in arms:
        own: dict[str, float] = defaultdict(float)
        for row in rows.values():
            for device, share in row.shares.get(device_class, {}).items():
                own[device] += share.energy * share.gain / len(rows)
        weights.append(own)
    devices = sorted({d for own in weights for d in own})
    if not devices:
        return []
    apart = [[own.get(d, 0.0) for d in devices] for own in weights]
    return [apart, [[math.fsum(row)] for row in apart]]
