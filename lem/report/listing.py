"""Lists of campaigns and of attempts on the terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from lem.analysis.text import NOTHING, plain, three_digits, with_uncertainty
from lem.stores.rows import Figure, Row

RUN_CHARACTERS = 12
"""Of a run's id in a list: enough to name it, and short enough to stand on one line."""


def campaigns_table(campaigns: Sequence[Mapping[str, Any]]) -> Table:
    """``campaigns``: name, arms, blocks, counted, failed, last_run and folder of each."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Campaign", overflow="fold")
    for name in ("Arms", "Blocks", "Counted", "Failed"):
        table.add_column(name, justify="right")
    table.add_column("Last run (UTC)", no_wrap=True)
    table.add_column("Folder", overflow="fold")
    for c in campaigns:
        cells = [c["name"], c["arms"], c["blocks"], c["counted"], c["failed"]]
        table.add_row(
            *(Text(plain(str(cell))) for cell in cells),
            Text(plain((c["last_run"] or NOTHING)[:16])),
            Text(plain(str(c["folder"]))),
        )
    return table


def attempts_table(
    rows: Sequence[Row], names: Mapping[str, str], standings: Mapping[str, str]
) -> Table:
    """Every attempt: where it stands and what it cost per output token."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Block", justify="right")
    table.add_column("Arm", overflow="fold")
    table.add_column("Run", no_wrap=True)
    table.add_column("State", overflow="fold")
    table.add_column("Per output token", justify="right", no_wrap=True)
    for r in rows:
        o = r.outcome
        table.add_row(
            Text(f"{o.block:04d}"),  # as its folder is called: progress counts from 1
            Text(plain(names.get(o.arm_id, o.arm_id[:12]))),
            Text(plain((r.run_id or NOTHING)[:RUN_CHARACTERS])),
            Text(plain(standings[o.path], 120)),
            Text(_cost(r.metrics)),
        )
    return table


def _cost(metrics: Mapping[str, Mapping[str, Figure]]) -> str:
    """Energy by device class, ± U (k = 2); where it is only estimated, the CPU time behind it."""
    energy = metrics.get("energy_per_output_token_j", {})
    measured = [f"{with_uncertainty(*v)} J ({c})" for c, v in energy.items() if c != "estimated"]
    if measured:
        return ", ".join(measured)
    cpu = metrics.get("cpu_time_per_output_token_s", {}).get("")
    if cpu is None:
        return NOTHING
    return f"{three_digits(cpu.value * 1000)} ms CPU"
