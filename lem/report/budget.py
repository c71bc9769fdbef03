"""Uncertainty budgets on the terminal."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lem.analysis.quantities import quantity_of
from lem.analysis.text import NOTHING, capital, plain, three_digits, with_uncertainty
from lem.analysis.words import two_digits
from lem.charts.model import Axis, Bars, Row
from lem.contract.metrics import METRICS


class Budget(NamedTuple):
    """Of one figure. ``parts`` are standard uncertainties (k = 1), in its unit."""

    of: str
    """``window 0``, or a metric's name."""
    what: str
    """``gpu0 (nvml)``, or a device class."""
    unit: str
    value: float | None
    uncertainty: float | None
    """Expanded (k = 2); None where none is stated."""
    parts: dict[str, float]
    """Empty where nothing is stated, or where ``problem`` says why they are not known."""
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        relative = {n: u / abs(self.value) for n, u in self.parts.items()} if self.value else {}
        return {**self._asdict(), "relative_parts": relative}


def budgets_view(run: str, readings: Sequence[Budget], metrics: Sequence[Budget]) -> RenderableType:
    """Of each reading and each metric: its parts, largest first, and what they come to."""
    return Group(
        Text(plain(f"Uncertainty budget of run {run}"), style="bold"),
        _table("Energy readings", readings),
        _table("Metrics", metrics),
        Text(
            "u: standard uncertainty (k = 1), also as a share of the value. ± is the expanded"
            " uncertainty U = 2·√(Σ u²).",
            style="dim",
        ),
    )


def _table(title: str, budgets: Sequence[Budget]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("Of", overflow="fold")
    table.add_column("Device", overflow="fold")
    table.add_column("Value ± U", justify="right", overflow="fold")
    table.add_column("Part", overflow="fold")
    table.add_column("u", justify="right", no_wrap=True)
    table.add_column("%", justify="right", no_wrap=True)
    for b in budgets:
        parts = sorted(b.parts.items(), key=lambda item: -item[1])
        lines = [(n, three_digits(u), _percent(u, b.value)) for n, u in parts]
        for i, line in enumerate(lines or [(b.problem or "none stated", NOTHING, NOTHING)]):
            first = [b.of, b.what, _value(b)] if i == 0 else ["", "", ""]
            table.add_row(*(Text(plain(cell)) for cell in (*first, *line)))
    return table


def _value(budget: Budget) -> str:
    if budget.value is None:
        return NOTHING
    return f"{with_uncertainty(budget.value, budget.uncertainty)} {budget.unit}"


def _percent(u: float, value: float | None) -> str:
    return two_digits(100 * u / abs(value)) if value else NOTHING


def chart(budget: Budget, run: str, source: str) -> Bars | None:
    """The parts as bars, largest first, and what they come to; None where none is known. As shares
    of the value in per cent; in its own unit where that is 0."""
    if not budget.parts or budget.uncertainty is None:
        return None
    relative = bool(budget.value)
    divisor = abs(budget.value) / 100 if budget.value else 1.0
    unit = "%" if relative else budget.unit
    parts = sorted(budget.parts.items(), key=lambda item: -item[1])
    combined = budget.uncertainty / 2
    rows = [_bar(name.replace("_", " "), u / divisor, unit) for name, u in parts]
    total = _bar("combined: √(Σ u²)", combined / divisor, unit)
    largest = capital(parts[0][0].replace("_", " "))
    about = METRICS.get(budget.of)
    noun = budget.of if about is None else quantity_of(budget.of, budget.what).noun
    title = f"{largest} is the largest part of the uncertainty of {noun}"
    if len(parts) == 1:
        title = f"The uncertainty of {noun} has one part"
    return Bars(
        id=f"budget-{budget.what or budget.of}",
        title=title,
        subtitle=f"Standard uncertainties (k = 1) of {_value(budget)}, in "
        f"{'per cent of the value' if relative else budget.unit}"
        + ("; estimated, not measured" if budget.what == "estimated" else ""),
        source=f"{source}, run {run}",
        notes=(
            f"U = 2·√(Σ u²) = {two_digits(2 * combined / divisor)} {unit} (k = 2), of this run; "
            "what scatters between runs is not in it.",
        ),
        axis=Axis("standard uncertainty", unit),
        rows=(*rows, replace(total, emphasis=True, colour=7)),
    )


def _bar(name: str, u: float, unit: str) -> Row:
    return Row(name, u, text=f"{two_digits(u)} {unit}", exact=True)
