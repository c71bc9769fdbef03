"""What a counter's increments during a piece of work say of the counter itself. Pure.

``values``: what it stood at at its n-th tick (:func:`lem.meters.energy.grid.values`), in any unit,
turned so that it rises with n.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from itertools import groupby, pairwise
from statistics import median

LEAST_CHANGES = 6
FEW_CHANGES = 2.5
"""From so many changes a scatter is told; and how much it is enlarged because they are few: with
six, which stand for four degrees of freedom, twice (χ²: enough in nine of ten cases)."""
STRIDES = (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32)
"""Changes are taken over so many ticks: noise that lasts longer than one shows over several, and of
a fast counter regular readings see only every so manieth."""

STANDS_OUT = 0.1
"""By more than this, relatively, an increment has to differ from those around it, which differ by
less among themselves."""
WORKING = 1.3
"""A level this far above that at rest is work's."""
MOST_ODD = 10
"""More that stand out are the work's own doing."""
LONGEST = 4
"""A counter that stands still for more ticks than this has stopped."""
DEAD = 0.5
"""A board that works draws more than this part of what it draws at rest."""


def scatter(values: Mapping[int, float], ticks: float) -> float:
    """What noise of its increments can have added to the counter over so many ticks at most (k =
    1): as much as they were seen to change from one to the next (von Neumann's mean square
    successive difference), or over several, whichever makes more of it, enlarged for how few they
    were. Infinite where that was not seen."""
    known = max(values, default=0) - min(values, default=0)
    found = []
    for stride in STRIDES:
        changes = [
            values[n] - 2 * values[n + stride] + values[n + 2 * stride]
            for n in values
            if n + stride in values and n + 2 * stride in values
        ]
        # Changes that overlap say the same thing several times.
        most = known / stride - 1
        of_their_own = min(len(changes), most)
        if of_their_own >= LEAST_CHANGES and 2 * of_their_own >= most:
            spread = math.sqrt(sum(c * c for c in changes) / (2 * len(changes)))
            enlarged = (1 + FEW_CHANGES / math.sqrt(of_their_own)) * spread
            found.append(enlarged * math.sqrt(ticks / stride + 1))
    return max(found, default=math.inf)


def odd(values: Mapping[int, float], rest: float, quantum: float) -> dict[int, float]:
    """Increments that the work can hardly have caused: tick → by how much one differs from what
    those around it make likely.

    ``rest``: rise per tick at rest; ``quantum``: the counter's smallest step. Two kinds: less than
    half of what the board draws at rest (it stood still for a moment, or fell by less than it
    rose); and, amid even work, one or two that stand out from both sides. That may be the counter
    or a moment of another power: nothing tells which.
    """
    ns = sorted(values)
    laps = [b - a for a, b in pairwise(ns)]
    rises = [(values[b] - values[a]) / lap for (a, b), lap in zip(pairwise(ns), laps, strict=True)]
    dead = [r < DEAD * rest - quantum / lap for r, lap in zip(rises, laps, strict=True)]
    for low, run in groupby(range(len(rises)), dead.__getitem__):
        members = list(run)
        if low and sum(laps[i] for i in members) > LONGEST:
            # For so long it is another level of idle, or a freeze that others look for.
            for i in members:
                dead[i] = False
    alive = [i for i, d in enumerate(dead) if not d]
    found: dict[int, float] = {}
    standing_out: dict[int, float] = {}
    for i, rise in enumerate(rises):
        j, k = bisect_left(alive, i), bisect_right(alive, i)
        around = [rises[n] for n in (*alive[max(0, j - 2) : j], *alive[k : k + 2])]
        if not around:
            continue
        # How much of a stall was work is not known: at most all of it.
        level = max(around) if dead[i] else median(around)
        off = abs(rise - level)
        if off * laps[i] <= max(STANDS_OUT * level * laps[i], 3 * quantum):
            continue
        if dead[i]:
            found[ns[i]] = off * laps[i]
        elif (
            len(around) == 4
            and level > WORKING * rest
            and max(around) - min(around) < STANDS_OUT * level
        ):
            standing_out[ns[i]] = off * laps[i]
    working = [r for r in rises if r > WORKING * rest]
    changes = [abs(b - a) for a, b in pairwise(working)]
    # Work that is uneven everywhere has nothing that stands out.
    uneven = bool(changes) and median(changes) > STANDS_OUT / 2 * median(working)
    return found if uneven or len(standing_out) > MOST_ODD else found | standing_out
