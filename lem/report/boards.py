"""Where blocks were spread over boards or nodes: how far these differ, in a table and in words."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lem.analysis.boards import Boards, OnPlace
from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.gains import has_gain
from lem.analysis.places import Kind
from lem.analysis.quantities import Quantity
from lem.analysis.text import NOTHING, capital
from lem.analysis.words import places, rounded, two_digits, with_ends
from lem.stats import Between, OnBoards, OneBoard

MOST = 3
"""Of so many arms a line has the interval on boards like these."""
FEW_NODES = 5
"""Of fewer nodes with several boards each, boards like these are in these nodes."""
HIDES = math.log(2)
"""A bound from here on (100 %) says only that there are too few."""
REMEDY = "look at its cooling, clocks, power limit and driver"


@dataclass(frozen=True)
class BoardRow:
    """One board, set of boards or node of a table, as text."""

    name: str
    node: str
    blocks: int
    figure: str
    """How far its figure is from that of all other blocks."""
    deviation: float | None
    """The same as a share, with every digit."""
    arm: str
    """The arm whose ratio is furthest from that on the others, by its interval."""
    ratio: str
    """By how much."""
    ratio_deviation: float | None
    flag: str


def quantity_of(c: Comparison, found: Boards) -> Quantity:
    return next(q for q in c.quantities if q.key == found.quantity)


def board_rows(c: Comparison, found: Boards) -> list[BoardRow]:
    """Empty where nothing is told of them."""
    if found.overlap:
        return []
    rows = []
    for place in found.places:
        far = _furthest(c, found.quantity, place.name)
        arm, one = far if far is not None else (None, None)
        apart = [a.name for a, o in _of_board(c, found.quantity, place.name) if o.apart]
        apart += [name for name, _ in _of_node(c, found, place.name)]
        flags = ["ratio disagrees"] if apart else []
        beyond = "beyond its boards" if found.of_boards else "beyond gains"
        flags += [beyond] if place.beyond_gain else []
        rows.append(
            BoardRow(
                name=named(place, found.kind),
                node=place.node,
                blocks=len(place.blocks),
                figure=change(place.deviation_log, place.half_width_log),
                deviation=_share(place.deviation_log),
                arm=arm.name if arm is not None else "",
                ratio=NOTHING if one is None else change(one.deviation_log, one.half_width_log),
                ratio_deviation=None if one is None else _share(one.deviation_log),
                flag=", ".join(flags),
            )
        )
    return rows


def named(place: OnPlace, kind: Kind) -> str:
    """``board 3fa9c1``, ``4 boards 3fa9c1``, ``node 88ab12``."""
    if kind != "board":
        return f"{kind} {place.name}"
    return f"board {place.name}" if place.boards == 1 else f"{place.boards} boards {place.name}"


def change(deviation: float | None, half: float | None) -> str:
    """``+2.1 % (0.8 to 3.4)``, from logarithms; ends are rounded outwards."""
    if deviation is None:
        return NOTHING
    value = 100 * math.expm1(deviation)
    if half is None:
        return f"{value:+.1f} %".replace("-", "−")
    low, high = (100 * math.expm1(deviation + sign * half) for sign in (-1, 1))
    decimals = min(places((high - low) / 2), 4)
    ends = " to ".join((rounded(low, decimals, math.floor), rounded(high, decimals, math.ceil)))
    shown = f"{value:+.{decimals}f}"
    shown = shown if float(shown) else shown[1:]
    return f"{shown} % ({ends})".replace("-", "−")


def _share(log: float | None) -> float | None:
    return None if log is None else math.expm1(log)


def _of_board(c: Comparison, key: str, name: str) -> Iterator[tuple[ArmResult, OneBoard]]:
    """Arms with what this board makes of their ratio."""
    for arm in c.arms:
        on = arm.ratios[key].on_boards if key in arm.ratios else None
        for one in on.each if on is not None else ():
            if one.name == name:
                yield arm, one


def _furthest(c: Comparison, key: str, name: str) -> tuple[ArmResult, OneBoard] | None:
    def far(item: tuple[ArmResult, OneBoard]) -> tuple[bool, float]:
        one = item[1]
        deviation = abs(one.deviation_log or 0.0)
        told = one.half_width_log is not None and one.half_width_log > 0
        return told, deviation / (one.half_width_log or 1.0) if told else deviation

    return max(_of_board(c, key, name), key=far, default=None)


def about_spread(c: Comparison) -> Iterator[str]:
    """What one must know of them, a line each."""
    for found in c.boards:
        quantity = quantity_of(c, found)
        kinds = f"{found.kind}s"
        if any(p.boards > 1 for p in found.places) and found.kind == "board":
            kinds = "sets of boards"
        which = f" in {quantity.noun}" if len(c.quantities) > 1 else ""
        if found.overlap:
            yield (
                f"Blocks{which} ran on sets of boards that have boards in common, so how far these"
                " differ is not known: ratios are of the boards that were used, ± counts the"
                " scatter of single blocks, and there is no repeatability interval."
            )
            continue
        if found.of_boards:
            yield from _nodes(c, found, quantity, which)
            continue
        yield from _figures(found, quantity, kinds, which)
        yield from _ratios(c, found, kinds, which)


def _figures(found: Boards, quantity: Quantity, kinds: str, which: str) -> Iterator[str]:
    n = len(found.places)
    gains = ", gains included" if has_gain(quantity.metric) else ""
    if found.kind == "boot":
        yield (
            f"Boots{which}: blocks ran in {n}, and without boards it is not known whether another"
            " boot is another node or the same one restarted. Figures differ between them"
            f" {between(found.between)}{gains}. ± and repeatability count blocks of one boot as"
            " alike; of nodes like these nothing is said."
        )
        return
    yield (
        f"{capital(kinds)}{which}: blocks ran on {n}. Figures differ between them"
        f" {between(found.between)}{gains}. ± and repeatability are for {kinds} like"
        " these: blocks on one of them count as alike."
    )
    for place in found.places:
        if place.beyond_gain and place.deviation_log is not None:
            be = "are" if found.kind == "board" and place.boards > 1 else "is"
            yield (
                f"{capital(named(place, found.kind))} {be} off by"
                f" {change(place.deviation_log, place.half_width_log)} from the others in"
                f" {quantity.noun}, more than the gains that are stated explain: {REMEDY}."
            )


def _nodes(c: Comparison, found: Boards, quantity: Quantity, which: str) -> Iterator[str]:
    yield (
        f"Nodes{which}: {len(found.places)}. Beyond what their boards do, figures differ between"
        f" them {between(found.between, 'none has two boards')}. What is for boards like these is"
        " so in these nodes."
    )
    for place in found.places:
        if place.beyond_gain and place.deviation_log is not None:
            yield (
                f"Node {place.name} is off by"
                f" {change(place.deviation_log, place.half_width_log)} from the others in"
                f" {quantity.noun}, more than boards of one node differ: {REMEDY}."
            )
        if apart := list(_of_node(c, found, place.name)):
            arms = ", ".join(
                f"{name} {change(p.deviation_log, p.half_width_log)}" for name, p in apart
            )
            yield (
                f"Node {place.name} disagrees with the others about ratios by more than boards of"
                f" one node do: {arms}. {capital(REMEDY)}; intervals for boards like these are so"
                " in these nodes alone."
            )


def _of_node(c: Comparison, found: Boards, name: str) -> Iterator[tuple[str, OnPlace]]:
    """Arms whose ratio on this node differs from that on the others."""
    for arm in c.arms:
        for place in found.ratios.get(arm.arm.arm_id, ()):
            if place.name == name and place.beyond_gain:
                yield arm.name, place


def between(found: Between, why_not: str = "none has two blocks") -> str:
    """``by 2.9 % (standard deviation; 1.6 to 11 %)``, or what can be said instead."""
    if found.sd_log is None or found.low_log is None or found.high_log is None:
        return f"by what cannot be told from scatter ({why_not})"
    if not found.seen and (found.most_log or 0.0) >= HIDES:
        return "by nothing that is noticed, which so few would not show"
    if not found.seen:
        return (
            f"by nothing that is noticed (standard deviation at most {_percent(found.most_log)} %)"
        )
    low, high = _percent(found.low_log), _percent(found.high_log)
    return f"by {_percent(found.sd_log)} % (standard deviation; {low} to {high} %)"


def _percent(log: float | None) -> str:
    return two_digits(100 * math.expm1(min(log or 0.0, 50.0)))


def _ratios(c: Comparison, found: Boards, kinds: str, which: str) -> Iterator[str]:
    told = [
        (a, on)
        for a in c.arms
        if (r := a.ratios.get(found.quantity)) is not None
        and (on := r.on_boards) is not None
        and on.low is not None
        and on.high is not None
    ]
    if not told:
        return
    wide = sorted(told, key=lambda item: -_width(item[1]))
    said = "; ".join(_like(a, on, found.quantity) for a, on in wide[:MOST])
    rest = ", the others no wider" if len(told) > MOST else ""
    shared = any(a.ratios[found.quantity].shared_log for a, _ in told)
    gains = has_gain(quantity_of(c, found).metric)
    cancel = ", whose gains cancel" if gains and not shared else ""
    nodes = next((b for b in c.boards if b.of_boards and b.quantity == found.quantity), None)
    within = " in these nodes" if nodes is not None and len(nodes.places) < FEW_NODES else ""
    yield (
        f"Ratios{which} are of these {kinds}{cancel}. For {kinds} like these{within}, with {kinds},"
        f" not blocks, as what is repeated, and the standard deviation between them: {said}{rest}."
    )
    for place in found.places:
        several = found.kind == "board" and place.boards > 1
        one_kind = "these boards" if several else f"this {found.kind}"
        apart = [(a, o) for a, o in _of_board(c, found.quantity, place.name) if o.apart]
        if not apart:
            continue
        arms = ", ".join(f"{a.name} {change(o.deviation_log, o.half_width_log)}" for a, o in apart)
        verb = "disagree" if several else "disagrees"
        yield (
            f"{capital(named(place, found.kind))} {verb} with the others about ratios: {arms}."
            f" Their intervals are for {kinds} like these. {capital(REMEDY)}; more {kinds} narrow"
            f" an interval then, more blocks on the same do not. Blocks of {one_kind}:"
            f" {', '.join(map(str, place.blocks[:10]))}{', …' if len(place.blocks) > 10 else ''}."
        )


def _like(arm: ArmResult, on: OnBoards, key: str) -> str:
    assert on.low is not None and on.high is not None
    value, low, high = with_ends(arm.ratios[key].ratio, on.low, on.high)
    found = on.between
    differ = ""
    if found.seen:
        low_sd, high_sd = _percent(found.low_log), _percent(found.high_log)
        differ = f"; {_percent(found.sd_log)} %, {low_sd} to {high_sd} %"
    elif found.most_log is not None and found.most_log < HIDES:
        differ = f"; {_percent(found.most_log)} % at most"
    elif found.most_log is not None:
        differ = "; not known of so few"
    return f"{arm.name} {value} ({low} to {high}{differ})"


def _width(on: OnBoards) -> float:
    assert on.low is not None and on.high is not None
    return math.log(on.high / on.low)
