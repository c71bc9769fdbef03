"""What several meters say of the same energy, for a person."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from lem.analysis.text import NOTHING, plain, with_uncertainty
from lem.contract.record import Reconciliation, View


def side_by_side(found: Sequence[Reconciliation]) -> Table:
    """Each pair of views with its ratio, over all windows together."""
    table = Table(
        title="Meters side by side, all windows (± U, k = 2)",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in ("What", "First", "Second"):
        table.add_column(name, overflow="fold")
    table.add_column("Ratio", justify="right", no_wrap=True)
    table.add_column("Agree", overflow="fold")
    for r in found:
        ratio = NOTHING if r.ratio is None else with_uncertainty(r.ratio, r.uncertainty)
        cells = (what(r), _view(r.first), _view(r.second), ratio, verdict(r))
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table


def what(r: Reconciliation) -> str:
    """In words: what the two views are of."""
    if r.what == "wall_to_gpu":
        return "node ÷ GPU (wall factor)"
    return r.what if r.relation == "same" else f"{'+'.join(r.first.devices)} contains {r.what}"


def verdict(r: Reconciliation) -> str:
    """Whether the two can both be right."""
    if r.agrees is None:
        return "not judged"
    if r.relation == "contains":
        return "yes" if r.agrees else "no: the part exceeds the whole"
    return "yes" if r.agrees else "no: more apart than U"


def _view(view: View) -> str:
    energy = NOTHING
    if view.energy_j is not None:
        energy = f"{with_uncertainty(view.energy_j, view.uncertainty_j)} J"
    flags = f" [{', '.join(view.flags)}]" if view.flags else ""
    return f"{view.meter} {'+'.join(view.devices)}: {energy}{flags}"
