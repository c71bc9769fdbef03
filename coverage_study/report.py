"""docs/coverage.md: what the study found, in tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from coverage_study import boards_report
from coverage_study.boards import Calibrated, Resembling, Spreading
from coverage_study.other import AUTOCORRELATIONS, Absolute, Hardest, Same
from coverage_study.scenarios import MAX_BLOCKS, NOISE, PROTOCOLS, TREND, UNLIKE
from coverage_study.study import GOAL, Cell


class Anchors(NamedTuple):
    sequential: float
    narrow: tuple[float, float]
    narrow_wandering: tuple[float, float]


class Findings(NamedTuple):
    campaigns: int
    seed: int
    cells: Sequence[Cell]
    rules: Sequence[tuple[str, Sequence[Cell]]]
    anchors: Anchors
    absolute: Sequence[Absolute]
    same: Sequence[Same]
    hardest: Sequence[Hardest]
    spread: Sequence[Spreading]
    resembling: Sequence[Resembling]
    calibrated: Sequence[Calibrated]

    @property
    def short(self) -> list[str]:
        """What falls short of its goal."""
        found = [f"{c.scenario.name}: {_percent(c.covered)} %" for c in self.cells if not c.good]
        found += [
            f"absolute, {a.blocks} blocks, φ {a.phi:g}: {_percent(a.covered)} % covered,"
            f" {_percent(a.noticed)} % noticed"
            for a in self.absolute
            if not a.good
        ]
        return found + boards_report.short(self.spread, self.resembling, self.calibrated)


def page(f: Findings) -> str:
    worst = min(f.cells, key=lambda c: c.covered)
    mean = sum(c.covered for c in f.cells) / len(f.cells)
    template = Path(__file__).with_name("page.md.in").read_text(encoding="utf-8")
    hidden = next(a for a in f.absolute if (a.blocks, a.phi) == (10, 0.5))
    return template.format(
        unnoticed=_percent(hidden.unnoticed_covered),
        campaigns=f"{f.campaigns:,}",
        seed=f.seed,
        goal=_percent(GOAL),
        cells=len(f.cells),
        above=sum(c.covered >= GOAL for c in f.cells),
        worst=_percent(worst.covered),
        worst_error=f"{100 * worst.error:.2f}",
        worst_name=_words(worst),
        mean=_percent(mean),
        refused=_percent(max(c.refused for c in f.cells)),
        cap=MAX_BLOCKS,
        alike=_alike(f.cells),
        unlike=_unlike(f.cells),
        rules=_rules(f.rules),
        sequential=_percent(f.anchors.sequential),
        narrow=_percent(f.anchors.narrow[0]),
        narrow_wandering=_percent(f.anchors.narrow_wandering[0]),
        absolute=_absolute(f.absolute),
        same=_same(f.same),
        hardest=_hardest(f.hardest),
        least=_percent(min(h.covered for h in f.hardest)),
        short=_short(f),
        **boards_report.filled(f.spread, f.resembling, f.calibrated),
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _words(cell: Cell) -> str:
    s = cell.scenario
    kind = "" if s.unlike == "like" else f", {UNLIKE[s.unlike][0]}"
    return f"{NOISE[s.noise]}, trend {TREND[s.trend]}{kind}, {s.arms} arms, `{s.protocol.name}`"


def _entry(cell: Cell) -> str:
    mark = "" if cell.good else " **short**"
    return f"{_percent(cell.covered)} ± {100 * cell.error:.2f} ({cell.blocks:.0f}){mark}"


def _alike(cells: Sequence[Cell]) -> str:
    found = {c.scenario.name: c for c in cells}
    columns = [(p.name, arms) for p in PROTOCOLS for arms in (2, 6)]
    lines = [
        "| Noise | Trend | " + " | ".join(f"`{p}`, {arms} arms" for p, arms in columns) + " |",
        "| --- | --- |" + " --- |" * len(columns),
    ]
    for noise in NOISE:
        for trend in TREND:
            row = [_entry(found[f"{noise}/{trend}/{arms}/{p}/like"]) for p, arms in columns]
            lines.append(f"| {NOISE[noise]} | {TREND[trend]} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _unlike(cells: Sequence[Cell]) -> str:
    found = {c.scenario.name: c for c in cells}
    names = [p.name for p in PROTOCOLS]
    lines = ["| Noise of the arms | " + " | ".join(f"`{p}`" for p in names) + " |"]
    lines.append("| --- |" + " --- |" * len(names))
    for kind, (label, _) in UNLIKE.items():
        if kind != "like":
            row = [_entry(found[f"gauss1/none/6/{p}/{kind}"]) for p in names]
            lines.append(f"| {label} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _rules(rules: Sequence[tuple[str, Sequence[Cell]]]) -> str:
    first = [c.scenario for c in rules[0][1]]
    heads = [
        f"{NOISE[s.noise] if s.unlike == 'like' else UNLIKE[s.unlike][0]}, `{s.protocol.name}`"
        for s in first
    ]
    lines = ["| Rule | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for name, cells in rules:
        row = [f"{_bold(c)} ({c.blocks:.0f}; ± {100 * c.half_width:.1f})" for c in cells]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _bold(cell: Cell) -> str:
    text = _percent(cell.covered)
    return text if cell.covered >= GOAL else f"**{text}**"


def _absolute(found: Sequence[Absolute]) -> str:
    by = {(a.blocks, a.phi): a for a in found}
    heads = [f"φ = {phi:g}" for phi in AUTOCORRELATIONS]
    lines = ["| Blocks | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for blocks in dict.fromkeys(a.blocks for a in found):
        row = []
        for phi in AUTOCORRELATIONS:
            a = by[blocks, phi]
            row.append(
                f"{_percent(a.covered)} (noticed {100 * a.noticed:.0f}, none {100 * a.refused:.0f};"
                f" × {a.wider:.1f})"
            )
        lines.append(f"| {blocks} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _same(found: Sequence[Same]) -> str:
    lines = [
        "| Arms | Blocks | Margin | called the same at the margin's edge | all called the same"
        " where all are |",
        "| --- | --- | --- | --- | --- |",
    ]
    for s in found:
        lines.append(
            f"| {s.arms} | {s.blocks} | ± {100 * s.margin:.0f} % | {_percent(s.wrongly)} % |"
            f" {_percent(s.rightly)} % |"
        )
    return "\n".join(lines)


def _hardest(found: Sequence[Hardest]) -> str:
    by = {(h.arms, h.blocks): h for h in found}
    lengths = list(dict.fromkeys(h.blocks for h in found))
    lines = ["| Arms | " + " | ".join(f"{n} blocks" for n in lengths) + " |"]
    lines.append("| --- |" + " --- |" * len(lengths))
    for arms in dict.fromkeys(h.arms for h in found):
        row = [f"{_percent(h.covered)} ({h.noise})" for n in lengths for h in [by[arms, n]]]
        lines.append(f"| {arms} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def _short(f: Findings) -> str:
    of_boards = boards_report.short(f.spread, f.resembling, f.calibrated)
    lines = [line for line in f.short if line not in of_boards]
    if not lines:
        return "No cell of the goal falls short."
    return "Short of the goal:\n\n" + "\n".join(f"- {line}" for line in lines)
