"""Where each ± comes from: scatter between runs, the meter, and the parts of the meter's."""

from collections.abc import Callable, Iterable, Mapping

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quantities import ENERGY, Quantity
from lem.analysis.text import NOTHING, figure, plain, scaled, with_uncertainty
from lem.analysis.words import two_digits
from lem.contract.record import Record
from lem.report.budget import Budget
from lem.report.html.cells import Cell, Column, Grid
from lem.web.strings import text

BudgetsOf = Callable[[Record], Iterable[Budget]]
"""The budgets of a record's metrics. They are computed above this floor, by the agent's code."""


def between_runs(c: Comparison) -> Grid:
    """Of every arm's figures: what scatters between blocks, and what all runs share."""
    columns = (
        Column(text("report.arms.arm"), number=False),
        Column(text("report.budget.figure"), number=False),
        Column(text("report.budget.value")),
        Column(text("report.budget.scatter"), "%", text("report.budget.k1")),
        Column(text("report.budget.meter"), "%", text("report.budget.k1")),
    )
    rows = []
    for arm in c.arms:
        for q in c.quantities:
            row = _between(arm, q, text("report.arms.cpu_time") if q.estimated else q.noun)
            rows += [row] if row else []
    return Grid(columns, tuple(rows))


def _between(arm: ArmResult, q: Quantity, noun: str) -> tuple[Cell, ...] | None:
    found = arm.figures.get(q.key)
    if found is None:
        return None
    factor, unit = scaled(q.unit, [found.mean])
    return (
        Cell(plain(arm.name), mark="name"),
        Cell(noun),
        Cell(f"{figure(found, factor, least=q.least)} {unit}", value=found.mean, key=q.key),
        _share(found.u_a, found.mean, text("report.budget.one_block")),
        _share(found.u_b, found.mean, text("report.budget.unstated")),
    )


def _share(u: float | None, value: float, missing: str) -> Cell:
    if u is None or not value:
        return Cell(NOTHING, missing)
    share = 100 * u / abs(value)
    return Cell("0" if share < 1e-9 else two_digits(share), value=share)


def within_a_run(
    records: Mapping[str, Record], names: Mapping[str, str], budgets_of: BudgetsOf
) -> Grid:
    """Of one run of each arm: the parts of the uncertainty of its energy per output token, the
    largest first. ``records``: arm id → its run."""
    columns = (
        Column(text("report.arms.arm"), number=False),
        Column(text("report.budget.of"), number=False),
        Column(text("report.budget.value")),
        Column(text("report.budget.part"), number=False),
        Column(text("report.budget.u"), "%", text("report.budget.k1")),
        Column(text("report.budget.variance"), "%"),
    )
    rows: list[tuple[Cell, ...]] = []
    for arm_id, record in records.items():
        for budget in budgets_of(record):
            if budget.of == ENERGY:
                rows += _parts(names[arm_id], budget)
    return Grid(columns, tuple(rows))


def _parts(name: str, budget: Budget) -> list[tuple[Cell, ...]]:
    estimated = budget.what == "estimated"
    value = NOTHING if budget.value is None else _value(budget, budget.value)
    lead = (
        Cell(plain(name), mark="name"),
        Cell(plain(budget.what)),
        Cell(value, value=budget.value, mark="estimated" if estimated else ""),
    )
    if not budget.parts or not budget.value:
        why = plain(budget.problem) or text("report.budget.unstated")
        return [(*lead, Cell(why), Cell(NOTHING), Cell(NOTHING))]
    total = sum(u * u for u in budget.parts.values())
    rows: list[tuple[Cell, ...]] = []
    for part, u in sorted(budget.parts.items(), key=lambda item: -item[1]):
        share = 100 * u / abs(budget.value)
        variance = 100 * u * u / total if total else 0.0
        cells = (
            Cell(plain(part)),
            Cell(two_digits(share), value=share),
            Cell("< 0.1" if variance < 0.05 else f"{variance:.1f}", value=variance),
        )
        rows.append((*(lead if not rows else (Cell(""), Cell(""), Cell(""))), *cells))
    return rows


def _value(budget: Budget, value: float) -> str:
    factor, unit = scaled(budget.unit, [value])
    u = None if budget.uncertainty is None else budget.uncertainty * factor
    return f"{with_uncertainty(value * factor, u)} {unit}"
