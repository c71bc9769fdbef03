"""Writes the tables of docs/reported-vs-true.md from the figures in docs/data.

    python -m bench.meters.publish

A figure is called wrong where it is off by more than the uncertainty that stands beside it, or,
where its tool states none, by more than 10 %: more than any board's gain error. An honest "no
figure", or an exception, is not wrong.
"""

import csv
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reported-vs-true.md"
DATA = DOCS / "data"
REGION = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
UNSTATED = 0.10


class Row(NamedTuple):
    scenario: str
    tool: str
    version: str
    true_j: float | None
    reported_j: float | None
    uncertainty_j: float | None
    own_j: float | None
    """Its part without the board's gain."""
    said: str

    @property
    def read(self) -> bool:
        """Whether the tool takes part at all."""
        return not self.said.startswith("not read")

    @property
    def error(self) -> float | None:
        if self.reported_j is None or self.true_j is None:
            return None
        return (self.reported_j - self.true_j) / self.true_j

    @property
    def wrong(self) -> bool:
        if self.error is None or self.true_j is None:
            return False
        allowed = UNSTATED
        if self.uncertainty_j is not None:
            allowed = self.uncertainty_j / self.true_j
        return abs(self.error) > allowed


def rows(path: Path = DATA / "reported-vs-true.csv") -> list[Row]:
    def number(text: str) -> float | None:
        return float(text) if text else None

    with path.open(newline="") as f:
        return [
            Row(
                r["scenario"],
                r["tool"],
                r["version"],
                number(r["true_j"]),
                number(r["reported_j"]),
                number(r["uncertainty_j"]),
                number(r["own_j"]),
                r["said"],
            )
            for r in csv.DictReader(f)
        ]


def accuracy(found: Sequence[Row]) -> Iterator[str]:
    """A line for each scenario: mean size of the error, and its worst, by tool."""
    tools = list(dict.fromkeys(r.tool for r in found))
    yield f"| Work | {' | '.join(tools)} |"
    yield f"| --- |{' --- |' * len(tools)}"
    for scenario in dict.fromkeys(r.scenario for r in found):
        cells = [_cell([r for r in found if (r.scenario, r.tool) == (scenario, t)]) for t in tools]
        yield f"| {scenario} | {' | '.join(cells)} |"


def _cell(found: Sequence[Row]) -> str:
    if not any(r.read for r in found):
        return "not read"
    errors = [abs(r.error) for r in found if r.error is not None]
    missing = len(found) - len(errors)
    wrong = sum(r.wrong for r in found)
    parts = []
    if errors:
        parts.append(f"{_percent(fmean(errors))}, at worst {_percent(max(errors))}")
    if missing:
        kinds = {_kind(r.said) for r in found if r.error is None}
        parts.append(f"no figure in {missing} ({', '.join(sorted(kinds))})")
    if wrong:
        parts.append(f"**{wrong} wrong**")
    return "; ".join(parts)


def _kind(said: str) -> str:
    """Why there is no figure: the exception's name, or the flag."""
    if said.startswith("No telemetry"):
        return "no energy, power alone"
    return said.split(":")[0].split(";")[0].strip() if said else "says nothing"


def _percent(x: float) -> str:
    x *= 100
    if x >= 1000:
        return f"{x:,.0f} %".replace(",", " ")
    digits = 0 if x >= 100 else 1 if x >= 10 else 2 if x >= 0.1 else 3
    return f"{x:.{digits}f} %"


def wrongs(found: Sequence[Row]) -> Iterator[str]:
    yield (
        "| Tool | version | figures asked for | told | wrong | states an uncertainty | "
        "truth inside it | inside its part without gain |"
    )
    yield f"|{' --- |' * 8}"
    for tool in dict.fromkeys(r.tool for r in found):
        own = [r for r in found if r.tool == tool and r.read]
        told = [r for r in own if r.error is not None]
        stated = [r for r in told if r.uncertainty_j is not None]
        inside = f"{sum(not r.wrong for r in stated)} of {len(stated)}" if stated else ""
        narrow = [abs((r.reported_j or 0) - (r.true_j or 0)) <= (r.own_j or 0) for r in stated]
        yield (
            f"| {tool} | {own[0].version} | {len(own)} | {len(told)} | "
            f"{sum(r.wrong for r in own)} | {'yes' if stated else 'no'} | {inside} | "
            f"{f'{sum(narrow)} of {len(narrow)}' if narrow else ''} |"
        )


def table_of(path: Path) -> Iterator[str]:
    """A CSV file as it is."""
    with path.open(newline="") as f:
        head, *lines = list(csv.reader(f))
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for line in lines:
        yield f"| {' | '.join(line)} |"


def tables() -> dict[str, Iterable[str]]:
    found = rows()
    return {
        "accuracy": accuracy(found),
        "wrong": wrongs(found),
        "study": table_of(DATA / "isolated-study.csv"),
        "real-time": table_of(DATA / "real-time.csv"),
        "faults": table_of(DATA / "faults.csv"),
        "cost": table_of(DATA / "meter-cost.csv"),
    }


def filled(page: str) -> str:
    made = {name: "\n".join(lines) + "\n" for name, lines in tables().items()}
    return REGION.sub(lambda m: m[1] + made[m[2]] + m[3], page)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
