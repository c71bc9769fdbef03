"""The page's part about campaigns that were spread over boards."""

from collections.abc import Callable, Sequence

from coverage_study.boards import (
    BOARDS,
    CALIBRATION,
    DIFFER,
    GAIN,
    GIVEN,
    INTERACTION,
    LENGTHS,
    Calibrated,
    Given,
    Resembling,
    Spread,
    Spreading,
)
from coverage_study.scenarios import PROTOCOLS, TRUTH
from coverage_study.study import GOAL

PILOTS = tuple(p for p in PROTOCOLS if p.target is not None)


def filled(
    cells: Sequence[Spreading], resembling: Sequence[Resembling], known: Sequence[Calibrated]
) -> dict[str, str]:
    """What the template's fields of this part say."""
    alone = max(1 - c.spread for c in cells)
    apart = [c for c in cells if c.scenario.interaction > 0]
    same = [c for c in cells if c.scenario.interaction == 0]
    hardest = min((r for r in resembling if r.gain == 0), key=lambda r: r.covered)
    return {
        "spread_cells": str(len(cells)),
        "spread_above": str(sum(not c.short for c in cells)),
        "spread_these": percent(min(c.these for c in cells)),
        "spread_like": percent(min(c.like for c in cells)),
        "spread_absolute": percent(min(c.absolute for c in cells)),
        "spread_blindly": percent(min(c.blindly for c in cells)),
        "spread_expanded": percent(min(c.expanded for c in cells)),
        "spread_refused": percent(max(max(c.refused, c.absolute_refused) for c in cells)),
        "spread_alone": percent(alone),
        "spread_stated": percent(min(c.stated_like for c in apart)),
        "spread_noticed_same": percent(
            max(c.noticed for c in same if c.scenario.noise != "spikes")
        ),
        "spread_noticed_spikes": percent(max(c.noticed for c in same)),
        "spread_noticed": f"{100 * min(c.noticed for c in apart):.0f} to "
        f"{100 * max(c.noticed for c in apart):.0f}",
        "gain": f"{100 * GAIN:g}",
        "interaction": f"{100 * INTERACTION:g}",
        "spread_ratios": _ratios(same, _same),
        "spread_ratios_apart": _ratios(apart, _apart),
        "spread_absolutes": _absolutes(cells),
        "resembling": _resembling([r for r in resembling if r.gain > 0]),
        "resembling_least": percent(min(r.covered for r in resembling if r.gain > 0)),
        "resembling_hardest": f"{percent(hardest.covered)} % ({hardest.blocks} blocks"
        f" {hardest.given} on {hardest.boards} boards, φ = {hardest.phi:g})",
        "calibration": f"{100 * CALIBRATION:g}",
        "differ": f"{100 * DIFFER:g}",
        "calibrated": _calibrated(known),
        "calibrated_least": percent(min(c.covered for c in known)),
        "calibrated_two": percent(min(c.with_two for c in known)),
        "spread_short": _short(cells, resembling, known),
    }


def short(
    cells: Sequence[Spreading], resembling: Sequence[Resembling], known: Sequence[Calibrated]
) -> list[str]:
    """What falls short of its goal."""
    found = [f"{c.scenario.name}: {', '.join(c.short)}" for c in cells if c.short]
    found += [
        f"mean ± U of {c.boards} calibrated boards, {c.blocks} blocks: {percent(c.covered)} %"
        for c in known
        if c.covered < GOAL
    ]
    return found + [
        f"absolute, {r.blocks} blocks {r.given} on {r.boards} boards, φ {r.phi:g}:"
        f" {percent(r.covered)} %"
        for r in resembling
        if r.gain > 0 and r.covered < GOAL
    ]


def _short(
    cells: Sequence[Spreading], resembling: Sequence[Resembling], known: Sequence[Calibrated]
) -> str:
    lines = short(cells, resembling, known)
    if not lines:
        return "No cell of these falls short."
    return "Short of the goal:\n\n" + "\n".join(f"- {line}" for line in lines)


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _table(
    cells: Sequence[Spreading],
    heads: Sequence[str],
    columns: Sequence[Callable[[Spread], bool]],
    entry: Callable[[Sequence[Spreading]], str],
) -> str:
    lines = ["| Boards | Blocks given | " + " | ".join(heads) + " |"]
    lines.append("| --- | --- |" + " --- |" * len(heads))
    for boards in BOARDS:
        for given in GIVEN:
            own = [c for c in cells if (c.scenario.boards, c.scenario.given) == (boards, given)]
            row = [entry([c for c in own if of(c.scenario)]) for of in columns]
            lines.append(f"| {boards} | {given} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _ratios(cells: Sequence[Spreading], entry: Callable[[Sequence[Spreading]], str]) -> str:
    kinds = [(p, arms) for p in PILOTS for arms in TRUTH]

    def of(kind: tuple[object, int]) -> Callable[[Spread], bool]:
        return lambda s: (s.protocol, s.arms) == kind

    heads = [f"n₀ {p.pilot}, {arms} arms" for p, arms in kinds]
    return _table(cells, heads, [of(kind) for kind in kinds], entry)


def _same(cells: Sequence[Spreading]) -> str:
    wider = max(c.half_width_like / c.half_width for c in cells)
    return f"{percent(min(c.these for c in cells))}; {percent(min(c.like for c in cells))}" + (
        f" (× {wider:.1f})"
    )


def _apart(cells: Sequence[Spreading]) -> str:
    noticed = max(c.noticed for c in cells)
    return f"{_same(cells)}; {percent(min(c.stated_like for c in cells))} ({100 * noticed:.0f})"


def _absolutes(cells: Sequence[Spreading]) -> str:
    def of(pilot: int) -> Callable[[Spread], bool]:
        return lambda s: s.protocol.pilot == pilot

    def entry(own: Sequence[Spreading]) -> str:
        least = min(own, key=lambda c: c.absolute)
        wide = max(c.half_width_absolute for c in own)
        blindly = percent(min(c.blindly for c in own))
        u = percent(min(c.expanded for c in own))
        return f"{percent(least.absolute)} (± {100 * wide:.0f}; {blindly}; {u})"

    heads = [f"n₀ {p.pilot}" for p in PILOTS]
    return _table(cells, heads, [of(p.pilot) for p in PILOTS], entry)


def _resembling(found: Sequence[Resembling]) -> str:
    ways: tuple[Given, ...] = (*GIVEN, "one by one")
    heads = " | ".join(f"{n} blocks" for n in LENGTHS)
    lines = [f"| Boards | Blocks given | {heads} |", "| --- | --- |" + " --- |" * len(LENGTHS)]
    for boards in BOARDS:
        for given in ways:
            row = []
            for n in LENGTHS:
                of = {
                    r.phi: r for r in found if (r.boards, r.given, r.blocks) == (boards, given, n)
                }
                row.append(
                    "; ".join(f"{percent(r.covered)} ({100 * r.refused:.0f})" for r in of.values())
                )
            lines.append(f"| {boards} | {given} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _calibrated(found: Sequence[Calibrated]) -> str:
    heads = " | ".join(f"{n} blocks" for n in LENGTHS)
    lines = [f"| Boards | {heads} |", "| --- |" + " --- |" * len(LENGTHS)]
    for boards in dict.fromkeys(c.boards for c in found):
        of = {c.blocks: c for c in found if c.boards == boards}
        row = [
            f"{percent(of[n].covered)} ({percent(of[n].with_two)})" if n in of else ""
            for n in LENGTHS
        ]
        lines.append(f"| {boards} | " + " | ".join(row) + " |")
    return "\n".join(lines)
