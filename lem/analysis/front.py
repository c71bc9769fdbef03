"""The Pareto front of a campaign: arms that no other beats in everything.

Figures are uncertain, so there are three answers. An arm is *dominated* only where another is
better beyond uncertainty in one objective and, in each other one, better too or shown to be not
worse by more than the campaign's margin. It is *on the front* where none is ahead in all, by the
means of ratios within blocks. Between the two it cannot be told.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

from lem.analysis.answering import check_alike
from lem.analysis.gains import shared_log
from lem.analysis.gathered import Gathered
from lem.analysis.objectives import GOODPUT, PER_GOOD, got_nothing, key_of
from lem.analysis.places import of_these
from lem.analysis.quantities import Quantity, quantity_of
from lem.analysis.text import about
from lem.contract.objectives import NLL, Objective, objective
from lem.errors import BadInput
from lem.stats import Absolute
from lem.stats.pairs import Beside, beside

State = Literal["front", "cannot_tell", "dominated"]
SAME_WITHIN = 0.02
LEVEL = 0.95
NAMED = 5
"""Of more arms that are kept off the front, the number."""


@dataclass(frozen=True)
class FrontPoint:
    arm_id: str
    name: str
    settings: dict[str, Any]
    blocks: int
    x: Absolute
    y: Absolute
    state: State
    by: str | None
    """The arm that dominates it, or (cannot tell) whose means are better in all: its name."""


@dataclass(frozen=True)
class Front:
    campaign: str
    hardware: str
    x: Quantity
    y: Quantity
    points: tuple[FrontPoint, ...]
    """Sorted by x, the better first."""
    left_out: tuple[str, ...]
    """Names of arms without these figures, or with one of 0 or less, which has no logarithm."""
    got_nothing: tuple[str, ...]
    """In words, arms that are kept off the front because they had nothing of what is to be raised
    in some blocks: ``batch size 8 (goodput is 0 in 3 of 5 blocks)``."""
    margin: float
    level: float
    """Confidence that an arm is not called dominated by mistake, over all others."""
    unfinished: str
    sentences: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        for axis in ("x", "y"):
            quantity: Quantity = getattr(self, axis)
            document[axis] = {"key": quantity.key, **asdict(quantity)}
        return {"schema_version": 1, **document}


def front(
    gathered: Gathered,
    x: str = "latency",
    y: str = "energy",
    margin: float | None = None,
    reference: str | None = None,
) -> Front:
    """The arms by two objectives (``lem.contract.objectives``). ``reference``: the arm that runs
    in every block, where others were chosen while the campaign ran.

    Raises :class:`BadInput` where fewer than two arms have both figures.
    """
    margin = SAME_WITHIN if margin is None else margin
    axes = []
    for name in (x, y):
        try:
            wanted = objective(name)
        except ValueError as e:
            raise BadInput(str(e)) from None
        axes.append((wanted, *key_of(wanted, gathered.rows)))
    for _, metric, _ in axes:
        check_alike(gathered.rows, metric)
    if axes[0][1:] == axes[1][1:]:
        raise BadInput("--x and --y name the same figure")
    figures = {
        a.arm_id: [gathered.absolute(a.arm_id, m, p) for _, m, p in axes] for a in gathered.arms
    }
    nothing = _nothing(gathered, axes)
    kept = [
        a
        for a in figures
        if a not in nothing and all(gathered.positive(a, m, p) for _, m, p in axes)
    ]
    if not kept or len(kept) + len(nothing) < 2:
        why = "".join(f"; {gathered.names[a]}: {said}" for a, said in nothing.items())
        raise BadInput(f"fewer than two arms have both {axes[0][1]} and {axes[1][1]}{why}")
    tables = [{a: gathered.table(m, p)[a] for a in kept} for _, m, p in axes]
    spreads = [gathered.places.of(m, p) for _, m, p in axes]
    places = [None if s is None else s.of_block for s in spreads]
    level = 1 - (1 - LEVEL) / len(axes)
    beaten: dict[str, tuple[State, list[str]]] = {}
    for arm in kept:
        sides = [
            _with_gains(
                gathered,
                (m, p),
                arm,
                beside(t, arm, reference if reference in kept else None, level, on),
                level,
            )
            for (_, m, p), t, on in zip(axes, tables, places, strict=True)
        ]
        beaten[arm] = _state([o for o, _, _ in axes], sides, margin)
    by_id = {a.arm_id: a for a in gathered.arms}
    points = []
    for arm in kept:
        state, ahead = beaten[arm]
        # Of all that are ahead, one that is on the front itself says most.
        by = next((a for a in ahead if beaten[a][0] == "front"), ahead[0] if ahead else None)
        fx, fy = figures[arm]
        assert fx is not None and fy is not None
        points.append(
            FrontPoint(
                arm_id=arm,
                name=gathered.names[arm],
                settings=dict(by_id[arm].settings),
                blocks=len(gathered.runs[arm]),
                x=fx,
                y=fy,
                state=state,
                by=None if by is None else gathered.names[by],
            )
        )
    sign = -1 if axes[0][0].higher_is_better else 1
    points.sort(key=lambda p: sign * p.x.mean)
    found = [quantity_of(m, p) for _, m, p in axes]
    off = tuple(f"{gathered.names[a]} ({said})" for a, said in nothing.items())
    return Front(
        campaign=gathered.campaign,
        hardware=gathered.hardware,
        x=found[0],
        y=found[1],
        points=tuple(points),
        left_out=tuple(gathered.names[a] for a in figures if a not in kept and a not in nothing),
        got_nothing=off,
        margin=margin,
        level=LEVEL,
        unfinished=gathered.unfinished,
        sentences=(
            *_sentences(points, found, gathered.unfinished, off),
            *of_these(spreads, "the front is"),
        ),
    )


def _nothing(gathered: Gathered, axes: Sequence[tuple[Objective, str, str]]) -> dict[str, str]:
    """Arms that had nothing of what is to be raised in some of their blocks, and of what."""
    found: dict[str, str] = {}
    for wanted, metric, part in axes:
        for arm, blocks in got_nothing(gathered.rows, wanted, (metric, part)).items():
            noun = quantity_of(GOODPUT[0] if metric == PER_GOOD else metric, part).noun
            found[arm] = f"{noun} is 0 in {blocks} of {len(gathered.runs[arm])} blocks"
    return found


def _with_gains(
    gathered: Gathered, key: tuple[str, str], arm: str, side: Mapping[str, Beside], level: float
) -> dict[str, Beside]:
    """With what boards' gains add where arms ran on different ones: no number of blocks lessens
    that. Half-widths are added in squares, as in comparisons (:func:`lem.stats.with_shared`)."""
    z = NormalDist().inv_cdf(1 - (1 - level) / 2 / max(1, len(side)))
    found = {}
    for other, b in side.items():
        u_log = shared_log(gathered.runs[other], gathered.runs[arm], *key)
        wide = None if b.half_width is None else math.hypot(b.half_width, z * u_log)
        found[other] = b._replace(half_width=wide)
    return found


def _state(
    wanted: Sequence[Objective], sides: Sequence[Mapping[str, Beside]], margin: float
) -> tuple[State, list[str]]:
    """What the other arms make of one, and which they are; ``sides``: for each objective, each
    other arm beside it."""
    ahead: list[str] = []
    dominating: list[str] = []
    for other in sides[0]:
        if any(other not in side for side in sides):
            continue
        better, not_worse, means = [], [], []
        for one, side in zip(wanted, sides, strict=True):
            b = side[other]
            cost = -b.log_ratio if one.higher_is_better else b.log_ratio
            # An NLL is the same in every run of a deterministic engine: there is no scatter in it.
            half = 0.0 if b.half_width is None and b.alike and one.metric == NLL else b.half_width
            better.append(half is not None and cost + half < 0)
            not_worse.append(half is not None and cost + half <= math.log1p(margin))
            means.append(cost)
        if any(better) and all(not_worse):
            dominating.append(other)
        elif all(m <= 0 for m in means) and any(m < 0 for m in means):
            ahead.append(other)
    if dominating:
        return "dominated", dominating
    return ("cannot_tell", ahead) if ahead else ("front", [])


def _sentences(
    points: Sequence[FrontPoint],
    axes: Sequence[Quantity],
    unfinished: str,
    off: Sequence[str],
) -> list[str]:
    on = [p for p in points if p.state == "front"]
    open_ = sum(p.state == "cannot_tell" for p in points)
    so_far = "So far " if unfinished else ""
    count = "1 arm is" if len(on) == 1 else f"{len(on)} arms are"
    text = f"{so_far}{count} on the front of {axes[0].noun} and {axes[1].noun}"
    if open_:
        text += f"; of {open_} more it can't be told yet"
    rest = sum(p.state == "dominated" for p in points)
    found = [f"{text}; {rest} of {len(points)} {'is' if rest == 1 else 'are'} dominated."]
    if off:
        listed = "; ".join(off[:NAMED]) + (f"; {len(off) - NAMED} more" if len(off) > NAMED else "")
        found.append(f"Not on it, whatever else they cost: {listed}.")
    if len(on) > 1:
        first, last = on[0], on[-1]
        ratios = [
            max(a, b) / min(a, b)
            for a, b in ((first.x.mean, last.x.mean), (first.y.mean, last.y.mean))
        ]
        found.append(
            f"From {first.name} to {last.name} the front spans a factor of about "
            f"{about(ratios[0])} in {axes[0].noun} and {about(ratios[1])} in {axes[1].noun}."
        )
    return found
