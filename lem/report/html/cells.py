"""Tables of the report as data: what stands in each cell, and by what a column is sorted."""

from dataclasses import dataclass
from typing import Literal

Mark = Literal["", "better", "worse", "same", "open", "estimated", "name", "flag"]


@dataclass(frozen=True)
class Cell:
    text: str
    sub: str = ""
    """Below it, smaller."""
    value: float | None = None
    """What the column is sorted by: the figure in the unit of its key, with every digit."""
    key: str = ""
    """Which figure of ``lem results compare --json`` it is; empty where it is none."""
    mark: Mark = ""


@dataclass(frozen=True)
class Column:
    name: str
    unit: str = ""
    note: str = ""
    number: bool = True
    estimated: bool = False


@dataclass(frozen=True)
class Grid:
    """One table. The first cell of a row is its name."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    emphasised: frozenset[int] = frozenset()
    """Numbers of rows, such as the baseline's."""

    def __bool__(self) -> bool:
        return bool(self.rows)
