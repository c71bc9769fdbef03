"""How far the boards (or nodes) of one campaign differ in what they were seen to use. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from lem.analysis.gains import has_gain, shared_log
from lem.analysis.places import Kind, Places, Spread
from lem.stats import Absolute, Between, absolute, mean_of, not_averaged
from lem.stores.rows import Row

if TYPE_CHECKING:
    from lem.analysis.quantities import Quantity


@dataclass(frozen=True)
class OnPlace:
    """One board, set of boards or node beside all others."""

    name: str
    node: str
    boards: int
    blocks: tuple[int, ...]
    deviation_log: float | None
    """Of the figure: its mean logarithm less that of the blocks of all others but those beyond
    gains; None where that is not known."""
    half_width_log: float | None
    """Of intervals that hold jointly, by the scatter within boards; None where the board, or all
    others together, have but one block."""
    beyond_gain: bool
    """Whether it is further from them than the gains that were stated explain."""


@dataclass(frozen=True)
class Boards:
    """Of one quantity, its boards or its nodes. What boards make of each ratio stands with the
    ratio (:class:`lem.stats.OnBoards`)."""

    quantity: str
    """Its key."""
    kind: Kind
    overlap: bool
    """Whether blocks ran on sets of boards that hang together by boards in common, so that none is
    independent: nothing is told of them then."""
    between: Between
    """Of the figure, gains included."""
    places: tuple[OnPlace, ...]
    of_boards: bool = False
    """Whether these are the nodes of boards that stand beside each other as well."""
    ratios: Mapping[str, tuple[OnPlace, ...]] = field(default_factory=dict)
    """Of such nodes: arm → each node beside the others in that arm's ratio, as the figure is."""


def boards_of(
    by_arm: Mapping[str, Mapping[int, Row]],
    table: Mapping[str, Mapping[int, float]],
    quantity: "Quantity",
    spread: Spread,
    level: float,
) -> Boards:
    """``table``: arm → block → value, of the runs ``by_arm`` that count. The arms counted in the
    same blocks as the one that was counted most are averaged."""
    nothing = Between(None, None, None, None)
    bare = [OnPlace(p.name, p.node, p.boards, p.blocks, None, None, False) for p in spread.places]
    told = Boards(quantity.key, spread.kind, spread.overlap, nothing, tuple(bare))
    logs = _logs(table)
    of_block = spread.of_block
    names = [p.name for p in spread.places if any(b in logs for b in p.blocks)]
    if spread.overlap or len(names) < 2:
        return told
    import numpy as np

    from lem.stats.boards import allowed, apart, component, grouped
    from lem.stats.campaign import between_of, each_board

    which = np.array([names.index(of_block[b]) for b in logs])
    found = grouped(np.array(list(logs.values())), which)
    by_name = {p.name: p for p in spread.places}
    gains = [_gain(by_arm, by_name[n].blocks, quantity) for n in names]
    explained = allowed(np.array([math.inf if g is None else g for g in gains]), level)
    beside = apart(found, level, allowed=explained)
    each = {o.name: o for o in each_board(found, beside, names)}
    places = tuple(
        place
        if (one := each.get(place.name)) is None
        else replace(
            place,
            deviation_log=one.deviation_log,
            half_width_log=one.half_width_log,
            beyond_gain=one.apart,
        )
        for place in bare
    )
    return replace(told, between=between_of(component(found)), places=places)


def nodes_of(
    table: Mapping[str, Mapping[int, float]],
    baseline: str,
    quantity: "Quantity",
    places: Places,
    level: float,
) -> Boards | None:
    """The nodes of several boards each, where boards read the energy themselves: how far nodes
    differ beyond what their boards do. None where no node has several boards, or all are of one.

    The boards' means take the place of blocks. A node is ``beyond_gain`` where it differs from the
    others by more than boards of one node differ among each other, and so in each arm's ratio to
    ``baseline`` (jointly over the arms).
    """
    boards, nodes = places.boards, places.nodes
    if boards is None or nodes is None or boards is not places.of(quantity.metric, quantity.part):
        return None
    if boards.overlap or len(boards.places) <= len(nodes.places):
        return None
    made = _nodes(_logs(table), boards, nodes, level)
    if made is None:
        return None
    between, told = made
    base = table.get(baseline, {})
    ratios = {
        arm: {b: math.log(v / base[b]) for b, v in own.items() if b in base}
        for arm, own in table.items()
        if arm != baseline
    }
    each = 1 - (1 - level) / max(1, len(ratios))
    of_ratios = {
        arm: found[1]
        for arm, logs in ratios.items()
        if (found := _nodes(logs, boards, nodes, each)) is not None
    }
    return Boards(quantity.key, "node", False, between, told, of_boards=True, ratios=of_ratios)


def _nodes(
    logs: Mapping[int, float], boards: Spread, nodes: Spread, level: float
) -> tuple[Between, tuple[OnPlace, ...]] | None:
    """``logs``: of each block. None where all blocks with one are of one node."""
    import numpy as np

    from lem.stats.boards import apart, component, grouped
    from lem.stats.campaign import between_of, each_board

    of_node = nodes.of_block
    means = {
        p.blocks[0]: math.fsum(own) / len(own)
        for p in boards.places
        if (own := [logs[b] for b in p.blocks if b in logs])
    }
    names = list(dict.fromkeys(of_node[b] for b in means))
    if len(names) < 2:
        return None
    found = grouped(
        np.array(list(means.values())), np.array([names.index(of_node[b]) for b in means])
    )
    each = {o.name: o for o in each_board(found, apart(found, level), names)}
    told = tuple(
        OnPlace(
            *(p.name, p.node, p.boards, p.blocks),
            each[p.name].deviation_log,
            each[p.name].half_width_log,
            each[p.name].apart,
        )
        for p in nodes.places
        if p.name in each
    )
    return between_of(component(found)), told


def _logs(table: Mapping[str, Mapping[int, float]]) -> dict[int, float]:
    """Block → mean over arms of the logarithm, each less its own mean."""
    usable = [own for own in table.values() if own and all(v > 0 for v in own.values())]
    if not usable:
        return {}
    most = max(len(own) for own in usable)
    blocks = sorted(next(own for own in usable if len(own) == most))
    alike = [own for own in usable if own.keys() == set(blocks)]
    means = [math.fsum(map(math.log, own.values())) / len(own) for own in alike]
    return {
        b: math.fsum(math.log(own[b]) - m for own, m in zip(alike, means, strict=True)) / len(alike)
        for b in blocks
    }


def _gain(
    by_arm: Mapping[str, Mapping[int, Row]], blocks: Sequence[int], quantity: "Quantity"
) -> float | None:
    """Standard uncertainty of the gain with which a place's blocks were read, all boards of a set
    taken together; None where nothing is stated of it."""
    if not has_gain(quantity.metric):
        return None
    stated = [
        math.fsum(s.energy * s.gain for s in shares.values())
        for own in by_arm.values()
        for b in blocks
        if b in own and (shares := own[b].shares.get(quantity.part, {}))
    ]
    return max(stated, default=0.0) or None


def gains_on(
    by_arm: Mapping[str, Mapping[int, Row]], baseline: str, quantity: "Quantity", spread: Spread
) -> dict[str, dict[str, float]]:
    """Arm → place → standard uncertainty that gains leave in the ratios of its blocks there."""
    base = by_arm.get(baseline, {})
    found: dict[str, dict[str, float]] = {}
    for arm, own in by_arm.items():
        found[arm] = {}
        for place in spread.places:
            both = own.keys() & base.keys() & set(place.blocks)
            if both and arm != baseline:
                mine, theirs = ({b: rows[b] for b in both} for rows in (own, base))
                left = shared_log(mine, theirs, quantity.metric, quantity.part)
                found[arm][place.name] = left
    return found


def of_blocks(
    own: Mapping[int, Row], metric: str, part: str, spread: Spread | None, interval: bool = True
) -> Absolute | None:
    """An arm's mean over blocks, as :func:`lem.stats.absolute` has it; None where a run has no such
    figure. Without ``interval`` that of repeatability is left out."""
    blocks = sorted(own)
    if spread is not None:
        # Blocks on several boards run at the same time: their numbers are not their order.
        blocks.sort(key=lambda b: datetime.fromisoformat(own[b].outcome.started_at))
    found = [f for b in blocks if (f := own[b].metrics.get(metric, {}).get(part)) is not None]
    if not found or len(found) < len(own):
        return None
    values, uncertainties = [f.value for f in found], [f.uncertainty for f in found]
    boards = None
    if spread is not None and not spread.overlap:
        of_block = spread.of_block
        boards = [of_block[b] for b in blocks]
    made = (absolute if interval else mean_of)(values, uncertainties, boards=boards)
    shared = spread is not None and spread.overlap
    return not_averaged(made, values) if shared else made
